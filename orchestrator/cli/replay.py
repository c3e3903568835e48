"""`orchestrate replay`: one trial of a sweep once more, beside what the journal says of it."""

import math
import sys
from contextlib import redirect_stdout
from typing import Annotated

import typer

SAME = 1e-6


def replay(
    sweep_id: Annotated[str, typer.Argument(metavar="SWEEP_ID")],
    trial: Annotated[int, typer.Argument(metavar="TRIAL", min=0)],
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Train one trial again from its number, in the foreground; show where it differs from the journal."""
    from orchestrator.cli import environment
    from orchestrator.cli.console import messages, print_json, results
    from orchestrator.cli.progress import DataProgress
    from orchestrator.replay import ReplayedEpoch, replay_trial
    from orchestrator.sweep_request import SweepRequest

    machine = SweepRequest(
        name="",
        home=environment.home(),
        tracking_uri=environment.tracking_uri(),
        max_cache_bytes=environment.max_cache_bytes(),
    )

    def say(epoch: ReplayedEpoch) -> None:
        messages().print(f"epoch {epoch.epoch}: largest difference {epoch.difference:.2g}")

    with redirect_stdout(sys.stderr), DataProgress() as progress:
        replayed = replay_trial(sweep_id, trial, machine, progress, say)
    missing = replayed.epochs_then - len(replayed.epochs)
    if as_json:
        epochs = [
            {"epoch": one.epoch, "difference": _finite(one.difference), "now": one.now, "then": one.then}
            for one in replayed.epochs
        ]
        largest = _finite(replayed.largest_difference)
        print_json({"trial_id": trial, "largest_difference": largest, "missing_epochs": missing, "epochs": epochs})
        return
    about = f"trial {trial} ({replayed.architecture}), {len(replayed.epochs)} epochs"
    if missing:
        results().print(f"{about}: not the same as in the journal, which has {replayed.epochs_then}")
        return
    verdict = "the same" if replayed.largest_difference <= SAME else "not the same"
    results().print(f"{about}: {verdict} as in the journal, largest difference {replayed.largest_difference:.2g}")


def _finite(difference: float) -> float | None:
    """Return None for an infinite difference, of what is missing on one side: JSON has no number for it."""
    return difference if math.isfinite(difference) else None
