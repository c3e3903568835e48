"""The rules by which Ray Tune's schedulers stop trials early, asked by trial number, and each stop put into words."""

import math
from typing import Any, Protocol

import numpy as np
from ray.tune.schedulers import AsyncHyperBandScheduler, MedianStoppingRule, TrialScheduler

from orchestrator.plan import SweepPlan
from orchestrator.tuning.trainable import EPOCH

MEDIAN_LEAST_TRIALS = 3


class StopRule(Protocol):
    """Judges the trials that compete with each other."""

    def judge(self, number: int, epoch: int, value: float) -> str:
        """Return why a trial is to stop with this epoch, in words; empty where it is not."""


def make_rule(plan: SweepPlan) -> StopRule | None:
    """Return a new rule for trials that compete with each other; None where none is ever stopped."""
    match plan.scheduler.name:
        case "asha":
            return Asha(plan, plan.scheduler.grace_epochs)
        case "hyperband":
            return Hyperband(plan)
        case "median":
            return Median(plan)
        case _:
            return None


class Asha:
    """Asynchronous successive halving (Li et al. 2020, arXiv:1810.05934): Ray Tune's, with one bracket."""

    def __init__(self, plan: SweepPlan, grace_epochs: int) -> None:
        epochs, factor = plan.budget.epochs, plan.scheduler.reduction_factor
        self._plan = plan
        self._scheduler = AsyncHyperBandScheduler(
            time_attr=EPOCH,
            metric="value",
            mode=plan.direction,
            max_t=epochs + 1,  # a trial ends itself at its last epoch, before ASHA is asked
            grace_period=min(grace_epochs, epochs),
            reduction_factor=factor,
        )
        self._followed: dict[int, _Followed] = {}
        rungs, rung = list[int](), min(grace_epochs, epochs)
        while rung <= epochs:
            rungs, rung = [rung, *rungs], rung * factor
        self._rungs: dict[int, dict[int, float]] = {rung: {} for rung in rungs}  # the last first -> trial -> value

    def judge(self, number: int, epoch: int, value: float) -> str:
        """Return why a trial is to stop with this epoch, in words; empty where it is not."""
        trial = _follow(self._followed, self._scheduler, number)
        before = self._enter_rung(number, epoch, value)
        if self._scheduler.on_trial_result(_ALONE, trial, {EPOCH: epoch, "value": value}) != TrialScheduler.STOP:
            return ""
        share = 1 / self._plan.scheduler.reduction_factor
        top = self._plan.direction == "max"
        cut = float(np.nanpercentile(before, 100 * (1 - share if top else share))) if before else value
        return (
            f"ASHA at epoch {epoch}: {self._plan.metric} {value:.4f} {'below' if top else 'above'} the rung's cut "
            f"{cut:.4f} of {len(before)} trials"
        )

    def _enter_rung(self, number: int, epoch: int, value: float) -> list[float]:
        """Return the values that the trial meets: as in Ray's, one that was missing in a rung's epoch comes later."""
        for rung, values in self._rungs.items():
            if epoch >= rung and number not in values:
                before = list(values.values())
                values[number] = value
                return before
        return []


class Hyperband:
    """Asynchronous Hyperband: trials in turn go to ASHAs of ever longer grace (Li et al. 2018, arXiv:1603.06560)."""

    def __init__(self, plan: SweepPlan) -> None:
        grace, factor = min(plan.scheduler.grace_epochs, plan.budget.epochs), plan.scheduler.reduction_factor
        count = int(math.log(plan.budget.epochs / grace) / math.log(factor) + 1e-9) + 1
        self._brackets = [Asha(plan, grace * factor**bracket) for bracket in range(count)]
        self._bracket_of: dict[int, int] = {}

    def judge(self, number: int, epoch: int, value: float) -> str:
        """Return why a trial is to stop with this epoch, in words; empty where it is not."""
        bracket = self._bracket_of.setdefault(number, len(self._bracket_of) % len(self._brackets))
        reason = self._brackets[bracket].judge(number, epoch, value)
        return reason.replace("ASHA", f"Hyperband, bracket {bracket + 1} of {len(self._brackets)},") if reason else ""


class Median:
    """Ray Tune's median rule (Golovin et al. 2017): best so far against the median of the others' running means."""

    def __init__(self, plan: SweepPlan) -> None:
        self._plan = plan
        self._scheduler = MedianStoppingRule(
            time_attr=EPOCH,
            metric="value",
            mode=plan.direction,
            grace_period=plan.scheduler.grace_epochs,
            min_samples_required=MEDIAN_LEAST_TRIALS,
        )
        self._followed: dict[int, _Followed] = {}
        self._history: dict[int, dict[int, float]] = {}
        self._stopped: set[int] = set()

    def judge(self, number: int, epoch: int, value: float) -> str:
        """Return why a trial is to stop with this epoch, in words; empty where it is not."""
        trial = _follow(self._followed, self._scheduler, number)
        own = self._history.setdefault(number, {})
        own[epoch] = value
        if number in self._stopped:  # one that is exempt goes on, and Ray's rule wants to hear no more of it
            return ""
        if self._scheduler.on_trial_result(_ALONE, trial, {EPOCH: epoch, "value": value}) != TrialScheduler.STOP:
            return ""
        self._stopped.add(number)
        grace = self._plan.scheduler.grace_epochs
        means = [
            float(np.mean([one for at, one in values.items() if grace <= at <= epoch]))
            for other, values in self._history.items()
            if other != number and max(values) >= epoch
        ]
        top = self._plan.direction == "max"
        best = max(own.values()) if top else min(own.values())
        return (
            f"median rule at epoch {epoch}: best {self._plan.metric} {best:.4f} {'below' if top else 'above'} the "
            f"median {float(np.median(means)):.4f} of {len(means)} trials' running means"
        )


class _Followed:
    """What Ray's schedulers look at of a trial; equal to itself only."""

    def __init__(self, number: int) -> None:
        self.trial_id = str(number)
        self.config = {"trial": number}


class _Alone:
    """What the median rule asks of Tune: whether others wait for a slot; for it nobody does, so that it pauses none."""

    def get_live_trials(self) -> list[Any]:
        return []


_ALONE: Any = _Alone()


def _follow(followed: dict[int, "_Followed"], scheduler: Any, number: int) -> Any:
    """Return the stand-in of a trial; one that goes on after an interruption keeps its place in the rungs."""
    if number not in followed:
        followed[number] = _Followed(number)
        scheduler.on_trial_add(_ALONE, followed[number])
    return followed[number]
