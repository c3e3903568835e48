"""Each hyperparameter of training does what it says; ignored, at least one of these fails."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from torch import nn
from training_support import TINY, blobs, run, scores

from trainables.training.batches import epoch_batches
from trainables.training.learner import Learner
from trainables.training.loop import train
from trainables.training.objective import Objective, balanced_weights, hardest
from trainables.training.parameters import rate_scales
from trainables.training.rates import RateSchedule

COSINE = {"lr_schedule": "cosine"}
PLATEAU = {"lr_schedule": "plateau", "plateau_patience": 0, "warmup_fraction": 0.0, "lr": 0.03}
FROZEN = {"freeze": "all_backbones"}
FOCAL = {"imbalance": "focal"}
HOLES = {"num_holes": 4}
HEM = {"imbalance": "hem", "hem_fraction": 0.5}


def unequal():
    """As blobs, with one image of class 1 in four."""
    data = blobs(48)
    keep = [row for row in data.training_rows.tolist() if row % 2 == 0 or row % 8 == 1]
    return replace(data, training_rows=torch.tensor(keep))


@cache
def scored(metric: str, epochs: int, changes: tuple[tuple[str, object], ...]) -> list[dict]:
    with TemporaryDirectory() as folder:
        return scores(train(run(Path(folder), epochs=epochs, metric=metric, **dict(changes)), unequal()))


@pytest.mark.parametrize(
    ("beside", "change"),
    [
        ({}, {"optimizer": "adam"}), ({}, {"optimizer": "sgd"}), ({}, {"lr": 1e-4}), ({}, {"weight_decay": 0.9}),
        ({"optimizer": "sgd"}, {"momentum": 0.5}),
        ({}, COSINE), ({}, {"lr_schedule": "onecycle"}), (COSINE, {"warmup_fraction": 0.5}),
        (COSINE, {"lr_schedule": "onecycle"}), ({}, {"lr_schedule": "plateau", "warmup_fraction": 0.5}),
        (PLATEAU, {"plateau_factor": 0.01}), (PLATEAU, {"plateau_patience": 5}),
        ({}, {"batch_size": 16}), ({}, {"micro_batch_size": 4}), ({}, {"grad_clip": 0.01}), ({}, {"ema_decay": 0.9}),
        ({"ema_decay": 0.9}, {"ema_decay": 0.2}), ({}, {"label_smoothing": 0.2}),
        ({}, {"imbalance": "class_weight"}), ({}, {"imbalance": "pos_weight"}),
        ({}, {"plain_copies": True}), ({}, {"imbalance": "weighted_sampler"}), ({}, FOCAL), ({}, HEM),
        (FOCAL, {"focal_gamma": 5.0}), (HEM, {"hem_fraction": 0.3}), (HEM, {"hem_mode": "reuse_loss"}),
        (HEM, {"hem_warmup_epochs": 1}),
        ({}, FROZEN), ({}, {"freeze": "resnet_stem"}), ({}, {"freeze": "vit_half"}), (FROZEN, {"unfreeze_epoch": 2}),
        (FROZEN, {"freeze_batchnorm": False}), ({}, {"layer_decay": 0.5}), ({}, {"backbone_lr_mult": 0.1}),
        ({}, {"hflip": False}), ({}, {"rotation_deg": 40.0}), ({}, {"shift_fraction": 0.2}),
        ({}, {"zoom_fraction": 0.2}), ({}, {"brightness": 0.3}), ({}, {"contrast": 0.3}), ({}, {"noise": 0.2}),
        ({}, {"random_crop_fraction": 0.5}), ({}, {"gamma": 0.5}), ({}, HOLES), (HOLES, {"hole_fraction": 0.5}),
        (HOLES, {"hole_probability": 0.3}),
        ({}, {"dropout": 0.0}), ({}, {"hidden": 8}), ({}, {"vit": "test_vit2"}), ({}, {"resnet": "resnet10t"}),
    ],
)  # fmt: skip
def test_no_hyperparameter_is_ignored(beside: dict, change: dict) -> None:
    epochs = 4 if "plateau_patience" in beside else 2
    before = scored("auroc", epochs, tuple(beside.items()))
    assert before != scored("auroc", epochs, tuple((beside | change).items()))


def test_the_list_above_names_every_hyperparameter_of_training() -> None:
    from trainables.catalog import ARCHITECTURES

    cases = test_no_hyperparameter_is_ignored.pytestmark[0].args[1]
    named = {name for _, change in cases for name in change} | {"early_stop_patience", "most_epochs", "image_px"}
    named |= {"crop_brain", "crop_margin_px"}  # of the image before it is trained on: test_views.py
    later = {"fusion", "normalise", "grey_input"}  # held by the architecture's own tests
    assert set(ARCHITECTURES["resnet_vit"].config.model_fields) == named | later


def test_early_stopping_says_why(tmp_path: Path) -> None:
    records = list(train(run(tmp_path, epochs=30, early_stop_patience=2), blobs()))
    assert len(records) < 30
    best = max(record.epoch for record in records if record.is_best)
    assert records[-1].epoch == best + 2
    assert records[-1].stop_reason == f"no better val/auroc for 2 epochs after epoch {best}"
    assert not any(record.stop_reason for record in records[:-1])


def test_a_trial_may_have_fewer_epochs_than_the_sweep_and_its_rates_end_with_them(tmp_path: Path) -> None:
    records = list(train(run(tmp_path, epochs=5, most_epochs=2, lr_schedule="cosine"), blobs()))
    assert [record.stop_reason for record in records] == ["", "all of its own 2 epochs trained"]
    learner = Learner(run(tmp_path, epochs=5, most_epochs=2, lr_schedule="cosine"), blobs())
    assert learner.rates.total_steps == 2 * 6
    assert [r.stop_reason for r in train(run(tmp_path, epochs=2, most_epochs=9), blobs())] == ["", ""]


def test_parts_of_a_batch_add_up_to_the_batch() -> None:
    """Without batch norm, whose statistics are those of a part, the gradients are the same."""
    for beside in ({}, {"imbalance": "class_weight"}, {"label_smoothing": 0.1}, HEM):
        grads = []
        for micro in (0, 3, 8):
            learner = Learner(run(Path(), micro_batch_size=micro, hflip=False, rotation_deg=0.0, **beside), unequal())
            still = nn.Sequential(nn.Flatten(), nn.Linear(32 * 32, 2))
            torch.manual_seed(1)
            nn.init.normal_(still[1].weight, std=0.02)
            learner.model = still
            learner.take_first_step()
            grads.append(still[1].weight.grad.clone())
        assert torch.allclose(grads[0], grads[1], atol=1e-6)
        assert torch.allclose(grads[0], grads[2], atol=1e-6)


def test_hard_examples_are_those_of_highest_loss() -> None:
    losses_B = torch.tensor([0.3, 2.0, 0.1, 1.0, 0.7, 0.2, 0.9, 0.4, 0.5, 0.6])
    assert sorted(hardest(losses_B, 0.2).tolist()) == [1, 3]
    assert sorted(hardest(losses_B, 0.3).tolist()) == [1, 3, 6]
    assert hardest(losses_B[:4], 0.2).tolist() == [1], "int(0.2 * 4) is 0; one is trained on all the same"
    assert hardest(losses_B[:1], 0.1).tolist() == [0]
    assert len(hardest(losses_B, 0.7)) == 7, "0.7 * 10 is 6.999... in binary"


@pytest.mark.parametrize("mode", ["reforward", "reuse_loss"])
def test_hem_steps_as_computed_by_hand(mode: str) -> None:
    """One linear layer, SGD: the step is the mean gradient of the hardest half alone."""
    changes = {"optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.0, "lr": 0.1, "hflip": False, "rotation_deg": 0.0}
    learner = Learner(run(Path(), hem_mode=mode, **HEM, **changes), blobs(8 * 4 // 3 + 2))
    by_hand, model = linear(), linear()
    learner.model = model
    learner._optimizer = torch.optim.SGD([{"params": list(model.parameters()), "lr": 0.1, "full_lr": 0.1}])
    data = blobs(8 * 4 // 3 + 2)
    rows_B = data.training_rows[:8]
    x_BN, labels_B = data.images_NMHW[rows_B].flatten(1).float() / 255, data.labels_N[rows_B]
    losses_B = nn.functional.cross_entropy(by_hand[1](x_BN), labels_B, reduction="none")
    hard = np.argsort(-losses_B.detach().numpy())[:4]
    losses_B[torch.tensor(hard.copy())].mean().backward()
    loss = learner.take_first_step()
    hard_loss = losses_B.detach()[torch.tensor(hard.copy())].mean()
    assert loss == pytest.approx(float(hard_loss), abs=1e-6)
    expected = by_hand[1].weight - 0.1 * by_hand[1].weight.grad
    assert torch.allclose(model[1].weight, expected, atol=1e-6)


def linear() -> nn.Sequential:
    torch.manual_seed(5)
    return nn.Sequential(nn.Flatten(), nn.Linear(32 * 32, 2))


def test_losses_are_those_of_torch_and_of_the_papers() -> None:
    torch.manual_seed(0)
    logits_BK, labels_B = torch.randn(12, 3), torch.tensor([0] * 7 + [1] * 3 + [2] * 2)
    plain = {"imbalance": "none", "label_smoothing": 0.0, "focal_gamma": 2.0}

    def mean(**changes) -> torch.Tensor:
        objective = Objective(plain | changes, labels_B, 3)
        return objective.losses(logits_BK, labels_B).sum() / objective.divisor(labels_B)

    weight_K = balanced_weights(labels_B, 3)
    assert torch.allclose(weight_K, torch.tensor([12 / 21, 12 / 9, 12 / 6]))
    ce = nn.functional.cross_entropy
    assert torch.allclose(mean(), ce(logits_BK, labels_B))
    assert torch.allclose(mean(imbalance="class_weight"), ce(logits_BK, labels_B, weight=weight_K))
    smoothed = ce(logits_BK, labels_B, weight=weight_K, label_smoothing=0.1)
    assert torch.allclose(mean(imbalance="class_weight", label_smoothing=0.1), smoothed)
    p_B = torch.softmax(logits_BK, dim=1)[torch.arange(12), labels_B]
    assert torch.allclose(mean(imbalance="focal", focal_gamma=1.5), (-((1 - p_B) ** 1.5) * p_B.log()).mean())
    assert torch.allclose(mean(imbalance="focal", focal_gamma=0.0), mean(), atol=1e-6)


def test_a_class_without_training_image_weighs_nothing() -> None:
    weight_K = balanced_weights(torch.tensor([0, 0, 2]), 3)
    assert weight_K.tolist() == [0.5, 0.0, 1.0]


def test_the_sampler_draws_each_class_as_often() -> None:
    labels_N = torch.tensor([0] * 900 + [1] * 100)
    generator = torch.Generator().manual_seed(0)
    rows = torch.arange(1000)
    drawn = torch.cat(epoch_batches(rows, labels_N, 32, balanced=True, generator=generator).rows)
    assert len(drawn) == 1000
    assert 430 < int(labels_N[drawn].sum()) < 570
    plain = torch.cat(epoch_batches(rows, labels_N, 32, balanced=False, generator=generator).rows)
    assert sorted(plain.tolist()) == rows.tolist()
    sizes = {len(batch) for batch in epoch_batches(rows, labels_N, 32, balanced=False, generator=generator).rows}
    assert sizes <= {31, 32}


def schedule(kind: str, steps: int = 100, **changes) -> RateSchedule:
    by = {"lr_schedule": kind, "warmup_fraction": 0.1, "plateau_factor": 0.5, "plateau_patience": 2}
    return RateSchedule.of(by | changes, steps)


def test_schedules_rise_and_fall_as_named() -> None:
    assert {schedule("none").factor(step) for step in range(100)} == {1.0}
    cosine = [schedule("cosine").factor(step) for step in range(100)]
    assert cosine[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert cosine[55] == pytest.approx(0.5)
    assert cosine[99] < 0.001
    # torch's own, whose warm-up counts from 0 to the step before the peak
    one = [schedule("onecycle", warmup_fraction=0.3).factor(step) for step in range(100)]
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=100, pct_start=0.3)
    expected = []
    for _ in range(100):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    assert one == pytest.approx(expected, abs=0.05)
    assert max(one) == pytest.approx(1.0)


def test_a_plateau_halves_the_rate_after_its_patience() -> None:
    rates = schedule("plateau", warmup_fraction=0.0)
    factors = []
    for is_best in (True, False, False, False, False, False, False, True):
        rates.end_epoch(is_best)
        factors.append(rates.factor(50))
    assert factors == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]


def test_rates_fall_from_the_head_to_the_stem() -> None:
    learner = Learner(run(Path(), layer_decay=0.5, backbone_lr_mult=0.1), blobs(16))
    scales = rate_scales(learner.model, TINY | {"layer_decay": 0.5, "backbone_lr_mult": 0.1})
    assert {value for name, value in scales.items() if name.startswith("head.")} == {1.0}
    assert max(value for name, value in scales.items() if name.startswith("vit.")) == pytest.approx(0.05)
    assert scales["vit.patch_embed.proj.weight"] == min(v for n, v in scales.items() if n.startswith("vit."))
    assert {value for name, value in scales.items() if name.startswith("cnn.")} == {0.1}, (
        "layers decay in the ViT alone"
    )
    rates = {round(group["full_lr"] / 1e-3, 9) for group in learner._optimizer.param_groups}
    assert rates == {round(value, 9) for value in scales.values()}


@pytest.mark.parametrize(
    ("freeze", "still", "learning"),
    [
        ("resnet_stem", "cnn.conv1.0.weight", "cnn.layer1.0.conv1.weight"),
        ("vit_half", "vit.patch_embed.proj.weight", "cnn.conv1.0.weight"),
        ("all_backbones", "cnn.layer4.0.conv1.weight", "head.0.weight"),
    ],
)
def test_frozen_parameters_stay_until_their_epoch(freeze: str, still: str, learning: str) -> None:
    learner = Learner(run(Path(), freeze=freeze, unfreeze_epoch=2, weight_decay=0.5), blobs())

    def copy(name: str) -> torch.Tensor:
        return learner.model.get_parameter(name).detach().clone()

    at_first = copy(still), copy(learning)
    learner.train_epoch(1)
    assert torch.equal(copy(still), at_first[0])
    assert not torch.equal(copy(learning), at_first[1])
    learner.train_epoch(2)
    assert not torch.equal(copy(still), at_first[0])


@pytest.mark.parametrize("hold", [True, False])
def test_batch_norm_of_frozen_parts_keeps_its_statistics(hold: bool) -> None:
    learner = Learner(run(Path(), freeze="all_backbones", freeze_batchnorm=hold), blobs())
    before = learner.model.cnn.bn1.running_mean.clone()
    learner.train_epoch(1)
    assert torch.equal(learner.model.cnn.bn1.running_mean, before) is hold


def test_averaged_weights_are_what_is_kept() -> None:
    learner = Learner(run(Path(), ema_decay=0.9), blobs())
    name, averaged = "head.0.weight", None
    for step in range(1, 4):
        learner.take_first_step()
        trained = learner.model.get_parameter(name).detach().clone()
        decay = 0.0 if step == 1 else min(0.9, 1 - step ** (-2 / 3))  # timm's warm-up: first steps count for more
        averaged = trained if averaged is None else decay * averaged + (1 - decay) * trained
    assert torch.allclose(learner.kept.get_parameter(name), averaged, atol=1e-6)
    assert not torch.equal(learner.kept.get_parameter(name), trained)


def test_gradients_are_clipped_to_the_norm_asked_for() -> None:
    changes = {"optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.0, "lr": 1.0, "grad_clip": 0.001}
    learner = Learner(run(Path(), **changes), blobs(16))
    before = torch.cat([parameter.detach().flatten().clone() for parameter in learner.model.parameters()])
    learner.take_first_step()
    after = torch.cat([parameter.detach().flatten() for parameter in learner.model.parameters()])
    assert float((after - before).norm()) == pytest.approx(0.001, rel=1e-2)
