"""What a model of image pairs scores where partners are shuffled: is it seen to use which images belong together?"""

from collections.abc import Mapping, Sequence

from orchestrator.journal import FinalistEvaluated
from trainables.evaluation.intervals import Interval
from trainables.evaluation.named_metrics import REPAIRED, SHUFFLED
from trainables.evaluation.repairing import FEWEST_GROUPS, SHUFFLES, rests_on_pairs

NO_LOSS = "no loss"
TOO_FEW = "too few to tell"


def repaired_scores(finalist: FinalistEvaluated) -> dict[str, Interval] | None:
    """Return mean and 95 % of the shuffles per test metric; None for a model of single images, empty of too few."""
    further = finalist.further
    if SHUFFLED not in further:
        return None
    return {
        name: (further[key], further.get(f"{key}_low"), further.get(f"{key}_high"))
        for name in finalist.test
        if (key := f"{REPAIRED}{name}") in further
    }


def loses_nothing(test: Mapping[str, Interval] | None, repaired: Mapping[str, Interval] | None, metric: str) -> bool:
    """Say whether a model was scored with shuffled partners, and is not seen to be worse by it."""
    if not test or not repaired or metric not in repaired:
        return False
    return rests_on_pairs(test[metric][0], repaired[metric], metric) is False


def repaired_mark(test: Mapping[str, Interval] | None, repaired: Mapping[str, Interval] | None, metric: str) -> str:
    """Return what stands beside a score with shuffled partners, or instead of it."""
    if repaired == {}:
        return TOO_FEW
    return NO_LOSS if loses_nothing(test, repaired, metric) else ""


def repaired_note(marks: Sequence[str | None]) -> str:
    """Return what the column says, from its marks; None of models of single images, of which nothing is said."""
    known = [mark for mark in marks if mark is not None]
    if not known:
        return ""
    told = [
        "partners shuffled: test images with the partner of another patient of their class, mean and 95 % of "
        f"{SHUFFLES} shuffles"
    ]
    if NO_LOSS in known:
        told.append(
            f"{NO_LOSS}: the score with the right partners is not better than 97.5 % of these, so it is not seen to "
            "rest on which two images are of one case"
        )
    if TOO_FEW in known:
        told.append(f"{TOO_FEW}: fewer than {FEWEST_GROUPS} groups in a class, or one with more than half of it")
    return "; ".join(told)
