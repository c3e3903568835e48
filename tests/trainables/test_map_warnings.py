"""What panels warn of."""

from trainables.explain.explainers import Explainer
from trainables.explain.map_warnings import failed_tests, idle_branch, of_any_class


def test_only_failed_tests_are_told() -> None:
    assert failed_tests("CAM", True, "beats", True, "depends") == []
    assert failed_tests("CAM", None, "beats", None, "depends") == [], "what cannot be told is no failure"
    assert failed_tests("CAM", False, "CAM loses", False, "edges") == ["CAM loses", "CAM: edges"]


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
    assert idle_branch({"cnn": 0.0, "vit": 0.0}, maps) == [], "of nothing there is no part"
    assert idle_branch({"cnn": 3.0, "vit": 0.0}, {"cnn": ["ResNet"], "vit": []}) == [], "no map, no warning"
