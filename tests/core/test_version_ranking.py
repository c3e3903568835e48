"""Versions on the same images: their order, and how sure it is that the first is better."""

import numpy as np
import pytest

from orchestrator.version_ranking import JudgedVersion, rank_versions
from trainables.catalog import TASKS
from trainables.data.split_rows import SplitRow
from trainables.evaluation.evaluation import OperatingPoint, evaluate_side
from trainables.evaluation.paired_tests import compare_models
from trainables.evaluation.predictions import Predictions

STROKE = TASKS["stroke"]
LABELS = np.arange(60) % 2


def version(number: int, noise: float, seed: int = 0) -> JudgedVersion:
    """A version whose logit is the label and so much noise."""
    rows = [
        SplitRow(path=f"{i}.png", label=int(k), modality="MR", group=f"{i}", side="test", sha256=f"{i}")
        for i, k in enumerate(LABELS)
    ]
    logit_N = LABELS * 2.0 - 1 + np.random.default_rng(seed).normal(0, noise, len(LABELS))
    predictions = Predictions(np.stack([np.zeros_like(logit_N), logit_N], axis=1), rows)
    return JudgedVersion(
        version=str(number),
        aliases=(),
        architecture="resnet_vit",
        predictions=predictions,
        scored=evaluate_side(STROKE, predictions, 1.0),
        operating_point=OperatingPoint(stated_specificity=0.95),
    )


def test_the_best_stands_first_and_the_others_behind_it_by_their_difference() -> None:
    good, fair, bad = version(3, 0.8), version(2, 2.0), version(1, 6.0)
    ranked = rank_versions(STROKE, [bad, good, fair])
    assert [(row.rank, row.judged.version) for row in ranked] == [(1, "3"), (2, "2"), (3, "1")]
    assert ranked[0].behind is None and ranked[0].p_adjusted is None
    aurocs = [row.metrics["auroc"][0] for row in ranked]
    assert ranked[2].behind.value == pytest.approx(aurocs[0] - aurocs[2])


def test_p_is_adjusted_for_every_pair_as_the_first_was_seen_on_these_images() -> None:
    versions = [version(3, 0.8), version(2, 2.0), version(1, 6.0)]
    ranked = rank_versions(STROKE, versions)
    labels_N, groups_N = LABELS, versions[0].predictions.groups_N
    plain = [
        compare_models(
            versions[0].predictions.probs_NK, other.predictions.probs_NK, labels_N, groups_N, "auroc"
        ).p_value
        for other in versions[1:]
    ]
    assert plain[1] < plain[0] < 0.3
    assert ranked[2].p_adjusted == pytest.approx(min(1, 3 * plain[1])), "three pairs, not two"
    assert ranked[1].p_adjusted == pytest.approx(min(1, 2 * plain[0]))
    (_, alone) = rank_versions(STROKE, versions[:2])
    assert alone.p_adjusted == pytest.approx(plain[0]), "one pair needs no adjusting"


def test_equals_share_a_rank_and_the_older_stands_first() -> None:
    ranked = rank_versions(STROKE, [version(10, 2.0), version(9, 2.0), version(11, 0.8)])
    assert [(row.rank, row.judged.version) for row in ranked] == [(1, "11"), (2, "9"), (2, "10")]


def test_images_of_one_class_are_ranked_without_a_test() -> None:
    judged = []
    for number in (1, 2):
        own = version(number, 2.0, seed=number)
        rows = [row for row in own.predictions.rows if row.label == 1]
        predictions = Predictions(own.predictions.logits_NK[LABELS == 1], rows)
        judged.append(
            JudgedVersion(
                version=str(number),
                aliases=(),
                architecture="a",
                predictions=predictions,
                scored=evaluate_side(STROKE, predictions, 1.0),
                operating_point=own.operating_point,
            )
        )
    first, second = rank_versions(STROKE, judged)
    assert (first.rank, second.rank) == (1, 1)
    assert second.p_adjusted is None
    assert second.behind.reason == "auroc: a class that it needs has no image"
    assert second.to_json()["behind_first"]["p_value"] is None
