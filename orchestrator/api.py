"""The project from Python, a notebook maybe: what the command line calls, with tables as DataFrames."""

import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from orchestrator.asked_sweeps import asked_sweeps
from orchestrator.boards import boards_of
from orchestrator.errors import BadInput, unknown_name
from orchestrator.history import all_sweeps, sweeps_of
from orchestrator.home import Home, open_home
from orchestrator.own_tasks import load_own_tasks, task_named
from orchestrator.ranking import LeaderboardRow
from orchestrator.sweep_request import SweepRequest
from orchestrator.sweep_result import SweepResult
from orchestrator.sweep_sections import ALLOCATIONS, PRESETS, Allocation, Preset
from trainables.catalog import Weights

if TYPE_CHECKING:
    import pandas as pd

    from orchestrator.tracking.loaded_model import LoadedModel

HOME = Path("var")


def run_sweep(
    *names: str | Path,
    task: str | Path | None = None,
    data: str | Path | None = None,
    home: str | Path = HOME,
    tracking_uri: str | None = None,
    preset: Preset | None = None,
    architectures: Iterable[str] = (),
    exclude: Iterable[str] = (),
    settings: Mapping[str, object] | None = None,
    trials: int | None = None,
    epochs: int | None = None,
    finalists: int | None = None,
    seed: int = 0,
    slots: int | None = None,
    metric: str | None = None,
    weights: Weights | None = None,
    split: Literal["shipped", "grouped"] | None = None,
    folds: int = 1,
    seeds: int = 1,
    time_budget_s: float | None = None,
    allocation: Allocation | None = None,
    warm_start: bool = False,
    max_disk_bytes: int | None = None,
    sweep_id: str | None = None,
) -> SweepResult:
    """Run one sweep to its registered winner, as `orchestrate sweep` does: from one or several files of one task.

    `names` are names of sweeps or paths of their files; or `task`, also a path of a task file, for every architecture
    that fits it. Nothing is read from the environment: `data` is a folder, a table or "phantom" (None: what an own
    task's file says, else phantom), `home` takes the place of ORCHESTRATE_HOME. `settings` are those of --set. Raises
    BadInput for what the command line ends with 2 for, NoUsableTrial, and Interrupted: `orchestrate resume` goes on
    then.
    """
    from orchestrator.sweep import run_sweep as run

    _check("preset", preset, PRESETS)
    _check("weights", weights, ("pretrained", "random"))
    _check("split", split, ("shipped", "grouped"))
    _check("allocation", allocation, ALLOCATIONS)
    for name in names:
        _require_place("names", name)
    architectures, exclude = _names("architectures", architectures), _names("exclude", exclude)
    if settings is not None and not (isinstance(settings, Mapping) and all(isinstance(key, str) for key in settings)):
        raise BadInput(f"settings={settings!r}: expected a dict of names and values, such as {{'lr': 0.001}}")
    for what, text in (("tracking_uri", tracking_uri), ("metric", metric), ("sweep_id", sweep_id)):
        if text is not None:
            _require_text(what, text)
    _require_place("home", home)
    for what, place in (("data", data), ("task", task)):
        if place is not None:
            _require_place(what, place)
    seed, folds, seeds = _whole("seed", seed), _whole("folds", folds), _whole("seeds", seeds)
    trials, epochs = _whole_or_none("trials", trials), _whole_or_none("epochs", epochs)
    finalists, slots = _whole_or_none("finalists", finalists), _whole_or_none("slots", slots)
    max_disk_bytes = _whole_or_none("max_disk_bytes", max_disk_bytes)
    if seed < 0:
        raise BadInput(f"seed={seed}: expected at least 0")
    if time_budget_s is not None and not (isinstance(time_budget_s, Real) and 0 < time_budget_s < math.inf):
        raise BadInput(f"time_budget_s={time_budget_s!r}: expected a number of seconds above 0")
    opened = open_home(Path(home))
    load_own_tasks(opened)
    task_name, task_text = (None, "") if task is None else task_named(opened, str(task))
    asked = asked_sweeps([str(name) for name in names], task_name, every_task=False)
    if len(asked) > 1:
        raise BadInput(f"{', '.join(map(str, names))}: are of several tasks; run one sweep for each")
    request = SweepRequest(
        name=asked[0].name,
        task=asked[0].task,
        task_text=task_text,
        files=asked[0].files,
        home=opened,
        data=None if data is None else str(data),
        tracking_uri=tracking_uri,
        preset=preset,
        architectures=architectures,
        exclude=exclude,
        overrides={name: _as_text(value) for name, value in (settings or {}).items()},
        trials=trials,
        epochs=epochs,
        finalists=finalists,
        seed=seed,
        slots=slots,
        metric=metric,
        weights=weights,
        split=split,
        folds=folds,
        seeds=seeds,
        time_budget_s=None if time_budget_s is None else float(time_budget_s),
        allocation=allocation,
        warm_start=warm_start,
        max_disk_bytes=max_disk_bytes,
        sweep_id=sweep_id,
    )
    return run(request, lambda what, done, of: None, lambda event, state: None)


