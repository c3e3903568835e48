"""How often the 95 % intervals hold the truth when slices of one patient are alike, and what slices would have claimed.

    python tests/benchmarks/interval_coverage.py [--repetitions 400] [--draws 2000] [--groups 12,20,100]

Each repetition images new patients, half of them with the disease, 2 to 8 slices each. A slice's score is the patient's
part (variance 0.7) plus its own (0.3), moved by the class; the truth is known from the normal distribution.
`percentile` is the plain bootstrap over groups, as large as the sample, for comparison. Some minutes on one core.
"""

import argparse
import time

import numpy as np
from scipy import stats

from trainables.evaluation.group_draws import group_images
from trainables.evaluation.intervals import grouped_intervals

WITHIN_PATIENT = 0.7  # share of a score's variance that the slices of a patient have in common
FEWEST_SLICES, MOST_SLICES = 2, 8
METRICS = ("auroc", "accuracy", "sensitivity")


def image_patients(rng: np.random.Generator, groups: int, shift: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return probs_NK, labels_N and groups_N of a fresh sample."""
    slices_G = rng.integers(FEWEST_SLICES, MOST_SLICES + 1, groups)
    group_N = np.repeat(np.arange(groups), slices_G)
    labels_N = group_N % 2
    own_N = np.sqrt(1 - WITHIN_PATIENT) * rng.normal(size=len(group_N))
    scores_N = shift * (labels_N - 0.5) + np.sqrt(WITHIN_PATIENT) * rng.normal(size=groups)[group_N] + own_N
    positive_N = 1 / (1 + np.exp(-scores_N))
    return np.stack([1 - positive_N, positive_N], axis=1), labels_N, group_N


def truths(shift: float) -> dict[str, float]:
    right = float(stats.norm.cdf(shift / 2))
    return {"auroc": float(stats.norm.cdf(shift / np.sqrt(2))), "accuracy": right, "sensitivity": right}


def percentile(
    probs_NK: np.ndarray, labels_N: np.ndarray, group_N: np.ndarray, rng: np.random.Generator, draws: int
) -> dict[str, tuple[float, float]]:
    """Return the plain percentile interval of as many groups as there are, stratified."""
    sample = group_images(probs_NK, labels_N, group_N)
    weights_BG = np.zeros((draws, len(sample.stratum_G)))
    for stratum, size in sample.strata.items():
        weights_BG[:, sample.stratum_G == stratum] = rng.multinomial(size, np.full(size, 1 / size), size=draws)
    drawn = sample.metrics(weights_BG)
    return {name: tuple(np.nanquantile(drawn[name], [0.025, 0.975])) for name in METRICS}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repetitions", type=int, default=400)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--groups", default="12,20,100")
    options = parser.parse_args()
    print(f"{options.repetitions} repetitions of {options.draws} draws; coverage (mean width)")
    print(f"{'groups':>6} {'truth':>18} {'by group':>15} {'percentile':>15} {'by slice':>15}")
    for groups in map(int, options.groups.split(",")):
        for shift in (1.2, 2.4):
            rng = np.random.default_rng([groups, int(10 * shift)])
            began_s = time.perf_counter()
            held: dict[tuple[str, str], list[tuple[bool, float]]] = {}
            for repetition in range(options.repetitions):
                probs_NK, labels_N, group_N = image_patients(rng, groups, shift)
                alone_N = np.arange(len(labels_N))
                ways = {
                    "group": grouped_intervals(probs_NK, labels_N, group_N, repetition, options.draws).bounds,
                    "percentile": percentile(probs_NK, labels_N, group_N, rng, options.draws),
                    "slice": grouped_intervals(probs_NK, labels_N, alone_N, repetition, options.draws).bounds,
                }
                for way, bounds in ways.items():
                    for name in METRICS:
                        low, high = bounds.get(name, (np.nan, np.nan))
                        held.setdefault((name, way), []).append((low <= truths(shift)[name] <= high, high - low))
            for name in METRICS:
                shown = []
                for way in ("group", "percentile", "slice"):
                    inside, widths = zip(*held[name, way], strict=True)
                    shown.append(f"{np.mean(inside):>6.1%} ({np.nanmean(widths):.3f})")
                truth = f"{name} {truths(shift)[name]:.3f}"
                print(f"{groups:>6} {truth:>18} {shown[0]:>15} {shown[1]:>15} {shown[2]:>15}", flush=True)
            print(f"{'':>6} {(time.perf_counter() - began_s) / options.repetitions * 1000:.0f} ms a repetition")


if __name__ == "__main__":
    main()
