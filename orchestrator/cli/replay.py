"""`orchestrate replay`: one trial of a sweep once more, beside what the journal says of it."""

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
    if as_json:
        epochs = [
            {"epoch": one.epoch, "difference": one.difference, "now": one.now, "then": one.then}
            for one in replayed.epochs
        ]
        print_json({"trial_id": trial, "largest_difference": replayed.largest_difference, "epochs": epochs})
        return
    verdict = "the same" if replayed.largest_difference <= SAME else "not the same"
    results().print(
        f"trial {trial} ({replayed.architecture}), {len(replayed.epochs)} epochs: {verdict} as in the journal, "
        f"largest difference {replayed.largest_difference:.2g}"
    )
