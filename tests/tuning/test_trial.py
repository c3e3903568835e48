"""One trial without Ray: memory that ends, states that are damaged, the process that hangs."""

import socket
from pathlib import Path

import numpy as np
import pytest
import torch

from orchestrator.tuning.hang_guard import FIRST_TIMEOUT_S, LEAST_TIMEOUT_S
from orchestrator.tuning.trainable import TrialActor, UnfitNodeError
from orchestrator.tuning.trial import begin_training
from orchestrator.tuning.trial_setup import TrialConfig, TrialSetup
from trainables.catalog import default_hyperparameters
from trainables.data.split_rows import SplitRow, digest_rows, write_rows
from trainables.errors import OutOfMemory
from trainables.training.checkpoint import state_files
from trainables.training.learner import Learner

SIDE_PX, BATCH = 16, 8


@pytest.fixture
def setup(tmp_path: Path) -> TrialSetup:
    rows = [
        SplitRow(f"{n}.png", n % 4, "MR", f"p{n}", "validation" if n >= 24 else "training", f"{n}") for n in range(40)
    ]
    images_NHW = np.random.default_rng(0).integers(0, 255, (len(rows), SIDE_PX, SIDE_PX)).astype(np.uint8)
    np.save(tmp_path / "images.npy", images_NHW)
    write_rows(tmp_path / "rows.csv", rows)
    setup = TrialSetup(
        development=tmp_path / "rows.csv", development_digest=digest_rows(rows),
        arrays={str(SIDE_PX): tmp_path / "images.npy"}, pretrained=False, epochs=3, metric="auroc", device="cpu",
        threads=1, trials=tmp_path / "trials", task="alzheimer", keep_state_s=0.0,
    )  # fmt: skip
    (tmp_path / "setup.json").write_text(setup.model_dump_json())
    return setup


def config(tmp_path: Path, **changes: object) -> TrialConfig:
    hyperparameters = default_hyperparameters("baseline_cnn") | {"image_px": SIDE_PX, "batch_size": BATCH}
    return TrialConfig(
        trial=0, architecture="baseline_cnn", seed=0, published=False, setup=tmp_path / "setup.json",
        hyperparameters=hyperparameters | changes,
    )  # fmt: skip


@pytest.fixture
def room_for(monkeypatch: pytest.MonkeyPatch):
    """Let the device hold so many images at a time in training."""
    forward = Learner._forward

    def limit(images: int, from_step: int = 0) -> None:
        def limited(self: Learner, x_BCHW: torch.Tensor) -> torch.Tensor:
            if len(x_BCHW) > images and self._step >= from_step:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return forward(self, x_BCHW)

        monkeypatch.setattr(Learner, "_forward", limited)

    return limit


def test_where_memory_ends_a_trial_goes_on_with_half_as_many_images_at_a_time(setup, tmp_path, room_for) -> None:
    whole = [record.metrics["train/loss"] for record in begin_training(config(tmp_path), setup)]
    for path in (tmp_path / "trials" / "0000").iterdir():
        path.unlink()
    room_for(BATCH // 2, from_step=4)  # in the second epoch
    records = list(begin_training(config(tmp_path), setup))
    assert [record.epoch for record in records] == [1, 2, 3], "no epoch twice, none lost"
    assert "perf/micro_batch_size" not in records[0].metrics
    assert [record.metrics["perf/micro_batch_size"] for record in records[1:]] == [BATCH / 2] * 2
    assert [record.metrics["train/loss"] for record in records] == pytest.approx(whole, rel=0.2), "the same batch"


def test_where_half_has_no_room_either_it_is_halved_again(setup, tmp_path, room_for) -> None:
    room_for(BATCH // 4)
    records = list(begin_training(config(tmp_path), setup))
    assert [(record.epoch, record.metrics["perf/micro_batch_size"]) for record in records] == [
        (epoch, BATCH // 4) for epoch in (1, 2, 3)
    ]


def test_where_a_single_image_has_no_room_the_trial_fails_with_the_way_out(setup, tmp_path, room_for) -> None:
    room_for(0)
    with pytest.raises(OutOfMemory, match="epoch 1: out of memory; lower batch_size"):
        list(begin_training(config(tmp_path), setup))


def test_a_loss_that_needs_the_whole_batch_is_not_split(setup, tmp_path, room_for) -> None:
    room_for(BATCH // 2)
    with pytest.raises(OutOfMemory):
        list(begin_training(config(tmp_path, imbalance="hem", hem_mode="reuse_loss"), setup))


class Actor(TrialActor):
    """An actor without Ray around it."""

    def __init__(self, config: TrialConfig) -> None:
        self.setup(config.model_dump(mode="json"))


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.tuning.trainable.speak_into", lambda folder: None)


def test_an_actor_begins_anew_where_no_state_is_whole(setup, tmp_path) -> None:
    actor = Actor(config(tmp_path))
    first = [actor.step() for _ in range(2)]
    for path in state_files(tmp_path / "trials" / "0000"):
        path.write_bytes(b"damaged")
    again = Actor(config(tmp_path))
    second = [again.step() for _ in range(3)]
    assert [result["epoch"] for result in second] == [1, 2, 3]
    assert [result["val/auroc"] for result in second[:2]] == [result["val/auroc"] for result in first]
    assert second[-1]["done"]


@pytest.mark.parametrize("fault", ["without the storage", "other code"])
def test_a_node_that_is_not_fit_trains_nothing(setup: TrialSetup, tmp_path: Path, fault: str) -> None:
    if fault == "other code":
        other = setup.model_copy(update={"code_digest": "of another version"})
        (tmp_path / "setup.json").write_text(other.model_dump_json())
        words = "runs another version of this project"
    else:
        (tmp_path / "setup.json").unlink()
        words = "setup.json is not there; let it have the storage"
    with pytest.raises(UnfitNodeError, match=f"{socket.gethostname()}: {words}"):
        Actor(config(tmp_path))
    assert not list((tmp_path).glob("trials/*/state*"))


def test_an_actor_whose_trial_had_ended_says_so(setup, tmp_path) -> None:
    actor = Actor(config(tmp_path))
    while not actor.step()["done"]:
        pass
    known = config(tmp_path).model_copy(update={"known_epochs": 3})
    assert Actor(known).step() == {"stopped": "it had ended before", "done": True}


def test_a_full_disk_is_no_fault_of_the_trial(setup, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    actor = Actor(config(tmp_path))
    actor.step()
    monkeypatch.setattr("trainables.training.checkpoint.torch.save", full)
    assert actor.step() == {"disk_full": "a trial found no room for its weights", "done": True}
    assert not list((tmp_path / "trials" / "0000").glob("*.part"))


def test_what_a_trial_dies_of_is_in_its_log(setup, tmp_path, monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    def broken(*_: object) -> None:
        raise KeyError("no such layer")

    actor = Actor(config(tmp_path))
    monkeypatch.setattr("trainables.training.learner.Learner.validate", broken)
    with pytest.raises(KeyError):
        actor.step()
    assert "Traceback" in (told := capfd.readouterr().err)
    assert "no such layer" in told


def test_how_long_an_epoch_may_take(setup, tmp_path) -> None:
    actor = Actor(config(tmp_path))
    assert actor._timeout_s() == FIRST_TIMEOUT_S
    actor._epoch_s = [50.0, 60.0, 70.0]
    assert actor._timeout_s() == 600.0
    actor._epoch_s = [0.1]
    assert actor._timeout_s() == LEAST_TIMEOUT_S
    actor._setup = actor._setup.model_copy(update={"epoch_timeout_s": 5.0})
    assert actor._timeout_s() == 5.0
