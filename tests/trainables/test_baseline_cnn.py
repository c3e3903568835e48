from pathlib import Path

import numpy as np
import pytest
import torch
from training_support import run_of

from trainables.catalog import default_hyperparameters
from trainables.configs.training import TrainingConfig
from trainables.models import build_model, count_parameters, save_weights
from trainables.packaging import write_standalone
from trainables.standalone import Classifier
from trainables.training.development import DevelopmentData
from trainables.training.loop import train


@pytest.mark.parametrize(("image_px", "expected"), [(128, 8_408_132), (64, 2_116_676), (50, 1_199_172)])
def test_the_published_model_has_its_published_size(image_px: int, expected: int) -> None:
    with torch.device("meta"):
        model = build_model("baseline_cnn", {"image_px": image_px}, 4)
    assert count_parameters(model) == (expected, expected)
    parts = {key.rpartition(".")[0] for key in model.state_dict()}
    assert parts == {"features.0", "features.3", "features.4", "head.1", "head.3"}, "weights of earlier versions fit"
    assert expected == 19_524 + (64 * (image_px // 4) ** 2) * 128
    assert model(torch.zeros(2, 1, image_px, image_px, device="meta")).shape == (2, 4)


def test_the_first_layer_sees_raw_grey_values() -> None:
    model = build_model("baseline_cnn", {"image_px": 32}, 4).eval()
    seen = []
    model.features.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    x_B1HW = torch.tensor([0.0, 100 / 255, 1.0]).repeat(2, 1, 32, 11)[..., :32]
    with torch.inference_mode():
        grey = model(x_B1HW)
        colour = model(x_B1HW.repeat(1, 3, 1, 1))
    assert [round(value) for value in seen[0].unique().tolist()] == [0, 100, 255]
    assert torch.allclose(grey, colour, atol=1e-3)


def test_a_planted_difference_is_learned(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    generator = np.random.default_rng(0)
    images_NHW = generator.integers(0, 120, (64, 32, 32), dtype=np.uint8)
    labels_N = np.arange(64) % 2
    images_NHW[labels_N == 1, 8:20, 8:20] += 100
    rows = torch.arange(64)
    data = DevelopmentData(
        images_NMHW=torch.from_numpy(images_NHW)[:, None],
        labels_N=torch.from_numpy(labels_N),
        training_rows=rows[:48],
        validation_rows=rows[48:],
    )
    run = run_of("baseline_cnn", tmp_path, 5, image_px=32, batch_size=8)
    assert max(record.metrics["val/auroc"] or 0 for record in train(run, data)) > 0.95


@pytest.mark.parametrize("journal", ["of today", "older"])
def test_a_registered_copy_stands_alone(tmp_path: Path, journal: str) -> None:
    hyperparameters = default_hyperparameters("baseline_cnn") | {"image_px": 32}
    if journal == "older":  # a trial from before structure was hyperparameters
        hyperparameters = {key: hyperparameters[key] for key in TrainingConfig.model_fields}
    model = build_model("baseline_cnn", hyperparameters, 4).eval()
    save_weights(model, tmp_path / "w.safetensors")
    write_standalone(
        tmp_path / "model",
        architecture="baseline_cnn",
        hyperparameters=hyperparameters,
        classes=["a", "b", "c", "d"],
        weights=tmp_path / "w.safetensors",
    )
    assert "trainables" not in (tmp_path / "model/architecture.py").read_text().replace("__name__", "")
    assert Classifier(tmp_path / "model").predict([b"no image"])[1] == ["not an image of a known format"]
