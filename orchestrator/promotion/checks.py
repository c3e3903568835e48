"""One condition each: what was measured, the rule, and whether it holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.promotion.evidence import Evidence, EvidenceFolder
from orchestrator.promotion.policy import Policy
from orchestrator.ranking import format_metric
from trainables.evaluation.metrics import METRICS, classification_metrics
from trainables.evaluation.paired_tests import PairedDifference, compare_models, holm
from trainables.evaluation.predictions import Predictions
from trainables.evaluation.temperature import fit_temperature, probabilities

SAME_IMAGES_CHECK = "same images"
SAME_IMAGES = "the same held-out images and classes (promote --data DIR reads the challenger's again)"


@dataclass(frozen=True)
class Check:
    """A condition of the policy, as it is shown."""

    name: str
    value: str
    rule: str
    passed: bool


@dataclass(frozen=True)
class RivalAnswers:
    """What a champion says of the challenger's test images, in their order; `seen` of them it was developed on."""

    probs_NK: np.ndarray
    seen: int


def absolute_checks(policy: Policy, folder: EvidenceFolder) -> list[Check]:
    """Return what a model must show by itself."""
    evidence = folder.evidence
    checks = []
    if policy.better_than_chance:
        checks.append(_better_than_chance(evidence))
    if policy.most_miscalibration is not None:
        checks.append(_calibrated(policy.most_miscalibration, evidence, folder.test))
    checks.append(_no_leak(policy.leaks_allowed, evidence))
    if policy.least_sensitivity is not None and len(evidence.classes) == 2:
        checks.append(_sensitive(policy.least_sensitivity, policy.least_specificity, evidence))
    if policy.least_modality_auroc is not None:
        checks += _modalities(policy.least_modality_auroc, policy.least_modality_images, evidence)
    if policy.sane_explanations and (evidence.explanations or evidence.unexplained):
        checks.append(_explained(evidence))
    return checks


def relative_checks(
    policy: Policy,
    challenger: EvidenceFolder,
    champion: EvidenceFolder,
    earlier: Mapping[str, float],
    answers: RivalAnswers | None,
) -> tuple[list[Check], float | None]:
    """Return what a model must show beside the champion, and the p-value before Holm.

    `earlier` holds the p-values of others that challenged this champion. `answers` are the champion's where it was
    tested on other images; without them its stored predictions must be of the same ones.
    """
    mine, theirs = challenger.evidence, champion.evidence
    first = challenger.test
    if mine.classes != theirs.classes or (answers is None and not on_same_images(challenger, champion)):
        given = "was tested on other images" if mine.classes == theirs.classes else "knows other classes"
        return [Check(SAME_IMAGES_CHECK, f"the champion {given}", SAME_IMAGES, passed=False)], None
    checks = []
    if answers is None:
        place = {case: number for number, case in enumerate(_cases(champion.test))}
        champion_NK = _served_probabilities(champion)[np.array([place[case] for case in _cases(first)])]
    else:
        champion_NK = answers.probs_NK
        known = f"; it was developed on {answers.seen} of them, which favours it" if answers.seen else ""
        value = f"the champion judged the challenger's {len(first.rows)}{known}"
        checks.append(Check(SAME_IMAGES_CHECK, value, SAME_IMAGES, passed=True))
    compared = _Compared(_served_probabilities(challenger), champion_NK, first, mine.as_task().severity_K)
    difference = compared.difference(mine.metric)
    checks.append(_against_champion(policy, difference, mine, theirs, earlier))
    for modality in _judged_modalities(mine, policy.least_modality_images):
        own = compared.difference(mine.metric, modality)
        rule = f"above -{policy.modality_margin:g}, and the 95 % interval not wholly below 0"
        passed = own.value is None or (own.value >= -policy.modality_margin and (own.high is None or own.high >= 0))
        checks.append(Check(f"{modality} not worse", _shown(own), rule, passed))
    return checks, difference.p_value


@dataclass(frozen=True)
class _Compared:
    """Two models on the same images: their probabilities, and the images as the first one's table has them."""

    first_NK: np.ndarray
    second_NK: np.ndarray
    images: Predictions
    severity_K: Sequence[int]

    def difference(self, metric: str, modality: str | None = None) -> PairedDifference:
        """Return how much better the first is, on all images or on those of a modality."""
        chosen_N = np.array([modality is None or row.modality == modality for row in self.images.rows])
        return compare_models(
            self.first_NK[chosen_N],
            self.second_NK[chosen_N],
            self.images.labels_N[chosen_N],
            self.images.groups_N[chosen_N],
            metric,
            self.severity_K,
        )


