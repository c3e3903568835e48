"""`orchestrate replay`: one trial of a sweep once more, beside what the journal says of it."""

import math
import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from orchestrator.replay import Replay

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
    from orchestrator.open_sweep import Notice
    from orchestrator.replay import ReplayedEpoch, replay_trial
    from orchestrator.sweep_request import SweepRequest

    machine = SweepRequest(
        name="",
        home=environment.home(),
        tracking_uri=environment.tracking_uri(),
        max_cache_bytes=environment.max_cache_bytes(),
    )

    def say(heard: ReplayedEpoch | Notice) -> None:
        if isinstance(heard, Notice):
            messages().print(heard.text, soft_wrap=True)
            return
        beside = f"largest difference {heard.difference:.2g}" if heard.then else "the journal has none"
        messages().print(f"epoch {heard.epoch}: {beside}")

    with redirect_stdout(sys.stderr), DataProgress() as progress:
        replayed = replay_trial(sweep_id, trial, machine, progress, say)
    missing = max(0, replayed.epochs_then - len(replayed.epochs))
    if as_json:
        epochs = [
            {
                "epoch": one.epoch,
                "difference": _finite(one.difference) if one.then else None,
                "now": one.now,
                "then": one.then,
            }
            for one in replayed.epochs
        ]
        largest = _finite(replayed.largest_difference) if replayed.epochs_then else None  # nothing is compared
        told = {"trial_id": trial, "largest_difference": largest, "missing_epochs": missing, "epochs": epochs}
        print_json({**told, "fault_then": replayed.fault_then, "fault_now": replayed.fault_now})
        return
    about = f"trial {trial} ({replayed.architecture}), {len(replayed.epochs)} epochs"
    if missing:
        said = f"{about}: not the same as in the journal, which has {replayed.epochs_then}"
    elif not replayed.epochs_then:
        said = f"{about}: the journal has none"
    else:
        verdict = "the same" if replayed.largest_difference <= SAME else "not the same"
        said = f"{about}: {verdict} as in the journal, largest difference {replayed.largest_difference:.2g}"
    results().print(said)
    if replayed.fault_then:
        results().print(_on_fault(replayed))


def _on_fault(replayed: "Replay") -> str:
    """Tell whether a trial that failed did so again, and whether for the same reason."""
    then, now = replayed.fault_then, replayed.fault_now
    if now == then:
        return f"it failed again, for the same reason: {now}"
    return (
        f"it failed again, for another reason: {now}; then: {then}" if now else f"it did not fail again; then: {then}"
    )


def _finite(difference: float) -> float | None:
    """Return None for an infinite difference, of what is missing on one side: JSON has no number for it."""
    return difference if math.isfinite(difference) else None
