"""The dementia project's ResNet50: that it is torchvision's, what of it learns, and its kernel for one channel."""

from pathlib import Path

import pytest
import torch
import torchvision
from hub_support import stub_hub
from torch import nn
from training_support import blobs, run_of

from trainables.catalog import architecture, default_hyperparameters
from trainables.models import build_model, check_backbone, count_parameters
from trainables.training.learner import Learner
from trainables.training.loop import train
from trainables.training.parameters import frozen_names
from trainables.training.run import TrainingRun

SMOKE = dict(architecture("advanced_resnet50").smoke)
PARTS = ("stem", "layer1", "layer2", "layer3", "layer4", "head")
LAYER4 = 14_964_736  # of 23,508,032 parameters without the last layer


def published(**changes) -> nn.Module:
    with torch.device("meta"):
        return build_model("advanced_resnet50", changes, 4)


def small_run(folder: Path, epochs: int = 4, **changes) -> TrainingRun:
    return run_of("advanced_resnet50", folder, epochs, **SMOKE | {"batch_size": 8} | changes)


def part(name: str) -> str:
    """Return which of PARTS a parameter is of."""
    first, _, rest = name.partition(".")
    return first if first == "head" else rest.partition(".")[0] if rest.startswith("layer") else "stem"


def test_it_is_torchvision_s_network() -> None:
    torch.manual_seed(0)
    theirs, ours = torchvision.models.resnet50(num_classes=4).eval(), published().eval()
    assert count_parameters(ours)[1] == count_parameters(theirs)[1] == 23_508_032 + 2048 * 4 + 4
    state = {name: tensor for name, tensor in theirs.state_dict().items() if not name.startswith("fc.")}
    ours.backbone.load_state_dict(state, assign=True)
    theirs.fc = nn.Identity()
    x_BCHW = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        found_BF = ours.backbone(x_BCHW).mean(dim=(2, 3))
        assert torch.allclose(found_BF, theirs(x_BCHW), rtol=1e-4, atol=1e-4)
    assert found_BF.std() > 1e-3


def test_its_name_says_which_weights() -> None:
    name = default_hyperparameters("advanced_resnet50")["resnet"]
    check_backbone(name)
    assert name == "resnet50.tv_in1k"


def test_one_channel_has_two_thirds_fewer_weights_in_the_first_kernel() -> None:
    rgb, grey = (count_parameters(published(grey_input=kind))[1] for kind in ("rgb", "mean_kernel"))
    assert rgb - grey == 2 * 64 * 7 * 7


@pytest.mark.parametrize("resnet", ["resnet50", "test_resnet"])
def test_what_learns_begins_with_the_stage_after_the_frozen_ones(resnet: str) -> None:
    model = published(resnet=resnet)
    names = [name for name, _ in model.named_parameters()]
    firsts = {"none": 0, "stem": 1, "to_layer1": 2, "to_layer2": 3, "to_layer3": 4, "backbone": 5}
    for freeze, first in firsts.items():
        learning = [name for name in names if name not in frozen_names(model, freeze)]
        assert {part(name) for name in learning} == set(PARTS[first:]), freeze
        assert all(name in learning for name in names if part(name) in PARTS[first:]), "whole stages"


def test_the_last_stage_and_the_head_learn_by_default() -> None:
    model, by = published(), default_hyperparameters("advanced_resnet50")
    frozen = frozen_names(model, by["freeze"])
    learning = sum(tensor.numel() for name, tensor in model.named_parameters() if name not in frozen)
    assert learning == LAYER4 + 2048 * 4 + 4
    assert by["freeze_batchnorm"] and not by["unfreeze_epoch"]


@pytest.mark.parametrize("hold", [True, False])
def test_what_is_frozen_stays_and_its_batch_norm_only_where_it_is_held(tmp_path: Path, hold: bool) -> None:
    learner = Learner(small_run(tmp_path, freeze_batchnorm=hold), blobs(24))
    before = {name: tensor.clone() for name, tensor in learner.model.state_dict().items()}
    learner.train_epoch(1)
    same = {name: torch.equal(tensor, before[name]) for name, tensor in learner.model.state_dict().items()}
    for name, _ in learner.model.named_parameters():
        assert same[name] is (part(name) not in ("layer4", "head")), name
    for name in (name for name in same if name.endswith(("running_mean", "running_var"))):
        assert same[name] is (hold and part(name) != "layer4"), name


def test_one_channel_s_kernel_is_the_mean_of_the_pretrained_one(tmp_path: Path) -> None:
    changes = {"resnet": "test_resnet", "image_px": 160}
    with stub_hub(tmp_path) as hub:
        grey = build_model("advanced_resnet50", changes | {"grey_input": "mean_kernel"}, 4, pretrained=True)
        colour = build_model("advanced_resnet50", changes, 4, pretrained=True)
        kernel = hub.weights("test_resnet")["conv1.0.weight"]
        assert hub.asked == ["test_resnet"] * 2
    assert kernel.shape[1] == 3
    assert torch.allclose(grey.backbone.conv1[0].weight, kernel.mean(dim=1, keepdim=True), atol=1e-7)
    assert torch.equal(colour.backbone.conv1[0].weight, kernel)
    assert "backbone.conv1.0.weight" in frozen_names(grey, default_hyperparameters("advanced_resnet50")["freeze"])


@pytest.mark.parametrize(
    ("grey_input", "expected"),
    [
        ("rgb", [(0.6 - 0.485) / 0.229, (0.6 - 0.456) / 0.224, (0.6 - 0.406) / 0.225]),
        ("mean_kernel", [(0.6 - (0.485 + 0.456 + 0.406) / 3) / ((0.229 + 0.224 + 0.225) / 3)]),
    ],
)
def test_images_are_normalised_as_in_pretraining(grey_input: str, expected: list[float]) -> None:
    model = build_model("advanced_resnet50", SMOKE | {"resnet": "resnet10t", "grey_input": grey_input}, 4).eval()
    seen: list[torch.Tensor] = []
    model.backbone.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    with torch.inference_mode():
        model(torch.full((1, 1, 32, 32), 0.6))
    assert seen[0][0, :, 0, 0].tolist() == pytest.approx(expected)
    assert not {"mean", "std"} & model.state_dict().keys(), "no part of the weights"


def test_dropout_reaches_the_head() -> None:
    assert [module.p for module in published().head if isinstance(module, nn.Dropout)] == [0.5]
    assert [module.p for module in published(dropout=0.1).head if isinstance(module, nn.Dropout)] == [0.1]


@pytest.mark.parametrize("grey_input", ["rgb", "mean_kernel"])
def test_a_planted_difference_is_learned(tmp_path: Path, grey_input: str) -> None:
    records = list(train(small_run(tmp_path, grey_input=grey_input), blobs()))
    assert max(record.metrics["val/auroc"] or 0 for record in records) > 0.95