def on_same_images(challenger: EvidenceFolder, champion: EvidenceFolder) -> bool:
    """Tell whether both tables are of the same held-out cases."""
    return sorted(_cases(challenger.test)) == sorted(_cases(champion.test))


def _cases(predictions: Predictions) -> list[str]:
    return [row.sha256 for row in predictions.rows]


def _served_probabilities(folder: EvidenceFolder) -> np.ndarray:
    """Return the probabilities that users get."""
    return probabilities(folder.test.logits_NK, float(folder.evidence.evaluation["temperature"]["value"]))


def _better_than_chance(evidence: Evidence) -> Check:
    """Judge the primary metric, or AUROC where chance gives no one number for it."""
    overall = evidence.evaluation["test"]["overall"]
    metric, chance = evidence.metric, _chance(evidence.metric, evidence, overall["confusion"])
    instead = ""
    if chance is None:
        instead = f" ({metric} has no fixed value by chance)"
        metric, chance = "auroc", 0.5
    rule = f"the 95 % interval lies above {chance:.3g}, which chance gives{instead}"
    low, high = overall["intervals"].get(metric, (None, None))
    value, name = overall["metrics"].get(metric), f"test {metric}"
    if low is None:
        why = overall["no_interval"].get(metric) or overall["reasons"].get(metric) or "no interval"
        return Check("better than chance", f"{name} {format_metric(value)} ({why})", rule, passed=False)
    return Check("better than chance", f"{name} {value:.3f} [{low:.3f}, {high:.3f}]", rule, passed=low > chance)


def _chance(metric: str, evidence: Evidence, confusion: Sequence[Sequence[int]]) -> float | None:
    """Return what a model gets that knows nothing but how frequent classes are; None where that is not one number."""
    per_class = [sum(row) for row in confusion]
    return {
        "auroc": 0.5,
        "balanced_accuracy": 1 / len(evidence.classes),
        "accuracy": max(per_class) / max(1, sum(per_class)),
        "mcc": 0.0,
        "quadratic_kappa": 0.0,
    }.get(metric)


def _calibrated(most: float, evidence: Evidence, test: Predictions) -> Check:
    """Compare the log loss on test with that at the temperature that would be best there."""
    own = float(evidence.evaluation["temperature"]["value"])
    best = fit_temperature(test.logits_NK, test.labels_N).value
    loss, least = (
        classification_metrics(probabilities(test.logits_NK, temperature), test.labels_N)["log_loss"] or 0.0
        for temperature in (own, best)
    )
    excess = max(0.0, loss - least)
    value = f"log loss {loss:.3f}, {excess:.3f} of it by being too {'sure' if best > own else 'unsure'}"
    return Check("calibrated", value, f"at most {most:g} of it", passed=excess <= most)


def _no_leak(allowed: bool, evidence: Evidence) -> Check:
    leaking, images = sum(evidence.leaks.values()), sum(evidence.images.get("test", {}).values())
    value = f"{leaking} of {images} test images were seen in development"
    way_out = " (--split grouped makes a split without)" if evidence.split == "shipped" else ""
    rule = "leaks are allowed by the policy" if allowed else f"none was{way_out}"
    return Check("no leak", value, rule, passed=allowed or leaking == 0)


def _sensitive(least: float, least_specificity: float, evidence: Evidence) -> Check:
    point = evidence.evaluation["operating_point"]
    stated, test = point["stated_specificity"], point.get("test")
    name = f"sensitivity at {stated:.0%} specificity"
    rule = f"on test at least {least:g}, and specificity at least {least_specificity:g}"
    if test is None or test["sensitivity"][0] is None or test["specificity"][0] is None:
        return Check(name, point["reason"] or "a class has no test image", rule, passed=False)
    value, reached = test["sensitivity"][0], test["specificity"][0]
    shown = f"{value:.3f} at a specificity on test of {reached:.3f}"
    return Check(name, shown, rule, passed=value >= least and reached >= least_specificity)


