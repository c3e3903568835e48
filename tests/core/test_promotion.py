from pathlib import Path

import pytest
from evidence_support import POLICY, Model, TestSet, draw_predictions, write_evidence

from orchestrator.promotion.checks import RivalAnswers
from orchestrator.promotion.decision import Decision, decide
from orchestrator.promotion.evidence import EVIDENCE_FILE, EvidenceFolder, ExplainerVerdict
from orchestrator.promotion.model_card import write_model_card

CHAMPION = Model(signal=1.5, seed=1)
BETTER = Model(signal=3.2, seed=2)


def judged(tmp_path: Path, challenger: Model, champion: Model | None = CHAMPION, **more: object) -> Decision:
    held_out = more.pop("held_out", TestSet(patients=200))
    mine = write_evidence(tmp_path / "challenger", challenger, held_out)
    theirs = None if champion is None else write_evidence(tmp_path / "champion", champion, held_out)
    policy = POLICY.model_copy(update=more.pop("policy", {}))
    return decide(policy, mine, theirs, more.pop("earlier", None))


def failed(decision: Decision) -> list[str]:
    return [check.name for check in decision.failed]


def test_a_better_model_passes_every_check(tmp_path: Path) -> None:
    decision = judged(tmp_path, BETTER)
    assert decision.passed, decision.in_words()
    names = [check.name for check in decision.checks]
    assert names == [
        "better than chance", "calibrated", "no leak", "sensitivity at 95% specificity", "BT by itself", "MR by itself",
        "auroc against the champion", "BT not worse", "MR not worse",
    ]  # fmt: skip
    assert decision.p_value < 0.001 and "(DeLong)" in decision.checks[6].value


@pytest.mark.parametrize("challenger", [Model(signal=1.5, seed=3), Model(signal=1.0, seed=4)], ids=["equal", "worse"])
def test_an_equal_or_worse_model_is_refused(tmp_path: Path, challenger: Model) -> None:
    assert "auroc against the champion" in failed(judged(tmp_path, challenger))


def test_a_better_model_that_leaks_is_refused_unless_the_policy_allows_it(tmp_path: Path) -> None:
    leaking = Model(signal=3.2, seed=2, leaks=12)
    decision = judged(tmp_path / "one", leaking)
    assert failed(decision) == ["no leak"]
    assert decision.failed[0].value == "12 of 200 test images were seen in development"
    assert judged(tmp_path / "two", leaking, policy={"leaks_allowed": True}).passed


def test_another_split_is_advised_only_where_the_leaking_one_was_shipped(tmp_path: Path) -> None:
    folder = write_evidence(tmp_path / "e", Model(signal=3.2, seed=2, leaks=12))
    shipped = folder.evidence.model_copy(update={"split": "shipped"}).model_dump_json()
    assert [check.rule for check in decide(POLICY, folder).failed] == ["none was"]
    (folder.path / EVIDENCE_FILE).write_text(shipped)
    again = decide(POLICY, EvidenceFolder(folder.path))
    assert [check.rule for check in again.failed] == ["none was (--split grouped makes a split without)"]


def test_a_better_model_whose_probabilities_lie_is_refused(tmp_path: Path) -> None:
    decision = judged(tmp_path, Model(signal=2.2, seed=2, overconfidence=4.0))
    assert failed(decision) == ["calibrated"]
    assert decision.failed[0].value.endswith("of it by being too sure")


def test_an_accurate_model_that_is_far_too_sure_is_refused(tmp_path: Path) -> None:
    """Its calibration error is small, as it is seldom wrong: what it costs is not."""
    decision = judged(tmp_path, Model(signal=4.0, own_noise=0.3, overconfidence=6.0), None)
    assert failed(decision) == ["calibrated"]


@pytest.mark.parametrize(("patients", "per_patient"), [(30, 1), (60, 1), (200, 1), (40, 10)])
def test_true_probabilities_pass_on_few_images_and_on_many_of_few_patients(
    tmp_path: Path, patients: int, per_patient: int
) -> None:
    decision = judged(tmp_path, Model(signal=3.0), None, held_out=TestSet(patients, per_patient))
    assert "calibrated" not in failed(decision)


def test_a_threshold_that_loses_its_specificity_on_test_is_no_sensitivity(tmp_path: Path) -> None:
    folder = write_evidence(tmp_path / "e", BETTER)
    point = folder.evidence.evaluation["operating_point"]["test"]
    point["specificity"] = [0.5, 0.4, 0.6]
    assert failed(decide(POLICY, folder)) == ["sensitivity at 95% specificity"]


def test_a_model_that_is_better_overall_and_worse_on_one_modality_is_refused(tmp_path: Path) -> None:
    champion = Model(signal=1.5, signal_on_mr=3.0, seed=1)
    decision = judged(tmp_path, Model(signal=6.0, signal_on_mr=1.2, seed=2), champion)
    assert "MR not worse" in failed(decision) and "BT not worse" not in failed(decision)
    floor = judged(tmp_path / "floor", Model(signal=6.0, signal_on_mr=0.0, seed=2), None)
    assert failed(floor) == ["MR by itself"]


