"""Sweeps without Ray: plans, the lines of journals, and an open sweep that the parts of the tuning adapter write to."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from plan_support import data_summary

from orchestrator.journal import EpochEnded, SweepStarted, TrialStarted, TrialSuggested
from orchestrator.open_sweep import OpenSweep, opened
from orchestrator.plan import SweepPlan
from orchestrator.space import Space
from orchestrator.sweep_file import SweepFile, load_sweep_file
from orchestrator.sweep_files import find_sweep_file

EPOCHS = 6


@cache
def _sweep_file(overrides: tuple[tuple[str, str], ...]) -> SweepFile:
    return load_sweep_file(find_sweep_file("stroke_hybrid"), "quick", dict(overrides))


def make_plan(
    *, seed: int = 0, architectures: dict[str, Space] | None = None, algorithm: str | None = None, **settings: object
) -> SweepPlan:
    """Return the plan of stroke_hybrid's quick preset; settings are written budget__trials=3."""
    file = _sweep_file(tuple((name.replace("__", "."), str(value)) for name, value in settings.items()))
    spaces = architectures or file.architectures
    search = file.search.model_copy(update={"algorithm": algorithm or file.search.algorithm})
    return SweepPlan(
        sweep="stroke_hybrid", task="stroke", classes=("normal", "stroke"), preset="quick", weights="random", seed=seed,
        data=data_summary("real"), metric="auroc", direction="max", architectures=spaces,
        published=dict.fromkeys(spaces, False), budget=file.budget, search=search, scheduler=file.scheduler,
    )  # fmt: skip


def started(plan: SweepPlan, sweep_id: str = "s") -> SweepStarted:
    return SweepStarted(
        sweep_id=sweep_id, plan=plan, plan_digest=plan.digest, slots=1, device="cpu", versions={}, git={}
    )


@contextmanager
def open_sweep(folder: Path, plan: SweepPlan | None = None, sweep_id: str = "s") -> Iterator[OpenSweep]:
    """Open a folder as a sweep; a new one begins with the plan."""
    folder.mkdir(exist_ok=True)
    with opened(folder, lambda event, state: None) as sweep:
        if not sweep.past:
            sweep.append(started(plan or make_plan(), sweep_id))
        yield sweep


def suggested(number: int, architecture: str = "resnet_vit", **hyperparameters: object) -> TrialSuggested:
    return TrialSuggested(
        trial=number, architecture=architecture, hyperparameters=hyperparameters or {"lr": 1e-4}, seed=number,
        published=False,
    )  # fmt: skip


def begin(sweep: OpenSweep, number: int, architecture: str = "resnet_vit") -> None:
    sweep.append(suggested(number, architecture))
    sweep.append(TrialStarted(trial=number))


def epoch(number: int, at: int, auroc: float | None, **further: object) -> EpochEnded:
    metrics = {"val/auroc": auroc, "val/log_loss": 0.5, "perf/epoch_s": 2.0}
    return EpochEnded(trial=number, epoch=at, metrics=metrics, **further)
