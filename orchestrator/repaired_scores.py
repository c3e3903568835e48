"""What a model of image pairs scores where partners are shuffled: if that costs it nothing, it does not fuse them."""

from collections.abc import Mapping, Sequence

from orchestrator.journal import FinalistEvaluated
from trainables.evaluation.intervals import Interval
from trainables.evaluation.named_metrics import REPAIRED
from trainables.evaluation.repairing import rests_on_pairs

UNUSED = "pairs unused"


def repaired_scores(finalist: FinalistEvaluated) -> dict[str, Interval] | None:
    """Return mean and 95 % of the shuffles per test metric; None for a model of single images."""
    further = finalist.further
    found: dict[str, Interval] = {
        name: (further[key], further.get(f"{key}_low"), further.get(f"{key}_high"))
        for name in finalist.test
        if (key := f"{REPAIRED}{name}") in further
    }
    return found or None


def is_unused(test: Mapping[str, Interval] | None, repaired: Mapping[str, Interval] | None, metric: str) -> bool:
    """Say whether shuffling the partners costs a model nothing."""
    if not test or not repaired or metric not in repaired:
        return False
    return rests_on_pairs(test[metric][0], repaired[metric], metric) is False


def repaired_note(unused: Sequence[bool | None]) -> str:
    """Return what the column says; `unused` is None of models without such scores, and nothing is said of these."""
    known = [one for one in unused if one is not None]
    if not known:
        return ""
    told = "partners shuffled: test images with another one's partner of the same class, mean and 95 % of 20 shuffles"
    if not any(known):
        return told
    return f"{told}; {UNUSED}: that costs it nothing, so it does not rest on which two images are of one case"
