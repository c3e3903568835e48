"""Optuna asked, reported to and told the truth: one study per architecture, or one that chooses among them."""

import warnings
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import TrialState

from orchestrator.plan import SweepPlan
from orchestrator.points import grid
from orchestrator.seeds import SeedPath, child_seed
from orchestrator.space import Choice, Fixed, FloatRange, IntRange, Parameter, Scalar, Space, defaults, is_active
from orchestrator.tuning.packing import turn_of

ARCHITECTURE = "architecture"  # the parameter by which one study chooses among several
TRIAL = "orchestrate.trial"  # user attribute in the file that optuna-dashboard opens
ENDING = ("grid", "fixed")  # they have nothing to propose once their points are tried
RELIVING = ("cmaes",)  # samplers that learn while they are asked: a replay must ask them again


@dataclass(frozen=True)
class Suggestion:
    """What is to be tried: the values of a search space whose conditions hold."""

    architecture: str
    chosen: dict[str, Scalar]


class Studies:
    """What Optuna knows of a sweep's trials, by their numbers.

    Pruned trials are PRUNED with all that they reported, failed ones FAIL, others COMPLETE with their best score.
    """

    def __init__(self, plan: SweepPlan, dashboard: Path | None) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        self._plan = plan
        self._direction = StudyDirection.MAXIMIZE if plan.direction == "max" else StudyDirection.MINIMIZE
        self._shared = plan.search.allocation == "adaptive"
        names = [plan.sweep] if self._shared else list(plan.architectures)
        self._studies = {name: optuna.create_study(direction=self._direction) for name in names}
        self._points = {name: _fixed_points(plan, name) for name in plan.architectures}
        self._asked: dict[int, tuple[str, optuna.Trial]] = {}
        self._counts = dict.fromkeys(plan.architectures, 0)
        self._reports: dict[int, dict[int, float]] = {}
        self._file = DashboardFile(dashboard, self._direction) if dashboard else None

    def ask(self, number: int, open_architectures: list[str]) -> Suggestion | None:
        """Return what trial `number` tries, of the architectures that are still open; None where none is left."""
        names = [name for name in self._plan.architectures if name in open_architectures and self._has_more(name)]
        if not names:
            return None
        first = [name for name in names if self._counts[name] < len(self._points[name])]
        if not self._shared:
            turn = turn_of(number, self._plan)
            name = turn if turn in names else names[number % len(names)]
        elif first:
            name = min(first, key=lambda one: self._counts[one])
        else:
            return self._ask_study(number, None, names)
        fixed = self._points[name][self._counts[name]] if name in first else None
        return self._ask_study(number, Suggestion(name, fixed) if fixed is not None else None, [name])

    def report(self, number: int, epoch: int, value: float | None) -> None:
        """Report one epoch; a value that is missing, and an epoch that was reported, are passed over."""
        if value is None or number not in self._asked or epoch in self._reports[number]:
            return
        self._reports[number][epoch] = value
        self._asked[number][1].report(value, step=epoch)

    def tell(self, number: int, state: TrialState) -> None:
        """Tell how a trial ended; one without a single report has failed."""
        if number not in self._asked:
            return
        name, trial = self._asked.pop(number)
        reports = self._reports.pop(number)
        study = self._studies[name]
        if state == TrialState.COMPLETE and reports:
            best = max(reports.values()) if self._direction == StudyDirection.MAXIMIZE else min(reports.values())
            study.tell(trial, best)
        else:
            study.tell(trial, state=TrialState.PRUNED if state == TrialState.PRUNED and reports else TrialState.FAIL)
        if self._file is not None:
            self._file.add(name, study.get_trials(deepcopy=False)[trial.number], number)

    def suggested_before(self, number: int, suggestion: Suggestion) -> None:
        """Take in what the journal says was suggested, as if it were asked for now."""
        name = suggestion.architecture
        if self._plan.search.algorithm in RELIVING and self._counts[name] >= len(self._points[name]):
            if self._ask_study(number, None, [name]) == suggestion:
                return
            own, trial = self._asked.pop(number)  # another release of the sampler: at least the values are right
            self._studies[own].tell(trial, state=TrialState.FAIL)
            self._counts[name] -= 1
        self._ask_study(number, suggestion, [name], replayed=True)

    def _ask_study(
        self, number: int, fixed: Suggestion | None, names: list[str], *, replayed: bool = False
    ) -> Suggestion:
        own = self._plan.sweep if self._shared else names[0]
        study = self._studies[own]
        study.sampler = optuna.samplers.RandomSampler(seed=0) if replayed else self._sampler(number)
        if fixed is not None:
            study.enqueue_trial(self._prefixed(fixed), user_attrs={TRIAL: number})
        trial = study.ask()
        trial.set_user_attr(TRIAL, number)
        name = names[0]
        if self._shared:
            every = list(self._plan.architectures)
            name = str(trial.suggest_categorical(ARCHITECTURE, every))
            if name not in names:  # given up, or a grid at its end: the sampler cannot know
                study.tell(trial, state=TrialState.FAIL)
                name = names[number % len(names)]
                study.enqueue_trial({ARCHITECTURE: name}, user_attrs={TRIAL: number})
                trial = study.ask()
                trial.suggest_categorical(ARCHITECTURE, every)
        chosen = ask_space(self._plan.architectures[name], trial, self._prefix(name))
        self._asked[number], self._reports[number] = (own, trial), {}
        self._counts[name] += 1
        return Suggestion(name, chosen)

    def _prefix(self, name: str) -> str:
        return f"{name}." if self._shared else ""

    def _prefixed(self, suggestion: Suggestion) -> dict[str, Scalar]:
        prefix = self._prefix(suggestion.architecture)
        values = {prefix + name: value for name, value in suggestion.chosen.items()}
        return {ARCHITECTURE: suggestion.architecture, **values} if self._shared else values

    def _has_more(self, name: str) -> bool:
        return self._plan.search.algorithm not in ENDING or self._counts[name] < len(self._points[name])

    def _sampler(self, number: int) -> optuna.samplers.BaseSampler:
        seed = child_seed(self._plan.seed, SeedPath.SAMPLER, number)
        match self._plan.search.algorithm:
            case "random" | "grid" | "fixed":
                return optuna.samplers.RandomSampler(seed=seed)
            case "gp":
                return optuna.samplers.GPSampler(seed=seed)
            case "cmaes":
                return optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
            case _:
                return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)


