"""What all images together say of an explainer, and whether it beats maps that know nothing of the model.

The rule. Where lesions are known, explainers are judged by pointing, on images that the model got right and that have
a mask: of a wrong answer nobody knows where its cause should lie. Elsewhere by deletion of the first fifth of the
pixels, on all images: over the whole range even a map of the lesion itself hardly wins, as most of the curve is of
images without it. It must be better than each control: the 95 % interval of the paired difference, from draws of whole
groups (patients), lies above zero for every one of them, and it is 0.01 at least: a model that answers the same
whatever is hidden has maps that are surely better by nothing. That all must be beaten needs no correction for their
number. With fewer than six groups nothing is said: even if an explainer won in each of five, chance would do so once in
sixteen times.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from trainables.evaluation.group_draws import Spread, metric_spreads
from trainables.evaluation.intervals import DRAWS, ROUNDING, TAIL
from trainables.explain.controls import CONTROLS
from trainables.explain.proof import FIGURES, MapScores

LEAST_DIFFERENCE = 0.01  # on the scale from 0 to 1 of all figures: what is surely less is surely of no use
FEWEST_GROUPS = 6  # the sign test's two-sided p of as many wins is 2 / 2**6, the first below 0.05


@dataclass(frozen=True)
class MeanFigure:
    """A mean over images and how many they are; None where there is none."""

    value: float | None
    images: int


@dataclass(frozen=True)
class Difference:
    """By how much an explainer is better than a control (higher is better), with its 95 % interval."""

    value: float
    low: float
    high: float


Means = dict[str, dict[str, MeanFigure]]  # source ("map", "random", "centre") -> figure -> mean


@dataclass(frozen=True, kw_only=True)
class ExplainerSummary:
    """An explainer beside its controls; their means are over the images where its own map is not blank.

    `beats_controls` is None where that cannot be told; `sentence` says it for a panel, whatever it is.
    """

    explainer: str
    images: int
    blank: int
    all_images: Means
    correct_only: Means
    judged_by: str
    groups: int
    differences: dict[str, Difference]  # by control; empty where there are too few groups
    beats_controls: bool | None
    sentence: str


@dataclass(frozen=True)
class _PairedMeans:
    """Differences to each control by image, as `metric_spreads` draws them: means weighted by group."""

    differences: dict[str, np.ndarray]
    group_N: np.ndarray

    @property
    def stratum_G(self) -> np.ndarray:  # noqa: N802
        return np.zeros(self.group_N.max(initial=-1) + 1, dtype=int)

    @property
    def strata(self) -> dict[int, int]:
        return {0: len(self.stratum_G)}

    def metrics(self, weights_BG: np.ndarray) -> dict[str, np.ndarray]:
        groups = len(self.stratum_G)
        images_B = weights_BG @ np.bincount(self.group_N, minlength=groups)
        return {
            name: (weights_BG @ np.bincount(self.group_N, weights=values_N, minlength=groups)) / images_B
            for name, values_N in self.differences.items()
        }


def summarise_proof(scores: Sequence[MapScores], seed: int = 0) -> list[ExplainerSummary]:
    """Return a summary for each explainer, in the order of their first rows. Rows are those of `prove_image`."""
    return [_summary(name, [row for row in scores if row.explainer == name], seed) for name in _explainers(scores)]


def _explainers(scores: Iterable[MapScores]) -> list[str]:
    return list(dict.fromkeys(row.explainer for row in scores))


def _summary(explainer: str, scores: Sequence[MapScores], seed: int) -> ExplainerSummary:
    own = [row for row in scores if row.source == "map"]
    blank = {row.image for row in own if row.is_blank}
    shown = [row for row in scores if row.image not in blank]
    has_masks = any(row.has_mask for row in own)
    figure = "pointing" if has_masks else "early_deletion"
    judged = [row for row in shown if row.figure(figure) is not None and (row.is_correct or not has_masks)]
    means = _means(judged)
    judged = _paired(judged, figure)
    groups = len({row.group for row in judged})
    differences = _differences(judged, figure, seed) if groups >= FEWEST_GROUPS else {}
    beats = all(one.low > 0 and one.value >= LEAST_DIFFERENCE for one in differences.values()) if differences else None
    what = f"{means['map'][figure].images} {'correct ' if has_masks else ''}images of {groups} groups"
    values = ", ".join(_value(source, figure, means) for source in ("map", *CONTROLS))
    sentence = f"{explainer} {_verdict(beats, groups)}: {values} ({what})"
    if blank:
        sentence += (
            f"; {len(blank)} of {len(own)} maps show no positive evidence, or the same everywhere, and are left out"
        )
    return ExplainerSummary(
        explainer=explainer,
        images=len(own),
        blank=len(blank),
        all_images=_means(shown),
        correct_only=_means([row for row in shown if row.is_correct]),
        judged_by=figure,
        groups=groups,
        differences=differences,
        beats_controls=beats,
        sentence=sentence,
    )


def _paired(rows: Sequence[MapScores], figure: str) -> list[MapScores]:
    """Return the rows of images that the map and every control have the figure of."""
    sources = {"map", *CONTROLS}
    found: dict[str, set[str]] = {}
    for row in rows:
        if row.figure(figure) is not None:
            found.setdefault(row.image, set()).add(row.source)
    return [row for row in rows if found.get(row.image) == sources]


def _means(rows: Sequence[MapScores]) -> Means:
    return {
        source: {name: _mean([row.figure(name) for row in rows if row.source == source]) for name in FIGURES}
        for source in ("map", *CONTROLS)
    }


def _mean(values: Sequence[float | None]) -> MeanFigure:
    there = [value for value in values if value is not None]
    return MeanFigure(float(np.mean(there)) if there else None, len(there))


def _differences(rows: Sequence[MapScores], figure: str, seed: int) -> dict[str, Difference]:
    """Return how much better the maps are than each control; rows are those of `_paired`."""
    sign = 1 if FIGURES[figure] == "max" else -1
    by_source: dict[str, dict[str, float]] = {source: {} for source in ("map", *CONTROLS)}
    for row in rows:
        value = row.figure(figure)
        if value is not None:
            by_source[row.source][row.image] = sign * value
    group_of = {row.image: row.group for row in rows}
    images = list(by_source["map"])
    group_N = np.unique([group_of[image] for image in images], return_inverse=True)[1]
    paired: dict[str, np.ndarray] = {
        control: np.array([by_source["map"][image] - by_source[control][image] for image in images])
        for control in CONTROLS
    }
    spreads = metric_spreads(_PairedMeans(paired, group_N), seed, DRAWS)
    return {control: _interval(float(values_N.mean()), spreads[control]) for control, values_N in paired.items()}


def _interval(value: float, spread: Spread | None) -> Difference:
    assert spread is not None  # a mean exists in every draw
    half = float(special.stdtrit(spread.degrees_of_freedom, 1 - TAIL)) * spread.standard_error
    half = half if half >= ROUNDING else 0.0
    return Difference(value, value - half, value + half)


def _value(source: str, figure: str, means: Means) -> str:
    value = means[source][figure].value
    name = figure.replace("_", " ") if source == "map" else source
    return f"{name} -" if value is None else f"{name} {value:.2f}"


def _verdict(beats: bool | None, groups: int) -> str:
    if beats is None:
        return f"is not judged, too few groups ({groups}, {FEWEST_GROUPS} are needed)"
    return "beats its controls" if beats else "is not surely better than its controls, do not rely on it"
