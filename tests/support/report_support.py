"""States of sweeps as a report shows them, from a made-up search: no training, the same every time."""

import math
import random
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from plan_support import data_summary
from sweep_support import started, suggested

from orchestrator.journal import (
    EpochEnded,
    Event,
    FinalistEvaluated,
    SweepEnded,
    TrialEnded,
    TrialStarted,
    WinnerChosen,
)
from orchestrator.plan import SweepPlan
from orchestrator.ranking import choose_finalists
from orchestrator.space import Choice, Fixed, IntRange, Parameter, Scalar, Space, is_active
from orchestrator.sweep_file import SweepFile, load_sweep_file
from orchestrator.sweep_files import find_sweep_file
from orchestrator.sweep_state import SweepState, replay
from trainables.catalog import default_hyperparameters
from trainables.evaluation.metrics import METRICS

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><!--",
    "\"onmouseover='alert(1)' x=\"",
    "&lt;b&gt; &amp;amp;",
    "**bold** | `code` | [x](javascript:alert(1))",
    "line\nbreak\ttab \u2028 \u2029",
    "🧠 \u202eevil\u202c ünïcode",
    "x" * 255,
    "]]> {{7*7}} ${7*7} %s",
]


@cache
def _file(sweep: str, preset: str) -> SweepFile:
    return load_sweep_file(find_sweep_file(sweep), preset)


def search_plan(sweep: str = "stroke_hybrid", preset: str = "full", **changes: object) -> SweepPlan:
    """Return the plan of a sweep file."""
    file = _file(sweep, preset)
    plan = SweepPlan(
        sweep=sweep, task=file.task, classes=("normal", "stroke"), preset=preset, weights="random", seed=0,
        data=data_summary("real"), metric="auroc", direction="max", architectures=file.architectures,
        published=dict.fromkeys(file.architectures, False), budget=file.budget, search=file.search,
        scheduler=file.scheduler,
    )  # fmt: skip
    return plan.model_copy(update=changes)


def drawn(space: Space, architecture: str, draw: random.Random) -> dict[str, Scalar]:
    """Return a whole configuration drawn from a search space."""
    chosen: dict[str, Scalar] = {}
    for name, parameter in space.items():
        if is_active(parameter, chosen):
            chosen[name] = _value(parameter, draw)
    return {**default_hyperparameters(architecture), **chosen}


def _value(parameter: Parameter, draw: random.Random) -> Scalar:
    if isinstance(parameter, Fixed):
        return parameter.default
    if isinstance(parameter, Choice):
        return draw.choice(parameter.choices)
    low, high = parameter.low, parameter.high
    if parameter.log:
        value = math.exp(draw.uniform(math.log(low), math.log(high)))
    else:
        value = draw.uniform(low, high)
    return (
        min(max(round(value), int(low)), int(high)) if isinstance(parameter, IntRange) else min(max(value, low), high)
    )


def metrics_at(auroc: float | None, draw: random.Random) -> dict[str, float | None]:
    """Return the metrics of an epoch, all but one made up."""
    found: dict[str, float | None] = {f"val/{name}": draw.random() for name in METRICS}
    loss = 0.7 if auroc is None else 1.3 - auroc
    return {**found, "val/auroc": auroc, "val/log_loss": loss, "train/loss": loss * 0.8, "perf/epoch_s": 2.0}


def search_events(plan: SweepPlan, trials: int, epochs: int, seed: int = 0) -> Iterator[Event]:
    """Yield a search in which the learning rate decides most: a third trains to its end, some trials fail."""
    draw = random.Random(seed)
    yield started(plan)
    names = list(plan.architectures)
    for number in range(trials):
        name = names[number % len(names)]
        values = drawn(plan.architectures[name], name, draw)
        yield suggested(number, name, **values)
        yield TrialStarted(trial=number)
        lr = float(values["lr"])
        best = 0.95 - 0.08 * (math.log10(lr) + 3.8) ** 2 - 0.04 * (number % len(names)) + draw.gauss(0, 0.02)
        last = epochs if draw.random() < 0.35 else draw.choice([3, 3, 3, 9])
        state, reason = ("completed", f"all {epochs} epochs trained") if last >= epochs else ("pruned", "ASHA")
        for at in range(1, min(last, epochs) + 1):
            auroc = min(0.5 + (max(best, 0.3) - 0.5) * (1 - math.exp(-at / 3)) + draw.gauss(0, 0.012), 1.0)
            yield EpochEnded(trial=number, epoch=at, metrics=metrics_at(auroc, draw) | {"perf/parameters": 11e6})
        if draw.random() < 0.02:
            state, reason = "failed", "loss is not finite at step 31"
        elif state == "pruned":
            reason = f"ASHA at epoch {last}: auroc {auroc:.4f} below the rung's cut 0.7400 of {number} trials"
        yield TrialEnded(trial=number, state=state, reason=reason)


def finalist_event(number: int, auroc: float = 0.81) -> FinalistEvaluated:
    """Return a finalist's evaluation with intervals."""
    test = {name: (auroc if name == "auroc" else 0.7) for name in METRICS}
    return FinalistEvaluated(
        trial=number, validation=dict.fromkeys(METRICS, 0.9), test=test, test_groups=24, leak_free_images=4,
        test_intervals={name: (value - 0.1, value + 0.1) for name, value in test.items()}, test_leak_free=test,
        further={"test/MR/auroc": 0.8, "test/MR/auroc_low": 0.7, "test/MR/auroc_high": 0.9, "temperature": 1.2},
    )  # fmt: skip


def finished(events: Iterable[Event]) -> SweepState:
    """Return the state of a search that went on to finalists, a winner and its end."""
    state = replay(events)
    finalists = choose_finalists(state)
    for trial in finalists:
        state.apply(finalist_event(trial.number))
    if finalists:
        state.apply(WinnerChosen(trial=finalists[0].number))
    state.apply(SweepEnded(state="completed"))
    return state


def with_summary(plan: SweepPlan, changes: Mapping[str, object]) -> SweepPlan:
    """Return a plan with other data."""
    return plan.model_copy(update={"data": plan.data.model_copy(update=dict(changes))})
