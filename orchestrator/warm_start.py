"""--warm-start: the best configurations of a task's earlier sweeps, as points that a new sweep tries first."""

from collections.abc import Mapping, Sequence

from orchestrator.plan import DataKind, SweepPlan, WarmPoint
from orchestrator.points import parse_points
from orchestrator.ranking import rank_trials
from orchestrator.space import Fixed, Scalar, Space, SpaceFaults, defaults, is_active
from orchestrator.sweep_state import SweepState, TrialState
from trainables.catalog import architecture

MOST_POINTS = 3  # of each architecture, which are tried before the sampler is asked
WarmPoints = Mapping[str, Sequence[WarmPoint]]


def warm_points(
    sweeps: Sequence[SweepState], task: str, kind: DataKind, digest: str, metric: str, spaces: Mapping[str, Space]
) -> dict[str, tuple[WarmPoint, ...]]:
    """Return for each architecture the best points of earlier sweeps that its search space holds.

    Those on the same data come first, then by score: on other data scores do not compare, yet what was good there is a
    better guess than none. What was no better than the defaults there is left out. Only trials that came to their end
    by the same metric count, on images of the same kind; what the new sweep fixes is as it says.
    """
    known = [state for state in sweeps if state.plan.task == task and state.plan.data.kind == kind]
    known = [state for state in known if state.plan.metric == metric]
    found: dict[str, list[WarmPoint]] = {name: [] for name in spaces}
    for is_same in (True, False):
        of_kind = [state for state in known if (state.plan.data.digest == digest) == is_same]
        owners = {id(trial): state for state in of_kind for trial in state.trials.values()}
        done = [trial for state in of_kind for trial in state.trials.values() if trial.state == "completed"]
        open_names = set(spaces)
        for trial in rank_trials(done, metric):
            if trial.architecture not in open_names or len(found[trial.architecture]) >= MOST_POINTS:
                continue
            values = _point(trial, spaces[trial.architecture])
            if values == defaults(spaces[trial.architecture]):
                open_names.discard(trial.architecture)  # the rest was no better than what is tried anyway
            elif values is not None and values not in [one.values for one in found[trial.architecture]]:
                about = {"sweep_id": owners[id(trial)].started.sweep_id, "trial": trial.number, "same_data": is_same}
                point = WarmPoint(**about, score=trial.validation.get(metric), values=values)
                found[trial.architecture].append(point)
    return {name: tuple(points) for name, points in found.items() if points}


def warm_mark(plan: SweepPlan, trial: TrialState) -> str:
    """Return whose configuration a trial tries again, nothing where it is none of an earlier sweep."""
    for point in plan.warm_points.get(trial.architecture, ()):
        if point.values.items() <= trial.hyperparameters.items():
            return f"{point.sweep_id} trial {point.trial}"
    return ""


def warm_sentence(points: WarmPoints) -> str:
    """Return one line for people: how many points, and whose."""
    every = [point for own in points.values() for point in own]
    if not every:
        return "warm start: no earlier trial of this task lies in these search spaces"
    same = sum(point.same_data for point in every)
    sweeps = len({point.sweep_id for point in every})
    whose = f"{len(every)} configurations of {sweeps} earlier {'sweep' if sweeps == 1 else 'sweeps'}"
    return f"warm start: {whose} are tried after the defaults, {same} of them on the same data"


def _point(trial: TrialState, space: Space) -> dict[str, Scalar] | None:
    """Return a trial's configuration as a point of a space, None where it is none."""
    chosen: dict[str, Scalar] = {}
    for name, parameter in space.items():
        if is_active(parameter, chosen):
            default = parameter.default
            chosen[name] = default if isinstance(parameter, Fixed) else trial.hyperparameters.get(name, default)
    try:
        (whole,) = parse_points([chosen], space, architecture(trial.architecture).config)
    except SpaceFaults:
        return None
    return whole
