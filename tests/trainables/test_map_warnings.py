"""What panels warn of."""

from trainables.explain.explainers import Explainer
from trainables.explain.map_warnings import MapVerdict, idle_branch, of_any_class, verdict_warnings, verdict_words

PASSED = MapVerdict(True, "CAM beats its controls", True, "depends")


def test_a_map_that_passed_needs_no_word() -> None:
    assert verdict_warnings(["CAM"], {"CAM": PASSED, "other": MapVerdict(False, "loses", False, "edges")}) == []


def test_failed_tests_are_told_in_their_own_words() -> None:
    failed = MapVerdict(False, "CAM loses", False, "edges")
    assert verdict_warnings(["CAM"], {"CAM": failed}) == ["CAM loses", "CAM: edges"]


def test_what_nobody_could_tell_is_no_pass() -> None:
    verdicts = {"CAM": PASSED, "coarse": MapVerdict(True, "beats", None, "too coarse")}
    beside, noise = verdict_warnings(["CAM", "coarse", "new"], verdicts)
    assert beside.startswith("Not known to be better than maps") and beside.endswith(": new.")
    assert noise.startswith("Not known to change") and noise.endswith(": coarse, new.")


def test_one_failed_test_is_no_pass_and_neither_is_one_that_was_not_made() -> None:
    told = {
        (False, True): "do not rely on it",
        (True, False): "do not rely on it",
        (False, None): "do not rely on it",
        (None, True): "not known",
        (True, None): "not known",
        (True, True): "beats its controls",
    }
    assert {both: verdict_words(MapVerdict(both[0], "", both[1], "")) for both in told} == told
    assert verdict_words(None) == "not known"


def test_maps_of_no_class_are_named() -> None:
    both = [Explainer("rollout", name="ViT attention"), Explainer("gradcam", name="CNN"), Explainer(name="any")]
    assert of_any_class(both) == ["ViT attention: the same for every class."]
    assert of_any_class(both[1:]) == []


def test_a_branch_without_a_part_in_the_answer_is_named_whatever_its_sign() -> None:
    maps = {"cnn": ["ResNet", "ResNet fine"], "vit": ["ViT"]}
    (told,) = idle_branch({"cnn": 3.0, "vit": -0.1}, maps)
    assert told.startswith("ViT: this branch gives 3%")
    assert idle_branch({"cnn": 0.01, "vit": 0.6}, maps)[0].startswith("ResNet, ResNet fine: ")
    assert idle_branch({"cnn": 3.0, "vit": 0.2}, maps) == []
    assert idle_branch({"cnn": 0.0, "vit": 1e-7}, maps) == [], "of nothing there is no part"
    assert idle_branch({"cnn": 3.0, "vit": 0.0}, {"cnn": ["ResNet"], "vit": []}) == [], "no map, no warning"
