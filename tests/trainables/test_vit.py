"""The tumour project's vision transformer: its size, its one logit, its patches, and that it learns."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from training_support import blobs, run_of

from trainables.catalog import TASKS, architecture, default_hyperparameters
from trainables.explain.engine import explain
from trainables.models import build_model, count_parameters
from trainables.training.batches import epoch_batches
from trainables.training.loop import train
from trainables.training.objective import Objective
from trainables.training.run import TrainingRun

TINY = {"vit": "test_vit", "image_px": 32, "batch_size": 8}
VIT_B = 85_798_656  # features of ViT-B/16 at 224 px, three channels


@pytest.mark.parametrize(
    ("changes", "num_classes", "expected"),
    [
        ({}, 2, VIT_B - 3 * 768 * 16**2 - 768 + 768 * 16**2 + 768 + 1),
        ({"patch_init": "fold"}, 2, VIT_B - 2 * 768 * 16**2 + 768 + 1),
        ({"one_logit": False}, 2, VIT_B - 2 * 768 * 16**2 - 768 + 2 * (768 + 1)),
        ({}, 4, VIT_B - 2 * 768 * 16**2 - 768 + 4 * (768 + 1)),
    ],
)
def test_sizes(changes: dict, num_classes: int, expected: int) -> None:
    with torch.device("meta"):
        model = build_model("vit", changes, num_classes)
    assert count_parameters(model) == (expected, expected)


def test_one_logit_is_a_sigmoid_with_binary_cross_entropy_and_pos_weight() -> None:
    torch.manual_seed(0)
    model = build_model("vit", default_hyperparameters("vit") | TINY, 2).eval()
    x_BCHW = torch.rand(6, 1, 32, 32)
    with torch.inference_mode():
        z_B = model.backbone((x_BCHW - 0.5) / 0.5)[:, 0]
        logits_BK = model(x_BCHW)
    assert torch.allclose(logits_BK.softmax(dim=1)[:, 1], z_B.sigmoid(), atol=1e-6)
    labels_B = torch.tensor([1, 1, 1, 1, 0, 0])
    hyperparameters = {"imbalance": "pos_weight", "label_smoothing": 0.0, "focal_gamma": 2.0}
    objective = Objective(hyperparameters, labels_B, 2)
    loss = objective.losses(logits_BK, labels_B).sum() / objective.divisor(labels_B)
    expected = F.binary_cross_entropy_with_logits(z_B, labels_B.float(), pos_weight=torch.tensor(2 / 4))
    assert float(loss) == pytest.approx(float(expected), abs=1e-6)


def test_both_sides_of_one_logit_are_explained() -> None:
    torch.manual_seed(0)
    model = build_model("vit", default_hyperparameters("vit") | TINY, 2)
    (best, *_) = architecture("vit").explainers
    maps = [explain(model, torch.rand(1, 1, 32, 32), [k], best).maps_BHW for k in (0, 1)]
    assert all(map_BHW.max() > 0 for map_BHW in maps) and not (maps[0] == maps[1]).all()


def test_folded_patches_are_the_sum_over_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    colour = timm.create_model("test_vit", img_size=32, num_classes=1)
    create = timm.create_model

    def with_weights(name: str, pretrained: bool = False, **options: object) -> torch.nn.Module:
        made = create(name, **options)
        if pretrained:  # as timm does with a checkpoint of three colours
            state = colour.state_dict()
            state["patch_embed.proj.weight"] = state["patch_embed.proj.weight"].sum(dim=1, keepdim=True)
            made.load_state_dict(state)
        return made

    monkeypatch.setattr(timm, "create_model", with_weights)
    folded, fresh = (build_model("vit", TINY | {"patch_init": kind}, 2, pretrained=True) for kind in ("fold", "reinit"))
    grey = colour.patch_embed.proj.weight.sum(dim=1, keepdim=True)
    assert torch.equal(folded.backbone.patch_embed.proj.weight, grey)
    assert fresh.backbone.patch_embed.proj.bias is None
    assert not torch.equal(fresh.backbone.patch_embed.proj.weight, grey)
    assert torch.equal(fresh.backbone.blocks[0].attn.qkv.weight, colour.blocks[0].attn.qkv.weight)


def test_an_epoch_shows_every_image_as_it_is_and_augmented() -> None:
    rows, labels_N = torch.tensor([3, 5, 8]), torch.tensor([0] * 9)
    batches = epoch_batches(
        rows, labels_N, 4, balanced=False, plain_copies=True, generator=torch.Generator().manual_seed(0)
    )
    shown = list(zip(torch.cat(batches.rows).tolist(), torch.cat(batches.plain).tolist(), strict=True))
    assert sorted(shown) == [(row, plain) for row in (3, 5, 8) for plain in (False, True)]
    assert [len(rows_B) for rows_B in batches.rows] == [len(plain_B) for plain_B in batches.plain] == [3, 3]


def test_plain_copies_are_not_augmented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trainables.training import learner as learner_module

    data = blobs(16)
    monkeypatch.setattr(learner_module, "augment", lambda x_BCHW, by, generator: torch.zeros_like(x_BCHW))
    seen: list[torch.Tensor] = []
    learner = learner_module.Learner(tiny_run(tmp_path), data)
    learner.model.register_forward_pre_hook(lambda module, given: seen.append(given[0].detach().clone()))
    learner.train_epoch(1)
    whole = torch.cat(seen)
    blank = (whole == 0).flatten(1).all(dim=1)
    assert len(whole) == 24 and int(blank.sum()) == 12, "12 training images, twice"


def tiny_run(folder: Path, **changes: object) -> TrainingRun:
    return run_of("vit", folder, 6, **TINY | {"lr": 2e-3} | changes)


@pytest.mark.parametrize("changes", [{}, {"one_logit": False, "plain_copies": False, "imbalance": "none"}])
def test_a_planted_difference_is_learned(tmp_path: Path, changes: dict) -> None:
    records = list(train(tiny_run(tmp_path, **changes), blobs()))
    assert max(record.metrics["val/auroc"] or 0 for record in records) > 0.95


def test_it_works_for_the_four_classes_of_tumours(tmp_path: Path) -> None:
    four = replace(blobs(48), labels_N=torch.arange(48) % 4)
    run = replace(run_of("vit", tmp_path, 2, **TINY), num_classes=len(TASKS["tumor_4class"].classes))
    last = list(train(run, four))[-1].metrics
    assert np.isfinite(last["val/log_loss"]) and last["val/macro_f1"] is not None
    predictions = np.load(tmp_path / "best_validation.npz")
    assert predictions["probs_NK"].shape == (12, 4)
