"""`orchestrate status`, `logs` and `stop`: a sweep that another terminal started, or that nobody runs any more.

One that runs on a cluster is asked there: `elsewhere.py`.
"""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.errors import BadInput

STOP_WITHIN_S = 30.0
Address = Annotated[
    str | None, typer.Option(help="of the cluster it was submitted to; else known", metavar="http://HEAD:8265")
]


def status(
    sweep_id: Annotated[str, typer.Argument(metavar="SWEEP_ID")],
    address: Address = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Say how far a sweep is, and whether anybody runs it."""
    from orchestrator.cli import elsewhere, environment
    from orchestrator.cli.console import print_json, results, visible
    from orchestrator.open_sweep import state_of
    from orchestrator.ranking import format_metric, rank_trials
    from orchestrator.sweep_lock import living_owner
    from orchestrator.words import in_words

    home = environment.home_to_read()
    if elsewhere.is_elsewhere(home, sweep_id, address):
        elsewhere.status(home, sweep_id, address, as_json)
        return
    folder = elsewhere.folder_here(home, sweep_id)
    state, owner = state_of(folder), living_owner(folder)
    plan, metric = state.plan, state.plan.metric
    counts = {name: 0 for name in ("waiting", "running", "completed", "pruned", "failed", "interrupted")}
    for trial in state.trials.values():
        counts[trial.state] += 1
    ranked = rank_trials(list(state.trials.values()), metric)
    now = "running" if owner else state.ended.state if state.ended else "killed"
    about: dict[str, Any] = {
        "sweep_id": sweep_id,
        "task": plan.task,
        "state": now,
        "reason": state.ended.reason if state.ended and not owner else "",
        "owner": owner.name if owner else None,
        "trials": plan.budget.trials,
        "states": counts,
        "epochs": sum(len(trial.epochs) for trial in state.trials.values()),
        "best": {"trial_id": ranked[0].number, metric: ranked[0].validation.get(metric)} if ranked else None,
        "winner": state.winner,
    }
    if as_json:
        print_json(about)
        return
    console = results()
    console.print(
        f"{sweep_id}: {now}" + (f", by {owner.name}" if owner else "") + visible(f" {about['reason']}".rstrip())
    )
    said = ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "none yet"
    console.print(f"{plan.budget.trials} trials of at most {plan.budget.epochs} epochs; so far {said}")
    if ranked:
        best = ranked[0]
        console.print(
            f"best {metric} {format_metric(best.validation.get(metric))}: trial {best.number}, {best.architecture}"
        )
    for trial in state.trials.values():
        if trial.state == "running":
            where = f", on {visible(trial.epochs[-1].node)}" if trial.epochs and trial.epochs[-1].node else ""
            since_s = time.time() - (trial.epochs[-1].time if trial.epochs else trial.started_at)
            console.print(
                f"trial {trial.number} {trial.architecture}: epoch {trial.last_epoch} of {plan.budget.epochs}, "
                f"{in_words(since_s)} ago{where}"
            )
        elif trial.state == "failed":
            console.print(f"trial {trial.number} failed: {visible(trial.reason)}", soft_wrap=True)
    if now in ("killed", "interrupted"):
        console.print(f"to go on: orchestrate resume {sweep_id}")


def logs(
    sweep_id: Annotated[str, typer.Argument(metavar="SWEEP_ID")],
    trial: Annotated[int | None, typer.Option(help="one trial's; else those of all that failed")] = None,
    lines: Annotated[int, typer.Option(help="of each log at most, from its end", min=1)] = 50,
    address: Address = None,
) -> None:
    """Show what the processes of trials printed: warnings, tracebacks, the stacks of a hang or crash."""
    from orchestrator.cli import elsewhere, environment
    from orchestrator.cli.console import messages, results
    from orchestrator.open_sweep import state_of

    home = environment.home_to_read()
    if elsewhere.is_elsewhere(home, sweep_id, address):
        elsewhere.logs(home, sweep_id, address, trial, lines)
        return
    folder = elsewhere.folder_here(home, sweep_id)
    state = state_of(folder)
    if trial is not None and trial not in state.trials:
        raise BadInput(f"--trial {trial}: {sweep_id} has {len(state.trials)} trials so far, numbered from 0")
    failed = [number for number, known in state.trials.items() if known.state == "failed"]
    for number in failed if trial is None else [trial]:
        known = state.trials[number]
        messages().print(f"trial {number} {known.architecture}: {known.state}; {known.reason}", soft_wrap=True)
        results().print(_tail(folder / "trials" / f"{number:04d}" / "log.txt", lines), soft_wrap=True)
    if trial is None and not failed:
        messages().print(f"no trial of {sweep_id} has failed; --trial N shows the log of any")


def stop(sweep_id: Annotated[str, typer.Argument(metavar="SWEEP_ID")], address: Address = None) -> None:
    """End a sweep as Ctrl-C would, from another terminal: every finished epoch is kept, and it can be resumed."""
    from orchestrator.cli import elsewhere, environment
    from orchestrator.cli.console import messages
    from orchestrator.sweep_lock import STOP_REQUEST, living_owner

    home = environment.home_to_read()
    if elsewhere.is_elsewhere(home, sweep_id, address):
        elsewhere.stop(home, sweep_id, address)
        return
    folder = elsewhere.folder_here(home, sweep_id)
    owner = living_owner(folder)
    if owner is None:
        raise BadInput(f"{sweep_id}: nobody runs it; orchestrate status {sweep_id} says how it ended")
    (folder / STOP_REQUEST).touch()
    messages().print(f"{owner.name} was asked to end {sweep_id} ...")
    deadline_s = time.monotonic() + STOP_WITHIN_S
    while living_owner(folder) is not None:
        if time.monotonic() > deadline_s:
            raise BadInput(f"{sweep_id}: {owner.name} has not ended it within {STOP_WITHIN_S:.0f} s; end that process")
        time.sleep(0.2)
    messages().print(f"it has ended; to go on: orchestrate resume {sweep_id}")


def _tail(path: Path, count: int) -> str:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "(its process has printed nothing)"
    return "\n".join(text.splitlines()[-count:]) or "(its process has printed nothing)"
