"""The finer numbers of an evaluation under the names that a tracker shows: test/MR/auroc, test/class_stroke/recall."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from trainables.evaluation.evaluation import Evaluation, OperatingPoint, SideEvaluation
from trainables.evaluation.evaluation_files import EXPLANATIONS_FILE
from trainables.evaluation.intervals import Interval
from trainables.evaluation.scores import Scores

NAME_LENGTH = 60
REPAIRED = "test/repaired/"  # begins the names of scores with shuffled partners
SHUFFLED = f"{REPAIRED}shuffles"  # how often; 0 where the cases are too few


def named_metrics(evaluation: Evaluation) -> dict[str, float]:
    """Return name -> value of what there is per class and modality, calibrated, re-paired, at the operating point.

    What stands for a whole side (`Scores.metrics`) is not repeated, nor is a modality that is all of its side.
    """
    found: dict[str, float | None] = {"temperature": evaluation.temperature.value}
    for side, scored in (("final_val", evaluation.validation), ("test", evaluation.test)):
        if scored is not None:
            found |= {f"{side}/{name}_calibrated": value for name, value in scored.calibrated.items()}
    if evaluation.test is not None:
        found |= dict(_of_test(evaluation.test))
    if evaluation.repairing is not None:
        found[SHUFFLED] = evaluation.repairing.shuffles
        for name, interval in evaluation.repairing.metrics.items():
            found |= dict(_with_bounds(f"{REPAIRED}{name}", interval))
    found |= dict(_at_threshold(evaluation.operating_point))
    return {name: value for name, value in found.items() if value is not None}


def explanation_metrics(folder: Path) -> dict[str, float]:
    """Return what an evaluation's maps are worth, beside their controls: explanations/<explainer>/map/pointing.

    Nothing where nothing was explained.
    """
    try:
        told = json.loads((folder / EXPLANATIONS_FILE).read_text(encoding="utf-8"))
    except OSError:
        return {}
    found: dict[str, float | None] = {}
    explainers = told["explainers"]
    for one, shown in zip(explainers.values(), _all_speakable(list(explainers)), strict=True):
        prefix = f"explanations/{shown}"
        for source, figures in one["summary"]["all_images"].items():
            found |= {f"{prefix}/{source}/{figure}": mean["value"] for figure, mean in figures.items()}
        found[f"{prefix}/shift_stability"] = one["shift_stability"]
        for step in one["randomisation"]["steps"][-1:]:
            found[f"{prefix}/alike_of_noise"] = step["alike"]  # mean |rank correlation|: low is good
    return {name: value for name, value in found.items() if value is not None}


def _of_test(test: SideEvaluation) -> Iterator[tuple[str, float | None]]:
    for one, shown in zip(test.per_class, _all_speakable([one.name for one in test.per_class]), strict=True):
        for name in ("precision", "recall", "f1"):
            yield f"test/class_{shown}/{name}", getattr(one, name)
        yield f"test/class_{shown}/support", one.support
    if len(test.per_modality) > 1:
        for scores, shown in zip(test.per_modality.values(), _all_speakable(list(test.per_modality)), strict=True):
            yield from _of_modality(f"test/{shown}", scores)


def _of_modality(prefix: str, scores: Scores) -> Iterator[tuple[str, float | None]]:
    yield f"{prefix}/images", scores.images
    yield f"{prefix}/groups", scores.groups
    for name, value in scores.metrics.items():
        yield from _with_bounds(f"{prefix}/{name}", (value, *scores.intervals.get(name, (None, None))))


def _at_threshold(point: OperatingPoint) -> Iterator[tuple[str, float | None]]:
    yield "operating_point/threshold", point.threshold
    for side, scores in (("final_val", point.validation), ("test", point.test)):
        if scores is not None:
            yield from _with_bounds(f"{side}/operating_point/sensitivity", scores.sensitivity)
            yield from _with_bounds(f"{side}/operating_point/specificity", scores.specificity)


def _with_bounds(name: str, interval: Interval) -> Iterator[tuple[str, float | None]]:
    yield from zip((name, f"{name}_low", f"{name}_high"), interval, strict=True)


def _all_speakable(names: Sequence[str]) -> list[str]:
    """Return users' words without what a tracker refuses in a metric's name; numbered where two became the same."""
    short = [re.sub(r"[^\w -]", "_", name, flags=re.ASCII)[:NAME_LENGTH].strip() or "unnamed" for name in names]
    if len({name.lower() for name in short}) == len(names):
        return short
    return [f"{place} {name}" for place, name in enumerate(short, start=1)]