def test_without_a_champion_the_model_is_judged_by_itself(tmp_path: Path) -> None:
    assert judged(tmp_path / "good", BETTER, None).passed
    blind = judged(tmp_path / "blind", Model(signal=0.0), None)
    assert failed(blind)[0] == "better than chance" and blind.p_value is None
    assert blind.in_words().startswith("refused: better than chance: test auroc 0.")


def test_a_cheaper_model_need_not_be_better(tmp_path: Path) -> None:
    twin = {"signal": 3.0, "own_noise": 0.0}  # says what the champion says
    cheap = Model(**twin, parameters=500_000, seed=5)
    many = TestSet(patients=400)  # so many of a class that they can tell 0.02
    assert judged(tmp_path / "fewer", cheap, Model(**twin), held_out=many).passed
    fast = Model(**twin, image_ms=5.0, parameters=999_999, seed=5)
    assert judged(tmp_path / "faster", fast, Model(**twin), held_out=many).passed
    for name, other in (
        ("dear", Model(**twin, seed=5)),
        ("same", Model(**twin, image_ms=5.0, seed=5)),  # a clock errs
        ("unknown", Model(**twin, parameters=None, image_ms=5.0)),
    ):
        assert failed(judged(tmp_path / name, other, Model(**twin), held_out=many)) == ["auroc against the champion"]
    worse = judged(tmp_path / "worse", Model(signal=1.0, parameters=1, seed=5), Model(signal=3.0))
    assert "auroc against the champion" in failed(worse)
    off = judged(tmp_path / "off", cheap, Model(**twin), held_out=many, policy={"cheaper_fraction": None})
    assert failed(off) == ["auroc against the champion"]


def test_two_models_without_a_fault_on_few_images_are_not_told_apart(tmp_path: Path) -> None:
    """Cheaper and not worse: twenty images cannot say the latter."""
    perfect = {"signal": 30.0, "own_noise": 0.0}
    few = judged(tmp_path, Model(**perfect, parameters=1), Model(**perfect), held_out=TestSet(patients=20))
    check = next(check for check in few.checks if check.name == "auroc against the champion")
    assert not check.passed and check.value.startswith("+0.000 [-0.308, +0.308], p 1 "), "ten images of a class"


@pytest.mark.parametrize("metric", ["macro_f1", "log_loss", "sensitivity"])
def test_where_chance_is_no_one_number_auroc_is_held_against_it(tmp_path: Path, metric: str) -> None:
    for name, model, passes in (("blind", Model(signal=0.0), False), ("good", BETTER, True)):
        folder = write_evidence(tmp_path / name, model)
        path = folder.path / EVIDENCE_FILE
        path.write_text(folder.evidence.model_copy(update={"metric": metric}).model_dump_json())
        check = decide(POLICY, EvidenceFolder(folder.path)).checks[0]
        assert (check.name, check.passed) == ("better than chance", passes)
        assert check.value.startswith("test auroc 0.") and check.rule.endswith(
            f"({metric} has no fixed value by chance)"
        )


def test_who_challenges_after_others_needs_a_smaller_p(tmp_path: Path) -> None:
    first = judged(tmp_path / "one", Model(signal=2.1, seed=2))
    assert first.passed and first.p_value < 0.05
    others = round(0.05 / first.p_value)
    later = judged(tmp_path / "two", Model(signal=2.1, seed=2), earlier={str(n): 0.9 for n in range(others)})
    assert failed(later) == ["auroc against the champion"]
    assert f"of {others + 1} challengers" in later.failed[0].value


def test_slices_of_one_patient_are_drawn_together(tmp_path: Path) -> None:
    decision = judged(tmp_path, BETTER, held_out=TestSet(patients=60, per_patient=4))
    assert "(draws of groups)" in decision.checks[6].value


def test_a_sweep_does_not_choose_what_champions_are_measured_by(tmp_path: Path) -> None:
    mine, theirs = (write_evidence(tmp_path / name, model) for name, model in (("a", Model(signal=0.5)), ("b", BETTER)))
    assert (mine.evidence.metric, mine.evidence.chosen_by) == ("auroc", "sensitivity")
    assert "auroc against the champion" in failed(decide(POLICY, mine, theirs))


def test_tables_that_lack_an_image_are_not_compared(tmp_path: Path) -> None:
    mine, theirs = write_evidence(tmp_path / "mine", BETTER), write_evidence(tmp_path / "theirs", CHAMPION)
    table = theirs.path / "predictions_test.csv"
    table.write_text("\n".join(table.read_text().splitlines()[:-1]) + "\n")
    assert failed(decide(POLICY, mine, theirs)) == ["same images"]


