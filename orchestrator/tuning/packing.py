"""Trials of one size are searched together: one fit for each share of a GPU, as Ray Tune packs trials alike well."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from orchestrator.plan import SweepPlan
from orchestrator.sweep_state import SweepState
from orchestrator.tuning.resources import Slots


@dataclass(frozen=True)
class Group:
    """Architectures that one fit searches; the numbers of trials whose turn is one of `others` it leaves to those."""

    architectures: tuple[str, ...]
    gpu_share: float = 0.0
    others: frozenset[str] = frozenset()

    @property
    def sentence(self) -> str:
        """Return one line for people."""
        size = "a whole GPU" if self.gpu_share == 1 else f"{Fraction(self.gpu_share)} of a GPU"
        return f"{size} for each trial of {', '.join(self.architectures)}"


def turn_of(number: int, plan: SweepPlan) -> str:
    """Return the architecture that a trial is of, by its number, as long as each has something to propose."""
    return list(plan.architectures)[number % len(plan.architectures)]


def groups_of(plan: SweepPlan, slots: Slots) -> list[Group]:
    """Return the architectures by the size of their trials, the largest first; a single group where all are alike."""
    groups = []
    for share in sorted({slots.share(name) for name in plan.architectures}, reverse=True):
        own = tuple(name for name in plan.architectures if slots.share(name) == share)
        groups.append(Group(own, share, frozenset(plan.architectures) - frozenset(own)))
    return groups


def fits(state: SweepState, slots: Slots) -> Iterator[Group]:
    """Yield what each fit searches, by what is left when it begins.

    What a group leaves, because its architectures were given up or its time is over, all get in a second round. A
    single group is yielded once.
    """
    groups = groups_of(state.plan, slots)
    if len(groups) == 1:
        yield groups[0]
        return
    for group in [*groups, *(replace(group, others=frozenset()) for group in groups)]:
        if _has_work(state, group):
            yield group


def free_numbers(state: SweepState, group: Group) -> Iterator[int]:
    """Yield the numbers that a group's next trials get, the lowest first: none twice, and none of others."""
    plan = state.plan
    for number in range(plan.budget.trials):
        if number not in state.trials and not (group.others and turn_of(number, plan) in group.others):
            yield number


def part_of_time(state: SweepState, slots: Slots, group: Group) -> float:
    """Return how much of the time left a group gets: by what its trials and those of smaller ones should take."""
    plan = state.plan
    if not group.others or plan.budget.time_s is None:
        return 1.0
    left = Counter(turn_of(number, plan) for number in range(plan.budget.trials) if number not in state.trials)
    left.update(trial.architecture for trial in state.trials.values() if not trial.has_ended)
    left_s = {name: left[name] * state.checked[name].epoch_s / slots.at_once(name) for name in plan.architectures}
    own_s = sum(left_s[name] for name in group.architectures)
    later_s = sum(left_s[name] for name in group.others if slots.share(name) < group.gpu_share)
    return own_s / (own_s + later_s) if later_s else 1.0


def _has_work(state: SweepState, group: Group) -> bool:
    if any(trial.architecture in group.architectures for trial in state.trials.values() if not trial.has_ended):
        return True
    is_open = any(name not in state.given_up for name in group.architectures)
    return is_open and next(free_numbers(state, group), None) is not None