def _explained(evidence: Evidence) -> Check:
    """Refuse a model none of whose maps hangs on it, or whose explaining failed; one too coarse to tell might pass."""
    explanations = evidence.explanations
    if not explanations:
        rule = "answers are explained (sane_explanations: false in promotion.yaml waives it)"
        if not evidence.explaining_failed:
            rule = "answers are explained where an explainer can be used on such a model"
        value = f"no map is judged: {evidence.unexplained}"
        return Check("explanations", value, rule, passed=not evidence.explaining_failed)
    verdicts = {name: one.depends_on_model for name, one in explanations.items()}
    kept = [name for name, passed in verdicts.items() if passed]
    untold = [name for name, passed in verdicts.items() if passed is None]
    better = [name for name, one in explanations.items() if one.beats_controls]
    changing = f"change with the weights: {', '.join(kept) or 'none'}; cannot tell: {', '.join(untold) or 'none'}"
    value = f"{changing}; better than their controls: {', '.join(better) or 'none for sure'}"
    rule = "not every kind of map stays as it is when the weights are noise"
    return Check("explanations", value, rule, passed=bool(kept or untold))


def _modalities(least: float, least_images: int, evidence: Evidence) -> list[Check]:
    checks = []
    for name in _judged_modalities(evidence, least_images):
        scores = evidence.evaluation["test"]["per_modality"][name]
        auroc = scores["metrics"]["auroc"]
        value = f"AUROC {auroc:.3f} of {scores['images']} images" if auroc is not None else scores["reasons"]["auroc"]
        checks.append(Check(f"{name} by itself", value, f"AUROC at least {least:g}", auroc is None or auroc >= least))
    return checks


def _judged_modalities(evidence: Evidence, least_images: int) -> list[str]:
    """Return the modalities that are judged by themselves; one that is everything is not."""
    found = evidence.evaluation["test"]["per_modality"]
    return sorted(name for name, scores in found.items() if len(found) > 1 and scores["images"] >= least_images)


def _against_champion(
    policy: Policy, difference: PairedDifference, mine: Evidence, theirs: Evidence, earlier: Mapping[str, float]
) -> Check:
    """Judge: better after Holm, or not worse and cheaper."""
    name = f"{mine.metric} against the champion"
    if difference.p_value is None or difference.low is None or difference.value is None:
        return Check(name, difference.reason, "a difference that can be tested", passed=False)
    adjusted = holm({**earlier, "": difference.p_value})[""]
    tried = f" of {len(earlier) + 1} challengers" if earlier else ""
    value = f"{_shown(difference)}, p {adjusted:.2g}{tried} ({difference.method})"
    better = difference.value > 0 and adjusted < policy.level
    cheaper = _cheaper(policy.cheaper_fraction, mine, theirs)
    rule = f"better, p below {policy.level:g}"
    if policy.cheaper_fraction is not None:
        rule += f"; or the interval above -{policy.margin:g} and at most {policy.cheaper_fraction:g} of its cost"
        value += f"; {cheaper or 'not cheaper'}"
    return Check(name, value, rule, passed=better or (bool(cheaper) and difference.low > -policy.margin))


def _cheaper(fraction: float | None, mine: Evidence, theirs: Evidence) -> str:
    """Return in which way a model is cheaper, empty where it is not."""
    if fraction is None:
        return ""
    if not mine.cost.parameters or not theirs.cost.parameters:
        return ""
    if mine.cost.parameters <= fraction * theirs.cost.parameters:
        return f"{mine.cost.parameters / theirs.cost.parameters:.2f} of its parameters"
    if (
        mine.cost.parameters != theirs.cost.parameters  # the same network twice is not faster, whatever a clock says
        and mine.cost.image_ms is not None
        and theirs.cost.image_ms is not None
        and mine.cost.machine == theirs.cost.machine
        and mine.cost.image_ms <= fraction * theirs.cost.image_ms
    ):
        return f"{mine.cost.image_ms / theirs.cost.image_ms:.2f} of its time per image"
    return ""


def _shown(difference: PairedDifference) -> str:
    if difference.value is None:
        return difference.reason
    better = "" if METRICS[difference.metric] == "max" else " (positive is better)"
    if difference.low is None:
        return f"{difference.value:+.3f}, {difference.reason}{better}"
    return f"{difference.value:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]{better}"