class DashboardFile:
    """Finished trials in a file that optuna-dashboard opens; a trial that it holds is not added again.

    The journal tells all of it again, so a damaged file is put aside and begun anew; where that cannot be, and where
    it cannot be written, there is none: a mere view costs no sweep. Optuna changes no finished trial, so the file is
    begun anew, too, when one that it holds has trained further.
    """

    def __init__(self, path: Path, direction: StudyDirection) -> None:
        self._path = path
        self._direction = direction
        self._studies: dict[str, optuna.Study] = {}
        self._added: dict[int, tuple[str, optuna.trial.FrozenTrial]] = {}
        self._storage: JournalStorage | None = None
        self._held: dict[int, _Told] = {}
        try:
            self._storage, self._held = self._open()
        except Exception:  # noqa: BLE001  by what is in it Optuna raises this or that
            with suppress(Exception):
                path.replace(path.with_name(f"{path.name}.damaged"))
                self._storage, self._held = self._open()

    def add(self, study: str, trial: optuna.trial.FrozenTrial, number: int) -> None:
        """Add one trial to the study of that name."""
        if self._storage is None:
            return
        self._added[number] = study, trial
        with suppress(Exception):
            if number not in self._held:
                self._write(number, self._storage)
            elif self._held[number] != _told(trial):
                self._path.unlink(missing_ok=True)
                self._studies = {}
                self._storage, self._held = self._open()
                for known in self._added:
                    self._write(known, self._storage)

    def _write(self, number: int, storage: JournalStorage) -> None:
        study, trial = self._added[number]
        self._held[number] = _told(trial)
        if study not in self._studies:
            self._studies[study] = optuna.create_study(
                storage=storage, study_name=study, direction=self._direction, load_if_exists=True
            )
        self._studies[study].add_trial(trial)

    def _open(self) -> tuple[JournalStorage, dict[int, "_Told"]]:
        """Return the file's storage, and what it holds of which trials. Raises ValueError for a torn one."""
        if self._path.exists() and self._path.read_bytes()[-1:] not in (b"\n", b""):
            raise ValueError("its last line is torn")
        storage = JournalStorage(JournalFileBackend(str(self._path)))
        studies = [optuna.load_study(study_name=n, storage=storage) for n in optuna.study.get_all_study_names(storage)]
        trials = [trial for study in studies for trial in study.get_trials(deepcopy=False)]
        return storage, {trial.user_attrs[TRIAL]: _told(trial) for trial in trials if TRIAL in trial.user_attrs}


_Told = tuple[TrialState, list[int]]


def _told(trial: optuna.trial.FrozenTrial) -> _Told:
    """Return by what a trial that has trained further is told from itself: its state and its epochs."""
    return trial.state, sorted(trial.intermediate_values)


def ask_space(space: Space, trial: optuna.Trial, prefix: str = "") -> dict[str, Scalar]:
    """Let Optuna choose the parameters whose condition holds; fixed ones are taken as they are."""
    chosen: dict[str, Scalar] = {}
    for name, parameter in space.items():
        if is_active(parameter, chosen):
            chosen[name] = _ask(prefix + name, parameter, trial)
    return chosen


def _ask(name: str, parameter: Parameter, trial: optuna.Trial) -> Scalar:
    match parameter:
        case FloatRange():
            return trial.suggest_float(name, parameter.low, parameter.high, log=parameter.log)
        case IntRange():
            return trial.suggest_int(name, parameter.low, parameter.high, log=parameter.log)
        case Choice():
            chosen: Scalar = trial.suggest_categorical(name, list(parameter.choices))  # type: ignore[assignment]
            return chosen
        case Fixed():
            return parameter.default


def _fixed_points(plan: SweepPlan, name: str) -> list[dict[str, Scalar]]:
    """Return what is tried before the sampler is asked: the defaults, the file's points, and a grid's points."""
    space, own = plan.architectures[name], plan.search.enqueue.get(name, [])
    if plan.search.algorithm == "fixed":
        return _without_repeats(own) or [defaults(space)]
    points = [defaults(space), *own]
    if plan.search.algorithm == "grid":
        points += islice(grid(space), plan.budget.trials)
    return _without_repeats(points)


def _without_repeats(points: Iterable[dict[str, Scalar]]) -> list[dict[str, Scalar]]:
    kept: list[dict[str, Scalar]] = []
    for point in points:
        if point not in kept:
            kept.append(point)
    return kept