def leaderboard(reference: str | SweepResult, home: str | Path = HOME) -> "pd.DataFrame":
    """Return every trial of a task's sweeps that compare with the newest, or of one sweep, best first.

    A column per score (`validation_auroc`, `test_auroc`, `test_auroc_low` ...) and hyperparameter (`lr` ...). Raises
    BadInput for a name that is neither a task, <task>_phantom nor a sweep's id.
    """
    import pandas as pd

    if isinstance(reference, SweepResult):
        sweeps, own = [reference.state], Home(reference.folder.parents[1])
    else:
        _require_text("reference", reference)
        _require_place("home", home)
        own = Home(Path(home).absolute())
        load_own_tasks(own)
        sweeps = sweeps_of(all_sweeps(own)[0], reference)
    board = boards_of(sweeps, own.test_ledger)[0]
    return pd.DataFrame([_record(row) for row in board.rows])


def load_model(reference: str, home: str | Path = HOME, tracking_uri: str | None = None) -> "LoadedModel":
    """Return the version that TASK (its champion, else its challenger), TASK@alias or TASK@number means, loaded.

    Raises BadInput where there is none, and where the store cannot be reached.
    """
    from orchestrator.tracking.loaded_model import load_version

    _require_text("reference", reference)
    _require_place("home", home)
    if tracking_uri is not None:
        _require_text("tracking_uri", tracking_uri)
    opened = open_home(Path(home))
    load_own_tasks(opened)
    return load_version(reference, opened, tracking_uri)


def _check(what: str, given: str | None, known: Sequence[str]) -> None:
    if given is not None and given not in known:
        raise BadInput(f"{what}: {unknown_name('value', str(given), known)}")


def _require_text(what: str, given: object) -> None:
    if not isinstance(given, str):
        only = "; only names of sweeps, home, data and task may be paths" if isinstance(given, Path) else ""
        raise BadInput(f"{what}={given!r}: expected text{only}")


def _names(what: str, given: Iterable[str]) -> tuple[str, ...]:
    """Return the names of whatever holds them; those of a set, which has no order of its own, by the alphabet."""
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise BadInput(f"{what}={given!r}: expected a list of names")
    try:
        listed = list(given)
    except TypeError as error:  # numpy's array of no dimension
        raise BadInput(f"{what}={given!r}: expected a list of names") from error
    for one in listed:
        _require_text(what, one)
    ordered = sorted(listed) if isinstance(given, set | frozenset) else listed
    return tuple(str(one) for one in ordered)  # numpy's own text, too


def _require_place(what: str, given: object) -> None:
    if not isinstance(given, str | Path):
        raise BadInput(f"{what}={given!r}: expected text or a path")


def _whole(what: str, given: int) -> int:
    """Return a number of whatever library as Python's own."""
    try:
        if not isinstance(given, bool):
            return operator.index(given)
    except TypeError:
        pass
    raise BadInput(f"{what}={given!r}: expected a whole number")


def _whole_or_none(what: str, given: int | None) -> int | None:
    return None if given is None else _whole(what, given)


def _record(row: LeaderboardRow) -> dict[str, object]:
    scores: dict[str, object] = {f"validation_{name}": value for name, value in row.validation.items()}
    for name, (value, low, high) in (row.test or {}).items():
        scores |= {f"test_{name}": value, f"test_{name}_low": low, f"test_{name}_high": high}
    about = {"rank": row.rank, "sweep_id": row.sweep_id, "trial": row.trial_id, "architecture": row.architecture}
    state = {"epochs": row.epochs, "state": row.state, "stop_reason": row.stop_reason, "is_winner": row.is_winner}
    return {**about, **scores, **state, **row.hyperparameters}


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
