"""What a GPU does otherwise than a CPU: half precision, random numbers of its own, memory that ends."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from builders_support import one_per_builder
from explain_support import BlobNet, blob_images, small_model
from torch import nn
from training_support import blobs, run, scores

from orchestrator.tuning.trial import _with_room
from trainables.catalog import architecture, default_hyperparameters
from trainables.explain.engine import explain
from trainables.explain.explainers import METHODS, Explainer
from trainables.inference import image_ms, predict_logits
from trainables.models import build_model
from trainables.training.development import DevelopmentData
from trainables.training.learner import Learner
from trainables.training.loop import train
from trainables.training.run import TrainingRun

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
]
ALL = {"ema_decay": 0.9, "lr_schedule": "plateau", "optimizer": "sgd", "noise": 0.1, "imbalance": "weighted_sampler"}
PART_OF_MEMORY_MIB = 400


def on_gpu(data: DevelopmentData) -> DevelopmentData:
    return replace(data, images_NMHW=data.images_NMHW.cuda(), labels_N=data.labels_N.cuda())


def gpu_run(folder: Path, epochs: int = 4, **changes) -> TrainingRun:
    folder.mkdir(exist_ok=True)
    return replace(run(folder, epochs=epochs, keep_state_s=0, **changes), device="cuda")


def of_family(family: str) -> list[str]:
    return sorted(name for name, method in METHODS.items() if method.family == family)


@pytest.fixture
def little_memory() -> Iterator[None]:
    """Leave this process a few hundred MiB of the GPU."""
    torch.cuda.empty_cache()
    total_mib = torch.cuda.get_device_properties(0).total_memory / 2**20
    torch.cuda.set_per_process_memory_fraction(PART_OF_MEMORY_MIB / total_mib)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()


def test_a_planted_difference_is_learned_and_the_gpu_s_memory_is_told(tmp_path: Path) -> None:
    last = list(train(gpu_run(tmp_path, epochs=6), on_gpu(blobs())))[-1].metrics
    assert last["val/auroc"] > 0.9
    assert last["perf/gpu_peak_mib"] > 0
    assert "perf/process_peak_mib" not in last


def test_a_step_on_a_gpu_waits_for_nothing(tmp_path: Path) -> None:
    data = on_gpu(blobs())
    changed = {"noise": 0.1, "random_crop_fraction": 0.5, "gamma": 0.2, "num_holes": 4}
    learner = Learner(gpu_run(tmp_path, grad_clip=1.0, ema_decay=0.9, **changed), data)
    learner.take_first_step()
    ((rows_B, labels_B),) = data.epoch([data.training_rows[:8]])
    torch.cuda.set_sync_debug_mode("error")
    try:
        learner._take_step(rows_B, labels_B, torch.zeros_like(labels_B, dtype=torch.bool), 1)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_images_that_stay_in_the_machine_s_memory_train_alike(tmp_path: Path) -> None:
    data = blobs()
    there = scores(train(gpu_run(tmp_path / "there"), on_gpu(data)))
    here = scores(train(gpu_run(tmp_path / "here"), replace(data, labels_N=data.labels_N.cuda())))
    for ours, theirs in zip(here, there, strict=True):
        assert ours == pytest.approx(theirs, abs=0.02)


@pytest.mark.parametrize("changes", [{}, ALL])
def test_an_interrupted_run_goes_on_from_its_state(tmp_path: Path, changes: dict) -> None:
    data = on_gpu(blobs(24))
    whole = scores(train(gpu_run(tmp_path / "whole", **changes), data))
    first = train(gpu_run(tmp_path / "broken", **changes), data)
    before = scores(next(first) for _ in range(2))
    first.close()
    torch.rand(9, device="cuda")
    again = replace(gpu_run(tmp_path / "broken", **changes), known_epochs=2)
    for ours, theirs in zip(before + scores(train(again, data)), whole, strict=True):
        assert ours == pytest.approx(theirs, abs=0.02)  # a GPU adds in any order


@pytest.mark.parametrize("name", one_per_builder())
def test_every_architecture_trains_and_then_predicts_as_on_the_cpu(tmp_path: Path, name: str) -> None:
    smoke = default_hyperparameters(name) | dict(architecture(name).smoke)
    side_px = smoke["image_px"]
    plain = blobs(24)
    images_per_case = architecture(name).images_per_case
    images_NMHW = nn.functional.interpolate(plain.images_NMHW.float(), side_px).byte().repeat(1, images_per_case, 1, 1)
    changed = replace(gpu_run(tmp_path, epochs=2), architecture=name, hyperparameters=smoke)
    records = list(train(changed, on_gpu(replace(plain, images_NMHW=images_NMHW))))
    assert np.isfinite(records[-1].metrics["val/log_loss"])
    torch.manual_seed(0)
    model = build_model(name, smoke, 2).eval()
    rows = torch.arange(8)
    here_NK = predict_logits(model, images_NMHW, rows, 4)
    torch.backends.cudnn.allow_tf32 = False
    try:
        there_NK = predict_logits(model.cuda(), images_NMHW, rows, 4)
        assert image_ms(model, side_px, images_per_case) > 0
    finally:
        torch.backends.cudnn.allow_tf32 = True
    assert there_NK == pytest.approx(here_NK, abs=1e-3)


def test_where_memory_ends_half_as_many_images_are_taken_at_once(tmp_path: Path, little_memory: None) -> None:
    data = blobs(512)
    large_NMHW = nn.functional.interpolate(data.images_NMHW.float(), 128).byte()
    data = on_gpu(replace(data, images_NMHW=large_NMHW))
    wide = gpu_run(tmp_path, epochs=1, batch_size=256, image_px=128, resnet="resnet18", vit="vit_tiny_patch16_224")
    (record,) = _with_room(wide, data, None)
    assert 0 < record.metrics["perf/micro_batch_size"] < 256


@pytest.mark.parametrize("method", sorted({*of_family("cam"), *of_family("occlusion")} - {"randomcam"}))
def test_maps_are_those_of_the_cpu(method: str) -> None:
    images, explainer = blob_images((2, 5)), Explainer(method)
    here = explain(BlobNet(), images, [1], explainer)
    model = BlobNet().cuda().train()
    before = torch.cuda.get_rng_state()
    there = explain(model, images, [1], explainer)
    assert torch.equal(before, torch.cuda.get_rng_state())
    assert model.training
    assert there.maps_BHW == pytest.approx(here.maps_BHW, rel=1e-2, abs=1e-2 * float(np.abs(here.maps_BHW).max()))


@pytest.mark.parametrize("method", of_family("cross"))
def test_maps_of_attention_between_images_are_those_of_the_cpu(method: str) -> None:
    model, images = small_model("cross_modal", 2, image_px=64).eval(), torch.rand(2, 2, 64, 64).split(1, dim=1)
    for explainer in (one for one in architecture("cross_modal").explainers if one.method == method):
        here = explain(model.cpu(), images, [0, 1], explainer)
        there = explain(model.cuda(), images, [0, 1], explainer)
        scale = float(np.abs(here.maps_BHW).max())
        assert there.maps_BHW == pytest.approx(here.maps_BHW, rel=2e-2, abs=2e-2 * scale)


@pytest.mark.parametrize("method", of_family("attention"))
def test_attention_maps_are_those_of_the_cpu(method: str) -> None:
    torch.manual_seed(0)
    model = build_model("vit", default_hyperparameters("vit") | dict(architecture("vit").smoke), 2).eval()
    side_px = dict(architecture("vit").smoke)["image_px"]
    x_B1HW = torch.rand(2, 1, side_px, side_px)
    here = explain(model, x_B1HW, [0, 1], Explainer(method))
    there = explain(model.cuda(), x_B1HW, [0, 1], Explainer(method))
    assert there.maps_BHW == pytest.approx(here.maps_BHW, rel=2e-2, abs=2e-2 * float(np.abs(here.maps_BHW).max()))