def test_a_champion_on_other_images_cannot_be_compared(tmp_path: Path) -> None:
    mine = write_evidence(tmp_path / "mine", BETTER, TestSet(seed=0))
    theirs = write_evidence(tmp_path / "theirs", CHAMPION, TestSet(seed=1))
    decision = decide(POLICY, mine, theirs)
    assert failed(decision) == ["same images"] and decision.p_value is None


@pytest.mark.parametrize(("theirs", "passes"), [(1.5, True), (3.2, False)], ids=["worse", "equal"])
def test_a_champion_that_judged_the_challengers_images_is_compared_on_them(
    tmp_path: Path, theirs: float, passes: bool
) -> None:
    mine = write_evidence(tmp_path / "mine", BETTER, TestSet(seed=0, patients=200))
    champion = write_evidence(tmp_path / "theirs", CHAMPION, TestSet(seed=1, patients=200))
    again = draw_predictions(Model(signal=theirs, seed=1), TestSet(seed=0, patients=200), "test")
    decision = decide(POLICY, mine, champion, answers=RivalAnswers(again.probs_NK, seen=4))
    assert decision.passed == passes and decision.p_value is not None
    check = next(check for check in decision.checks if check.name == "same images")
    assert check.passed and "200; it was developed on 4 of them, which favours it" in check.value


@pytest.mark.parametrize(
    ("verdicts", "passes"),
    [({}, True), ({"a": False, "b": None}, True), ({"a": False, "b": True}, True), ({"a": False, "b": False}, False)],
    ids=["none", "too coarse", "one changes", "none changes"],
)
def test_maps_that_do_not_hang_on_the_model_refuse_it(
    tmp_path: Path, verdicts: dict[str, bool | None], passes: bool
) -> None:
    folder = write_evidence(tmp_path / "e", BETTER)
    told = {
        name: ExplainerVerdict(method="gradcam", beats_controls=None, depends_on_model=kept, sentences=("why", "so"))
        for name, kept in verdicts.items()
    }
    path = folder.path / EVIDENCE_FILE
    path.write_text(folder.evidence.model_copy(update={"explanations": told}).model_dump_json())
    decision = decide(POLICY, EvidenceFolder(folder.path))
    assert decision.passed == passes
    assert failed(decision) == ([] if passes else ["explanations"])
    assert decide(POLICY.model_copy(update={"sane_explanations": False}), EvidenceFolder(folder.path)).passed
    card = write_model_card(EvidenceFolder(folder.path))
    assert ("- b (gradcam): why; so" in card) == ("b" in verdicts) and "## Why it says so" in card


def test_a_model_whose_explaining_failed_is_refused_with_the_reason(tmp_path: Path) -> None:
    folder = write_evidence(tmp_path / "e", BETTER)
    told = folder.evidence.model_copy(update={"unexplained": "proof: out of memory", "explaining_failed": True})
    (folder.path / EVIDENCE_FILE).write_text(told.model_dump_json())
    decision = decide(POLICY, EvidenceFolder(folder.path))
    assert failed(decision) == ["explanations"]
    assert decision.failed[0].value == "no map is judged: proof: out of memory"
    assert "(sane_explanations: false in promotion.yaml waives it)" in decision.failed[0].rule
    assert decide(POLICY.model_copy(update={"sane_explanations": False}), EvidenceFolder(folder.path)).passed
    card = write_model_card(EvidenceFolder(folder.path))
    assert "no map that is judged: proof: out of memory" in card and "Nothing was explained" not in card


def test_a_model_that_no_explainer_can_be_used_on_is_not_refused_and_that_is_said(tmp_path: Path) -> None:
    folder = write_evidence(tmp_path / "e", BETTER)
    told = folder.evidence.model_copy(update={"unexplained": "CNN: its map of a 32 px image is one cell"})
    (folder.path / EVIDENCE_FILE).write_text(told.model_dump_json())
    decision = decide(POLICY, EvidenceFolder(folder.path))
    assert decision.passed
    (check,) = (check for check in decision.checks if check.name == "explanations")
    assert check.value == "no map is judged: CNN: its map of a 32 px image is one cell"


def test_the_card_says_what_a_model_is_for_and_where_it_fails(tmp_path: Path) -> None:
    folder = write_evidence(tmp_path / "e", Model(signal=2.0, leaks=3))
    card = write_model_card(folder)
    assert (folder.path / "model_card.md").read_text() == card
    for words in ("Research only", "95 % intervals by group", "| MR | 60 |", "surest mistakes", "licence: none", "`d`"):
        assert words in card, words
    worst = [line for line in card.splitlines() if line.endswith(" |") and line.startswith("| ") and len(line) > 40]
    assert any(folder.test.rows[n].sha256 in line for line in worst for n in range(120))
    assert "test images that development has seen: 3" in card
