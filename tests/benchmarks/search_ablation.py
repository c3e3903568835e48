"""What it is worth to tell the sampler the truth of stopped trials: simulated learning curves, no training, no Ray.

    PYTHONPATH=tests/support python tests/benchmarks/search_ablation.py [--seeds 30] [--workers 4]

A score rises with the epochs towards a value that six hyperparameters decide, faster or slower as one of them says,
with noise. Ways: random search without early stopping (the yardstick: its best after all its trials), TPE without, TPE
with ASHA and stopped trials told as PRUNED (ours), and told as COMPLETE with the score of the few epochs that they had
(as Ray Tune's OptunaSearch does). Printed: epochs spent until each reaches what random search ended at.
"""

import argparse
import heapq
import math
import statistics
from dataclasses import dataclass

import numpy as np
from optuna.trial import TrialState
from sweep_support import make_plan

from orchestrator.plan import SweepPlan
from orchestrator.space import FloatRange
from orchestrator.sweep_sections import Budget, Scheduler
from orchestrator.tuning.stop_rules import make_rule
from orchestrator.tuning.studies import Studies

EPOCHS, TRIALS = 27, 100
SPACE = {f"x{n}": FloatRange(low=0.0, high=1.0, default=0.1) for n in range(6)}
WEIGHTS = (3.0, 2.0, 1.5, 1.0, 0.5, 0.25)
NOISE = 0.01


@dataclass(frozen=True)
class Way:
    """How trials are proposed, stopped and told of."""

    name: str
    sampler: str
    rule: str
    stopped_as: TrialState


WAYS = (
    Way("random, none stopped", "random", "none", TrialState.PRUNED),
    Way("TPE, none stopped", "tpe", "none", TrialState.PRUNED),
    Way("TPE + ASHA, told PRUNED", "tpe", "asha", TrialState.PRUNED),
    Way("TPE + ASHA, told COMPLETE", "tpe", "asha", TrialState.COMPLETE),
)


def final_value(values: dict[str, float], optimum: np.ndarray) -> float:
    distance = sum(w * (values[f"x{n}"] - optimum[n]) ** 2 for n, w in enumerate(WEIGHTS))
    return 0.5 + 0.48 * math.exp(-2.0 * distance)


def score(values: dict[str, float], optimum: np.ndarray, epoch: int, rng: np.random.Generator) -> float:
    """Slow learners (a low x0) may end higher than fast ones: low-budget scores mislead."""
    pace = 1.5 + 10.0 * (1 - values["x0"])
    reached = 1 - math.exp(-epoch / pace)
    return 0.5 + (final_value(values, optimum) - 0.5) * reached + float(rng.normal(0, NOISE))


def simulate(way: Way, seed: int, workers: int, budget_epochs: int) -> list[tuple[int, float]]:
    """Return (epochs spent, best true final value of any trial trained to its end so far), as they grow."""
    plan = plan_of(way, seed)
    studies, rule = Studies(plan, None), make_rule(plan)
    rng = np.random.default_rng(seed)
    optimum = np.random.default_rng(1000 + seed).uniform(0.15, 0.85, 6)
    running: list[tuple[float, int, int]] = []  # time of its next epoch, trial, epoch
    values: dict[int, dict[str, float]] = {}
    best, spent, number, history = -math.inf, 0, 0, []
    now = 0.0
    while spent < budget_epochs:
        while len(running) < workers:
            suggestion = studies.ask(number, ["resnet_vit"])
            assert suggestion is not None
            values[number] = {name: float(value) for name, value in suggestion.chosen.items()}
            heapq.heappush(running, (now + float(rng.uniform(0.9, 1.1)), number, 1))
            number += 1
        now, trial, epoch = heapq.heappop(running)
        spent += 1
        value = score(values[trial], optimum, epoch, rng)
        studies.report(trial, epoch, value)
        reason = rule.judge(trial, epoch, value) if rule and epoch < EPOCHS else ""
        if reason:
            studies.tell(trial, way.stopped_as)
        elif epoch == EPOCHS:
            studies.tell(trial, TrialState.COMPLETE)
            best = max(best, final_value(values[trial], optimum))
        else:
            heapq.heappush(running, (now + float(rng.uniform(0.9, 1.1)), trial, epoch + 1))
        history.append((spent, best))
    return history


def plan_of(way: Way, seed: int) -> SweepPlan:
    plan = make_plan(seed=seed, architectures={"resnet_vit": SPACE}, algorithm=way.sampler)
    scheduler = Scheduler(name=way.rule, grace_epochs=1, reduction_factor=3)
    return plan.model_copy(update={"budget": Budget(trials=10**6, epochs=EPOCHS), "scheduler": scheduler})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--workers", type=int, default=4)
    options = parser.parse_args()
    whole = EPOCHS * TRIALS
    runs = {way: [simulate(way, seed, options.workers, whole) for seed in range(options.seeds)] for way in WAYS}
    yardsticks = [history[-1][1] for history in runs[WAYS[0]]]
    about = f"{options.seeds} seeds, {options.workers} workers, {TRIALS} x {EPOCHS} epochs"
    print(f"{about}; random search ends at a median of {statistics.median(yardsticks):.4f}")
    for way, histories in runs.items():
        needed = [
            next((spent for spent, best in history if best >= goal), None)
            for history, goal in zip(histories, yardsticks, strict=True)
        ]
        reached = [spent for spent in needed if spent is not None]
        final = statistics.median(history[-1][1] for history in histories)
        median = statistics.median(spent if spent is not None else math.inf for spent in needed)
        print(f"{way.name:28} reaches it in {len(reached)} of {options.seeds}, median after {median:.0f} epochs "
              f"({median / whole:.2f} of the budget); at the end {final:.4f}")  # fmt: skip


if __name__ == "__main__":
    main()
