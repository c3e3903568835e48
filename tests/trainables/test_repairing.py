"""Scores with shuffled partners: who gets whose, and what a model that uses its pairs loses by it."""

import numpy as np
import pytest

from trainables.evaluation.repairing import SHUFFLES, repairing, rests_on_pairs, shuffled_partners


def test_each_case_gets_the_partner_of_another_patient_of_its_class() -> None:
    labels_N = np.array([0, 1] * 12)
    groups_N = np.array([f"p{n % 2}{min(n // 4, 4)}" for n in range(24)])  # of 2, and one of 4, in each class
    seen = set()
    for seed in range(40):
        partner_N = shuffled_partners(labels_N, groups_N, np.random.default_rng(seed))
        assert sorted(partner_N) == list(range(24)), "each partner once"
        assert np.array_equal(labels_N[partner_N], labels_N)
        assert (groups_N[partner_N] != groups_N).all()
        seen.add(tuple(partner_N))
    assert len(seen) == 40


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ("aabbccdd", "a class has 4 groups; at least 5 are needed"),
        ("aaaaaabcdef", "a class has 6 of 11 cases in one group; none may have more than half"),
        ("bcdefaaaaaa", "a class has 6 of 11 cases in one group; none may have more than half"),
    ],
)
def test_few_patients_are_not_re_paired(groups: str, words: str) -> None:
    labels_N = np.repeat([0, 1], [len(groups), 8])
    groups_N = np.array([*groups, *"ijklmnop"])
    found = repairing(lambda partner_N: pytest.fail("asked"), labels_N, groups_N, seed=0)
    assert (found.shuffles, found.metrics, found.reason) == (0, {}, words)


def test_a_group_of_half_a_class_still_gets_other_partners() -> None:
    labels_N, groups_N = np.zeros(10, dtype=int), np.array(list("aaaaabcdef"))
    found = repairing(lambda partner_N: (groups_N[partner_N] != groups_N)[:, None] * [1.0, 2.0], labels_N, groups_N, 0)
    assert found.shuffles == SHUFFLES


def xor_logits(first_N: np.ndarray, second_N: np.ndarray) -> np.ndarray:
    return np.stack([np.zeros(len(first_N)), 4.0 * (first_N != second_N) - 2], axis=1)


def test_what_rests_on_pairs_loses_by_other_partners_and_what_does_not_loses_nothing() -> None:
    first_N, second_N = np.tile([0, 0, 1, 1], 10), np.tile([0, 1, 0, 1], 10)
    labels_N = (first_N != second_N).astype(int)
    groups_N = np.arange(40).astype(str)
    fused = repairing(lambda partner_N: xor_logits(first_N, second_N[partner_N]), labels_N, groups_N, seed=0)
    assert fused.shuffles == SHUFFLES
    mean, low, high = fused.metrics["auroc"]
    assert low <= mean <= high and 0.3 < mean < 0.7
    assert rests_on_pairs(1.0, fused.metrics["auroc"], "auroc") is True
    assert rests_on_pairs(0.0, fused.metrics["log_loss"], "log_loss") is True
    again = repairing(lambda partner_N: xor_logits(first_N, second_N[partner_N]), labels_N, groups_N, seed=0)
    assert again == fused
    noise_NK = np.random.default_rng(1).normal(size=(40, 2))
    alone = repairing(lambda partner_N: noise_NK, labels_N, groups_N, seed=0)
    value, low, high = alone.metrics["auroc"]
    assert value == pytest.approx(low) and value == pytest.approx(high)
    assert rests_on_pairs(value, (value, value, value), "auroc") is False
    assert rests_on_pairs(None, alone.metrics["auroc"], "auroc") is None
    assert alone.metrics["quadratic_kappa"] == (None, None, None)
