"""What the leaderboard says of scores with shuffled partners."""

from orchestrator.journal import FinalistEvaluated
from orchestrator.repaired_scores import loses_nothing, repaired_mark, repaired_note, repaired_scores

TEST = {"auroc": (0.9, 0.8, 1.0), "log_loss": (0.3, None, None)}


def finalist(**further: float) -> FinalistEvaluated:
    named = {f"test/repaired/{name}": value for name, value in further.items()}
    return FinalistEvaluated(trial=0, validation={}, test={"auroc": 0.9, "log_loss": 0.3, "mcc": 0.5}, further=named)


def test_a_model_is_said_to_lose_or_not_or_to_have_too_few_cases_or_nothing() -> None:
    loses = repaired_scores(finalist(shuffles=20, auroc=0.5, auroc_low=0.4, auroc_high=0.6))
    assert loses == {"auroc": (0.5, 0.4, 0.6)}
    same = repaired_scores(finalist(shuffles=20, auroc=0.85, auroc_low=0.8, auroc_high=0.9))
    few, single = repaired_scores(finalist(shuffles=0)), repaired_scores(finalist())
    assert (few, single) == ({}, None)
    marks = [repaired_mark(TEST, scores, "auroc") for scores in (loses, same, few)]
    assert marks == ["", "no loss", "too few to tell"]
    assert repaired_note([None, None]) == ""
    assert repaired_note(["", None]).endswith("95 % of 20 shuffles")
    assert "no loss: the score with the right partners is not better than" in repaired_note(["", "no loss"])
    assert "too few to tell: fewer than 5 groups in a class" in repaired_note(["too few to tell"])


def test_a_metric_that_is_better_when_low_is_judged_so() -> None:
    scores = {"log_loss": (0.7, 0.6, 0.8), "auroc": (None, None, None)}
    assert not loses_nothing(TEST, scores, "log_loss")
    assert loses_nothing({"log_loss": (0.65, None, None)}, scores, "log_loss")
    assert not loses_nothing(TEST, scores, "auroc"), "nothing is known"
    assert not loses_nothing(None, scores, "auroc")
