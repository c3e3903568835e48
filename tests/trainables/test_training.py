import resource
from pathlib import Path

import numpy as np
import pytest
import torch

from trainables.catalog import default_hyperparameters
from trainables.data.augmentation import flip_and_rotate
from trainables.data.cache import open_images
from trainables.errors import TrainingFailed, WeightsError
from trainables.evaluation.trial_files import BEST_VALIDATION, BEST_WEIGHTS
from trainables.inference import predict_probabilities
from trainables.models import build_model, check_backbone, count_parameters, fetch_pretrained, load_weights
from trainables.packaging import write_standalone
from trainables.standalone import Classifier
from trainables.training import DevelopmentData, TrainingRun, take_step, train

TINY = {"resnet": "test_resnet", "vit": "test_vit", "image_px": 32, "batch_size": 8, "lr": 1e-3, "hidden": 16}


def blobs(num_images: int = 64) -> DevelopmentData:
    """Noise, with a bright blob in the images of class 1."""
    generator = np.random.default_rng(0)
    images_NHW = generator.integers(0, 120, (num_images, 32, 32), dtype=np.uint8)
    labels_N = np.arange(num_images) % 2
    images_NHW[labels_N == 1, 8:20, 8:20] += 100
    rows = torch.arange(num_images)
    return DevelopmentData(
        images_NHW=torch.from_numpy(images_NHW),
        labels_N=torch.from_numpy(labels_N),
        training_rows=rows[: num_images * 3 // 4],
        validation_rows=rows[num_images * 3 // 4 :],
    )


def run(folder: Path, seed: int = 0, epochs: int = 3, **changes) -> TrainingRun:
    torch.set_num_threads(1)
    return TrainingRun(
        architecture="resnet_vit",
        hyperparameters=default_hyperparameters("resnet_vit") | TINY | changes,
        num_classes=2,
        pretrained=False,
        epochs=epochs,
        seed=seed,
        metric="auroc",
        device="cpu",
        folder=folder,
    )


def scores(records) -> list[dict]:
    return [{k: v for k, v in record.metrics.items() if not k.startswith("perf/")} for record in records]


def test_a_planted_difference_is_learned(tmp_path: Path) -> None:
    records = list(train(run(tmp_path, epochs=6), blobs()))
    assert [record.epoch for record in records] == [1, 2, 3, 4, 5, 6]
    assert max(record.metrics["val/auroc"] for record in records) > 0.95
    assert records[-1].metrics["train/loss"] < records[0].metrics["train/loss"]


def test_one_seed_gives_one_result_and_another_seed_another(tmp_path: Path) -> None:
    first = scores(train(run(tmp_path), blobs()))
    torch.rand(7)  # what else the process drew does not matter
    assert scores(train(run(tmp_path), blobs())) == first
    assert scores(train(run(tmp_path, seed=1), blobs())) != first


@pytest.mark.parametrize(
    "change",
    [
        {"lr": 1e-4}, {"weight_decay": 0.9}, {"batch_size": 16}, {"hflip": False}, {"rotation_deg": 40.0},
        {"dropout": 0.0}, {"hidden": 8}, {"vit": "test_vit2"}, {"resnet": "resnet10t"},
    ],
)  # fmt: skip
def test_no_hyperparameter_is_ignored(tmp_path: Path, change: dict) -> None:
    assert scores(train(run(tmp_path, epochs=2, **change), blobs(32))) != scores(
        train(run(tmp_path, epochs=2), blobs(32))
    )


def test_the_best_epochs_weights_and_predictions_are_kept(tmp_path: Path) -> None:
    data = blobs()
    records = list(train(run(tmp_path, epochs=4), data))
    best = [record for record in records if record.is_best][-1]
    with np.load(tmp_path / BEST_VALIDATION) as saved:
        kept_NK, epoch = saved["probs_NK"], int(saved["epoch"])
    assert epoch == best.epoch
    model = build_model("resnet_vit", TINY, 2)
    load_weights(model, tmp_path / BEST_WEIGHTS)
    assert np.abs(predict_probabilities(model, data.images_NHW, data.validation_rows) - kept_NK).max() < 1e-6


def test_a_loss_that_breaks_down_ends_with_epoch_and_cause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exploding(model, hyperparameters):
        return torch.optim.SGD(model.parameters(), lr=1e30)

    monkeypatch.setattr("trainables.training._build_optimizer", exploding)
    with pytest.raises(TrainingFailed, match=r"epoch \d+: .*learning rate"):
        list(train(run(tmp_path, epochs=8), blobs(16)))


def test_one_step_is_a_real_one() -> None:
    torch.manual_seed(0)
    model, data = build_model("resnet_vit", TINY, 2), blobs(8)
    before = torch.cat([parameter.detach().flatten().clone() for parameter in model.parameters()])
    assert np.isfinite(take_step(model, default_hyperparameters("resnet_vit") | TINY, data))
    after = torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
    assert not torch.equal(before, after)


def test_flips_and_rotations_keep_the_picture() -> None:
    x_BCHW = torch.zeros(64, 1, 33, 33)
    x_BCHW[:, :, 16, 26] = 1  # a spot right of the centre
    generator = torch.Generator().manual_seed(0)
    same = flip_and_rotate(x_BCHW, hflip=False, rotation_deg=0, generator=generator)
    assert torch.allclose(same, x_BCHW, atol=1e-5)
    flipped = flip_and_rotate(x_BCHW, hflip=True, rotation_deg=0, generator=generator)
    on_left = flipped[:, 0, 16, 6] > 0.9
    assert 10 < on_left.sum() < 54, "each sample has its own draw"
    assert torch.equal(on_left, ~(flipped[:, 0, 16, 26] > 0.9))
    turned = flip_and_rotate(x_BCHW, hflip=False, rotation_deg=30, generator=generator)
    rows, columns = torch.meshgrid(torch.arange(33.0), torch.arange(33.0), indexing="ij")
    mass_B = turned.sum(dim=(1, 2, 3))
    y_B, x_B = ((turned[:, 0] * axis).sum(dim=(1, 2)) / mass_B - 16 for axis in (rows, columns))
    assert torch.allclose((y_B**2 + x_B**2).sqrt(), torch.tensor(10.0), atol=0.6), "the distance to the centre stays"
    angles_B = torch.rad2deg(torch.atan2(y_B, x_B))
    assert angles_B.abs().max() < 32
    assert angles_B.std() > 8


def test_the_published_model_has_its_published_size() -> None:
    with torch.device("meta"):
        model = build_model("resnet_vit", {}, 2)
    trainable, total = count_parameters(model)
    assert trainable == total
    assert round(total / 1e6, 2) == 110.75


def test_grey_and_colour_inputs_agree() -> None:
    model = build_model("resnet_vit", TINY, 2).eval()
    x_B1HW = torch.rand(2, 1, 32, 32)
    with torch.inference_mode():
        assert torch.allclose(model(x_B1HW), model(x_B1HW.repeat(1, 3, 1, 1)), atol=1e-6)


def test_names_that_timm_does_not_know_are_told() -> None:
    with pytest.raises(WeightsError, match=r"no model 'resnet51'.*resnet"):
        check_backbone("resnet51")


def test_pretrained_weights_come_from_the_hub_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def hub(name: str, pretrained: bool):
        asked.append((name, pretrained))
        raise OSError("no network\nand more lines")

    monkeypatch.setattr("trainables.models.timm.create_model", hub)
    with pytest.raises(WeightsError, match=r"pretrained weights of resnet50 cannot be had \(no network\)"):
        fetch_pretrained("resnet50")
    assert asked == [("resnet50", True)]


def test_a_standalone_folder_predicts_the_same(tmp_path: Path) -> None:
    import io

    from PIL import Image

    torch.manual_seed(3)
    model, data = build_model("resnet_vit", TINY, 2), blobs(8)
    from trainables.models import save_weights

    save_weights(model, tmp_path / "w.safetensors")
    full = default_hyperparameters("resnet_vit") | TINY
    write_standalone(
        tmp_path / "alone", architecture="resnet_vit", hyperparameters=full, classes=("a", "b"),
        weights=tmp_path / "w.safetensors",
    )  # fmt: skip
    contents = []
    for image_HW in data.images_NHW.numpy():
        file = io.BytesIO()
        Image.fromarray(image_HW).save(file, "PNG")
        contents.append(file.getvalue())
    contents.insert(3, b"")
    probs_NK, reasons = Classifier(tmp_path / "alone").predict(contents)
    assert reasons[3] == "empty file"
    assert np.isnan(probs_NK[3]).all()
    expected_NK = predict_probabilities(model, data.images_NHW, torch.arange(8))
    assert np.abs(np.delete(probs_NK, 3, axis=0) - expected_NK).max() < 1e-5


def test_decoded_images_are_shared_not_copied(tmp_path: Path) -> None:
    path = tmp_path / "images.npy"
    np.save(path, np.zeros((256, 512, 512), dtype=np.uint8))
    images_NHW = torch.from_numpy(open_images(path))
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert images_NHW[torch.tensor([3, 200])].sum() == 0
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
    assert grown_kib < 32 * 1024, "64 MiB of images must not be read to use two of them"
    images_NHW[0, 0, 0] = 9
    assert np.load(path)[0, 0, 0] == 0, "writes never reach the file"
