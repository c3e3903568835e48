import resource
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from training_support import TINY, blobs, run, scores

from trainables.catalog import default_hyperparameters
from trainables.data.augmentation import Augmentation, augment
from trainables.data.cache import open_images
from trainables.errors import DataError, TrainingFailed, WeightsError
from trainables.evaluation.temperature import probabilities
from trainables.evaluation.trial_files import BEST_VALIDATION, BEST_WEIGHTS
from trainables.inference import predict_logits
from trainables.models import build_model, check_backbone, count_parameters, fetch_pretrained, load_weights
from trainables.packaging import write_standalone
from trainables.standalone import Classifier
from trainables.training.checkpoint import state_files
from trainables.training.learner import Learner
from trainables.training.loop import train


def probabilities_of(model: torch.nn.Module, images_NMHW: torch.Tensor, rows: torch.Tensor) -> np.ndarray:
    return probabilities(predict_logits(model, images_NMHW, rows))


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


def test_the_best_epochs_weights_and_predictions_are_kept(tmp_path: Path) -> None:
    data = blobs()
    records = list(train(run(tmp_path, epochs=4), data))
    best = [record for record in records if record.is_best][-1]
    with np.load(tmp_path / BEST_VALIDATION) as saved:
        kept_NK, epoch = saved["probs_NK"], int(saved["epoch"])
    assert epoch == best.epoch
    model = build_model("resnet_vit", TINY, 2)
    load_weights(model, tmp_path / BEST_WEIGHTS)
    assert np.abs(probabilities_of(model, data.images_NMHW, data.validation_rows) - kept_NK).max() < 1e-6


ALL = {"ema_decay": 0.9, "lr_schedule": "plateau", "optimizer": "sgd", "noise": 0.1, "imbalance": "weighted_sampler"}


@pytest.mark.parametrize(("changes", "after"), [({}, 1), (ALL, 1), (ALL, 2), (ALL, 3)])
def test_an_interrupted_run_goes_on_as_if_nothing_had_been(tmp_path: Path, changes: dict, after: int) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "broken").mkdir()
    whole = scores(train(run(tmp_path / "whole", epochs=4, keep_state_s=0, **changes), blobs(24)))
    first = train(run(tmp_path / "broken", epochs=4, keep_state_s=0, **changes), blobs(24))
    before = scores(next(first) for _ in range(after))
    first.close()
    torch.rand(9)
    again = replace(run(tmp_path / "broken", epochs=4, keep_state_s=0, **changes), known_epochs=after)
    rest = scores(train(again, blobs(24)))
    assert len(rest) == 4 - after
    for ours, theirs in zip(before + rest, whole, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-6)
    kept = [(tmp_path / name / BEST_WEIGHTS).read_bytes() for name in ("whole", "broken")]
    assert kept[0] == kept[1]


def test_epochs_that_only_the_state_knows_are_told_from_it(tmp_path: Path) -> None:
    """A process can die between writing its state and telling of the epoch."""
    settled = run(tmp_path, epochs=4, keep_state_s=0)
    first = train(settled, blobs(24))
    told = [next(first) for _ in range(3)]
    first.close()
    again = list(train(replace(settled, known_epochs=1), blobs(24)))
    assert again[:2] == told[1:]
    assert [record.epoch for record in again] == [2, 3, 4]


def flipped(content: bytes) -> bytes:
    """Return a file of the same length with wrong bytes amid its tensors."""
    middle = len(content) // 2
    return content[:middle] + bytes(255 - byte for byte in content[middle : middle + 4000]) + content[middle + 4000 :]


@pytest.mark.parametrize("damage", [lambda _: b"", lambda _: b"garbage", flipped])
def test_a_damaged_state_gives_way_to_the_one_before(tmp_path: Path, damage) -> None:
    settled = run(tmp_path, epochs=4, keep_state_s=0)
    whole = scores(train(settled, blobs(24)))
    newest, older = state_files(tmp_path)
    assert (newest.name, older.name) == ("state_epoch_0004.pt", "state_epoch_0003.pt")
    newest.write_bytes(damage(newest.read_bytes()))
    (redone,) = train(replace(settled, known_epochs=3), blobs(24))
    assert (redone.epoch, scores([redone])[0]) == (4, pytest.approx(whole[3], abs=1e-6))
    for path in state_files(tmp_path):
        path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"state_epoch_0004\.pt: is damaged, and there is no older one"):
        next(train(settled, blobs(24)))


def test_a_state_is_written_when_asked_for_and_else_as_often_as_it_costs_little(tmp_path: Path) -> None:
    wanted = tmp_path / "stop_requested"
    asked = replace(run(tmp_path, epochs=3, keep_state_s=1e6), state_wanted=wanted)
    epochs = train(asked, blobs(24))
    next(epochs)
    assert state_files(tmp_path) == []
    wanted.touch()
    next(epochs)
    assert [path.name for path in state_files(tmp_path)] == ["state_epoch_0002.pt"]


def test_the_weights_of_every_nth_epoch_are_kept(tmp_path: Path) -> None:
    list(train(replace(run(tmp_path, epochs=5), keep_every_epochs=2), blobs(24)))
    kept = sorted(path.name for path in tmp_path.glob("model_epoch_*"))
    assert kept == ["model_epoch_002.safetensors", "model_epoch_004.safetensors"]
    load_weights(build_model("resnet_vit", TINY, 2), tmp_path / kept[0])


