"""A finished sweep as its caller sees it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.ranking import leak_free, spread_over, with_interval
from orchestrator.report.writer import page_of_sweep
from orchestrator.sweep_state import SweepState


@dataclass(frozen=True)
class SweepResult:
    """A finished sweep: its folder and its journal, replayed."""

    folder: Path
    state: SweepState
    wall_s: float

    @property
    def report(self) -> Path | None:
        """Return the page for people; None where it could not be written."""
        page = page_of_sweep(self.folder)
        return page if page.is_file() else None

    def to_json(self) -> dict[str, Any]:
        """Return the keys that the command line's contract names."""
        state, plan = self.state, self.state.plan
        states = [trial.state for trial in state.trials.values()]
        return {
            "sweep_id": state.started.sweep_id,
            "task": plan.task,
            "data_kind": plan.data.kind,
            "split": plan.data.split,
            "leaking_test_images": sum(plan.data.leaks.values()),
            "trials": len(states),
            "states": {name: states.count(name) for name in ("completed", "pruned", "failed")},
            "winner": _winner_json(state),
            "registered": state.tracked.registered.model_dump() if state.tracked and state.tracked.registered else None,
            "journal": str(self.folder / "journal.jsonl"),
            "report": None if self.report is None else str(self.report),
            "tracking_uri": state.tracked.tracking_uri if state.tracked else None,
            "wall_s": round(self.wall_s, 3),
            "epoch_compute_s": round(sum(trial.compute_s for trial in state.trials.values()), 3),
            "slots": state.slots,
        }


def _winner_json(state: SweepState) -> dict[str, Any] | None:
    if state.winner is None:
        return None
    finalist = state.finalists[state.winner]
    run_ids = state.tracked.trial_run_ids if state.tracked else {}
    return {
        "trial_id": state.winner,
        "architecture": state.trials[state.winner].architecture,
        "run_id": run_ids.get(state.winner),
        "validation": finalist.validation,
        "test": with_interval(finalist.test, finalist.test_intervals),
        "test_groups": finalist.test_groups,
        "test_leak_free": leak_free(finalist),
        "leak_free_images": finalist.leak_free_images,
        "leak_free_reason": finalist.leak_free_reason,
        "seeds": spread_over("seed", state, state.winner),
        "folds": spread_over("fold", state, state.winner),
    }
