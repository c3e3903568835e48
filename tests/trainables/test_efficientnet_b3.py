"""The dementia project's EfficientNet-B3: that its trunk is torchvision's, its head, its recipe, and that it learns."""

from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn
from training_support import blobs, run_of

from trainables.catalog import architecture, default_hyperparameters
from trainables.data.augmentation import Augmentation
from trainables.models import build_model, check_backbone, count_parameters
from trainables.training.learner import Learner
from trainables.training.loop import train
from trainables.training.parameters import frozen_names
from trainables.training.run import TrainingRun

SMOKE = dict(architecture("efficientnet_b3").smoke)


def published(**changes) -> nn.Module:
    with torch.device("meta"):
        return build_model("efficientnet_b3", changes, 4)


def small_run(folder: Path, epochs: int, **changes) -> TrainingRun:
    return run_of("efficientnet_b3", folder, epochs, **SMOKE | {"batch_size": 8, "lr": 3e-3} | changes)


def test_its_trunk_is_torchvision_s_and_its_head_the_project_s() -> None:
    torch.manual_seed(0)
    theirs, ours = torchvision.models.efficientnet_b3().eval(), published().eval()
    trunk = sum(parameter.numel() for parameter in theirs.features.parameters())
    dropout, classifier = theirs.classifier
    assert count_parameters(theirs)[1] == trunk + classifier.in_features * 1000 + 1000
    project = nn.Sequential(
        dropout, nn.Dropout(0.4), nn.Linear(classifier.in_features, 512), nn.ReLU(), nn.Dropout(0.4), nn.Linear(512, 4)
    )
    assert [str(layer).replace("inplace=True", "inplace=False") for layer in project] == [str(m) for m in ours.head]
    expected = trunk + (1536 * 512 + 512) + (512 * 4 + 4)
    assert count_parameters(ours) == (expected, expected)
    names = [name for name in ours.backbone.state_dict() if not name.endswith("num_batches_tracked")]
    tensors = [t for name, t in theirs.features.state_dict().items() if not name.endswith("num_batches_tracked")]
    for name, tensor in zip(names, tensors, strict=True):  # both in the order of the layers
        assert ours.backbone.state_dict()[name].shape == tensor.shape, name
    ours.backbone.load_state_dict(dict(zip(names, tensors, strict=True)), assign=True, strict=False)
    x_BCHW = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        found, wanted = ours.backbone(x_BCHW), theirs.features(x_BCHW)
    assert torch.allclose(found, wanted, rtol=1e-3, atol=1e-3 * float(wanted.std()))


def test_whole_blocks_are_skipped_as_often_as_in_torchvision_s() -> None:
    with torch.device("meta"):
        theirs = torchvision.models.efficientnet_b3()
    wanted = [m.p for m in theirs.modules() if type(m).__name__ == "StochasticDepth" and m.p]
    found = [m.drop_prob for m in published().modules() if type(m).__name__ == "DropPath"]
    assert found == pytest.approx(wanted) and 0.15 < max(found) < 0.2
    assert not [m for m in published(drop_path=0.0).modules() if type(m).__name__ == "DropPath"]


def test_the_published_recipe_is_the_default() -> None:
    by = default_hyperparameters("efficientnet_b3")
    check_backbone(by["efficientnet"])
    assert (by["image_px"], by["batch_size"], by["lr"], by["weight_decay"]) == (224, 16, 1e-4, 0.02)
    assert (by["lr_schedule"], by["plateau_factor"], by["plateau_patience"]) == ("plateau", 0.5, 2)
    assert (by["warmup_fraction"], by["imbalance"], by["freeze"]) == (0, "class_weight", "none")
    whole = Augmentation(
        hflip=True, rotation_deg=15, shift_fraction=0.05, zoom_fraction=0.05, brightness=0.2, contrast=0.2, gamma=0.2,
        noise=0.2, random_crop_fraction=0.92, num_holes=8, hole_fraction=0.036, hole_probability=0.2,
    )  # fmt: skip
    assert Augmentation.of(by) == whole
    assert round(whole.hole_fraction * 224) == 8


def test_each_hyperparameter_reaches_the_head() -> None:
    head = published(trunk_dropout=0.1, dropout=0.2, hidden=64).head
    assert [module.p for module in head if isinstance(module, nn.Dropout)] == [0.1, 0.2, 0.2]
    assert [tuple(module.weight.shape) for module in head if isinstance(module, nn.Linear)] == [(64, 1536), (4, 64)]


def test_images_are_normalised_as_in_pretraining() -> None:
    model = build_model("efficientnet_b3", SMOKE, 4).eval()
    seen: list[torch.Tensor] = []
    model.backbone.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    with torch.inference_mode():
        model(torch.full((1, 1, 32, 32), 0.6))
    own = [(0.6 - mean) / std for mean, std in ((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))]
    assert seen[0][0, :, 0, 0].tolist() == pytest.approx(own)
    assert not {"mean", "std"} & model.state_dict().keys(), "no part of the weights"


def test_all_learns_unless_half_or_all_of_the_trunk_is_frozen() -> None:
    model = published()
    trunk = {name for name, _ in model.named_parameters() if name.startswith("backbone.")}
    assert frozen_names(model, "none") == set()
    assert frozen_names(model, "backbone") == trunk
    half = frozen_names(model, "half")
    assert {name.split(".")[2] for name in half if ".blocks." in name} == {"0", "1", "2", "3"}


@pytest.mark.parametrize("hold", [True, False])
def test_a_frozen_trunk_stays_and_its_batch_norm_only_where_it_is_held(tmp_path: Path, hold: bool) -> None:
    learner = Learner(small_run(tmp_path, 1, freeze="backbone", freeze_batchnorm=hold), blobs(24))
    before = {name: tensor.clone() for name, tensor in learner.model.state_dict().items()}
    learner.train_epoch(1)
    same = {name: torch.equal(tensor, before[name]) for name, tensor in learner.model.state_dict().items()}
    for name, _ in learner.model.named_parameters():
        assert same[name] is name.startswith("backbone."), name
    assert {same[name] for name in same if name.endswith(("running_mean", "running_var"))} == {hold}


def test_a_planted_difference_is_learned(tmp_path: Path) -> None:
    records = list(train(small_run(tmp_path, 5), blobs()))
    assert max(record.metrics["val/auroc"] or 0 for record in records) > 0.95