def test_the_state_of_another_run_is_refused(tmp_path: Path) -> None:
    next(train(run(tmp_path, keep_state_s=0), blobs(16)))
    for other in (run(tmp_path, keep_state_s=0, lr=0.5), replace(run(tmp_path, keep_state_s=0), data_digest="other")):
        with pytest.raises(DataError, match="other settings or data"):
            next(train(other, blobs(16)))


def test_what_a_model_does_wrong_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(*_, half: bool):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("trainables.training.learner.predict_logits", out_of_memory)
    with pytest.raises(TrainingFailed, match="epoch 1: out of memory; lower batch_size, or set micro_batch_size"):
        next(train(run(tmp_path), blobs(16)))
    with pytest.raises(TrainingFailed, match="epoch 1: Expected more than 1 value per channel"):
        next(train(run(tmp_path, batch_size=1), blobs(16)))


def test_a_loss_that_breaks_down_ends_with_epoch_and_cause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainables.training.learner.set_rates", lambda optimizer, factor: rates(optimizer, 1e30))
    with pytest.raises(TrainingFailed, match=r"epoch \d+: .*lr=0.001 with sgd is probably too high"):
        list(train(run(tmp_path, epochs=8, optimizer="sgd"), blobs(16)))


def rates(optimizer: torch.optim.Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr


def test_one_step_is_a_real_one() -> None:
    learner = Learner(run(Path()), blobs(8))
    before = torch.cat([parameter.detach().flatten().clone() for parameter in learner.model.parameters()])
    assert np.isfinite(learner.take_first_step())
    after = torch.cat([parameter.detach().flatten() for parameter in learner.model.parameters()])
    assert not torch.equal(before, after)


def test_augmentation_is_as_strong_as_asked_for() -> None:
    """Draws are even between the ends: their standard deviation is a third of the width's root of three."""
    grey_BCHW = torch.full((2000, 1, 8, 8), 0.5)

    def changed(**by: float) -> torch.Tensor:
        return augment(grey_BCHW.clone(), Augmentation(**by), torch.Generator().manual_seed(0))

    shifted_B = changed(brightness=0.3).mean(dim=(1, 2, 3)) - 0.5
    assert float(shifted_B.abs().max()) == pytest.approx(0.3, abs=0.01)
    assert float(shifted_B.std()) == pytest.approx(0.3 / 3**0.5, abs=0.01)
    noisy_B = changed(noise=0.1).std(dim=(1, 2, 3))
    assert 0.09 < float(noisy_B.max()) < 0.14
    assert float(noisy_B.mean()) == pytest.approx(0.05, abs=0.005)
    ramp_BCHW = torch.linspace(0.3, 0.7, 8).expand(2000, 1, 8, 8).contiguous()
    stretched = augment(ramp_BCHW, Augmentation(contrast=0.5), torch.Generator().manual_seed(0))
    factor_B = (stretched[:, 0, 0, -1] - stretched[:, 0, 0, 0]) / 0.4
    assert (float(factor_B.min()), float(factor_B.max())) == pytest.approx((0.5, 1.5), abs=0.01)
    spot_BCHW = torch.zeros(2000, 1, 41, 41)
    spot_BCHW[:, :, 20, 20] = 1
    moved = augment(spot_BCHW, Augmentation(shift_fraction=0.25), torch.Generator().manual_seed(0))
    axis = torch.arange(41.0)
    x_B = (moved[:, 0].sum(dim=1) * axis).sum(dim=1) / moved.sum(dim=(1, 2, 3)) - 20
    assert float(x_B.abs().max()) == pytest.approx(0.25 * 41, abs=0.3)
    ring_BCHW = torch.zeros(2000, 1, 41, 41)
    ring_BCHW[:, :, 20, 30] = 1
    zoomed = augment(ring_BCHW, Augmentation(zoom_fraction=0.2), torch.Generator().manual_seed(0))
    distance_B = (zoomed[:, 0].sum(dim=1) * axis).sum(dim=1) / zoomed.sum(dim=(1, 2, 3)) - 20
    assert (float(distance_B.min()), float(distance_B.max())) == pytest.approx((8, 12), abs=0.3)


def test_flips_and_rotations_keep_the_picture() -> None:
    x_BCHW = torch.zeros(64, 1, 33, 33)
    x_BCHW[:, :, 16, 26] = 1  # a spot right of the centre
    generator = torch.Generator().manual_seed(0)
    same = augment(x_BCHW, Augmentation(), generator)
    assert torch.allclose(same, x_BCHW, atol=1e-5)
    flipped = augment(x_BCHW, Augmentation(hflip=True), generator)
    on_left = flipped[:, 0, 16, 6] > 0.9
    assert 10 < on_left.sum() < 54, "each sample has its own draw"
    assert torch.equal(on_left, ~(flipped[:, 0, 16, 26] > 0.9))
    turned = augment(x_BCHW, Augmentation(rotation_deg=30), generator)
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
    for image_HW in data.images_NMHW[:, 0].numpy():
        file = io.BytesIO()
        Image.fromarray(image_HW).save(file, "PNG")
        contents.append(file.getvalue())
    contents.insert(3, b"")
    probs_NK, reasons = Classifier(tmp_path / "alone").predict(contents)
    assert reasons[3] == "empty file"
    assert np.isnan(probs_NK[3]).all()
    expected_NK = probabilities_of(model, data.images_NMHW, torch.arange(8))
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
