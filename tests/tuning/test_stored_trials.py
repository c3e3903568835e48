"""A trial goes on where nothing of it is, from what an object store has of it; nodes here are homes in one process."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from bucket_support import away, buckets_in
from sweep_support import begin, epoch, open_sweep

from orchestrator.journal import TrialEnded
from orchestrator.object_store import ObjectStore
from orchestrator.open_sweep import JOURNAL
from orchestrator.stored_journal import StoredJournal
from orchestrator.stored_sweep import StoredSweep
from orchestrator.tuning import stored_trials
from orchestrator.tuning.retraining import _train_again, at_place
from orchestrator.tuning.storage_probe import probe_in
from orchestrator.tuning.stored_trials import bring_finalist, keep_results, results_here, setup_here
from orchestrator.tuning.trainable import TrialActor
from orchestrator.tuning.trial_files import TrialFiles
from orchestrator.tuning.trial_setup import TrialConfig, TrialSetup, setup_for_nodes
from trainables.catalog import default_hyperparameters
from trainables.data.split_rows import SplitRow, digest_rows, write_rows
from trainables.evaluation.trial_files import BEST_VALIDATION, BEST_WEIGHTS
from trainables.training.checkpoint import state_files

SIDE_PX, EPOCHS = 16, 4


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ObjectStore]:
    with buckets_in(tmp_path / "buckets") as found:
        yield found.below("one")


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.tuning.trainable.speak_into", lambda folder: None)
    monkeypatch.setattr("orchestrator.tuning.trial_log.speak_into", lambda folder: None)
    monkeypatch.setattr(stored_trials, "AT_THE_END_S", 0.0)


@pytest.fixture
def setup(store: ObjectStore, tmp_path: Path) -> TrialSetup:
    """Return what the driver wrote; it is gone from this machine, as it is on another."""
    driver = tmp_path / "driver"
    driver.mkdir()
    rows = [
        SplitRow(f"{n}.png", n % 4, "MR", f"p{n}", "validation" if n >= 24 else "training", f"{n}") for n in range(40)
    ]
    images_NHW = np.random.default_rng(0).integers(0, 255, (len(rows), SIDE_PX, SIDE_PX)).astype(np.uint8)
    np.save(tmp_path / "images.npy", images_NHW)
    write_rows(driver / "development.csv", rows)
    setup = TrialSetup(
        development=driver / "development.csv", development_digest=digest_rows(rows),
        arrays={str(SIDE_PX): tmp_path / "images.npy"}, pretrained=False, epochs=EPOCHS, metric="auroc", device="cpu",
        threads=1, trials=driver / "trials", task="alzheimer", keep_state_s=0.0, witness=True, store=store.uri,
        token="now",
    )  # fmt: skip
    setup.file.write_text(setup.model_dump_json())
    store.put(setup.development, "development.csv")
    store.put(setup.file, setup.file.name)
    return setup


@pytest.fixture
def elsewhere(setup: TrialSetup) -> None:
    setup.file.write_text(setup.model_copy(update={"token": "of an earlier sweep of this driver"}).model_dump_json())
    setup.development.unlink()


def config(setup: TrialSetup, **changes: object) -> TrialConfig:
    hyperparameters = default_hyperparameters("baseline_cnn") | {"image_px": SIDE_PX, "batch_size": 8}
    values = {
        "trial": 0,
        "architecture": "baseline_cnn",
        "seed": 0,
        "published": False,
        "hyperparameters": hyperparameters,
    }
    return TrialConfig.model_validate(values | {"setup": f"{setup.store}/trial_setup.json"} | changes)


class Actor(TrialActor):
    """An actor without Ray around it, on a node with a home of its own."""

    def __init__(self, config: TrialConfig, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ORCHESTRATE_HOME", str(home))
        self.setup(config.model_dump(mode="json"))


def auroc(actor: TrialActor, epochs: int) -> list[object]:
    return [actor.step()["val/auroc"] for _ in range(epochs)]


def test_a_trial_goes_on_on_a_node_that_has_nothing_of_it(
    setup: TrialSetup, store: ObjectStore, elsewhere: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = auroc(Actor(config(setup, trial=7), tmp_path / "whole", monkeypatch), EPOCHS)
    first = auroc(Actor(config(setup), tmp_path / "a", monkeypatch), 2)
    second = Actor(config(setup, known_epochs=2), tmp_path / "b", monkeypatch)
    result = second.step()
    assert result["epoch"] == 3
    assert [*first, result["val/auroc"], *auroc(second, 1)] == whole
    lines = (store.read("trials/0000/witness.jsonl") or b"").splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3, 4]
    assert not (tmp_path / "driver" / "trials").exists()
    second.cleanup()
    assert not list((tmp_path / "b" / "cache" / "stored" / "driver" / "trials").iterdir()), "the disk is free again"


def test_it_trains_on_while_the_store_is_away_and_puts_later(
    setup: TrialSetup, store: ObjectStore, elsewhere: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = Actor(config(setup), tmp_path / "a", monkeypatch)
    with away():
        assert [actor.step()["epoch"] for _ in range(2)] == [1, 2]
        actor.cleanup()
    assert store.keys("trials") == []
    assert list(tmp_path.glob("a/cache/stored/driver/trials/0000/best.safetensors")), "nobody else has it"
    actor.step()
    assert {"best.safetensors", "index.json"} <= {key.rpartition("/")[2] for key in store.keys("trials")}


def test_the_driver_works_in_its_own_folder(
    setup: TrialSetup, store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = Actor(config(setup), tmp_path / "driver home", monkeypatch)
    actor.step()
    actor.cleanup()
    folder = tmp_path / "driver" / "trials" / "0000"
    assert (folder / BEST_WEIGHTS).read_bytes() == store.read("trials/0000/best.safetensors")
    assert not (tmp_path / "driver home").exists()
    assert setup_for_nodes(setup.file, store.uri) == f"{store.uri}/trial_setup.json"


def test_a_retraining_leaves_nothing(
    setup: TrialSetup, store: ObjectStore, elsewhere: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHESTRATE_HOME", str(tmp_path / "a"))
    again = at_place(config(setup).model_copy(update={"over": "seed"}), 1)
    assert _train_again(again, setup).epoch > 0
    assert store.keys("trials") == []


def test_a_finalist_reaches_the_driver(
    setup: TrialSetup, store: ObjectStore, elsewhere: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    auroc(Actor(config(setup), tmp_path / "a", monkeypatch), EPOCHS)
    here, results = setup_here(setup), tmp_path / "driver" / "finalists" / "0000"
    there = results_here(results, here)
    (there / "tables").mkdir(parents=True)
    (there / "tables" / "test.csv").write_text("p")
    keep_results(there, here)
    assert not there.exists()
    bring_finalist(setup, config(setup), results)
    assert (results / "tables" / "test.csv").read_text() == "p"
    folder = setup.trial_folder(config(setup))
    assert (folder / BEST_WEIGHTS).is_file() and (folder / BEST_VALIDATION).is_file()
    assert not state_files(folder), "states are large, and the driver needs none"


def test_what_cannot_matter_any_more_goes_from_the_store_too(
    setup: TrialSetup, store: ObjectStore, elsewhere: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, epochs in ((0, 2), (1, 2)):
        auroc(Actor(config(setup, trial=number), tmp_path / "a", monkeypatch), epochs)
    driver, told = tmp_path / "driver", []
    stored = StoredSweep(store, driver, StoredJournal(store, driver / JOURNAL))
    with open_sweep(driver) as sweep:
        files = TrialFiles(setup.trials, sweep.state, stored=stored)
        for number, score in ((0, 0.6), (1, 0.9)):
            begin(sweep, number)
            sweep.append(epoch(number, 1, score))
            files.bring(number)
            sweep.append(TrialEnded(trial=number, state="pruned", reason="cut"))
            assert (setup.trials / f"{number:04d}" / BEST_VALIDATION).is_file(), "it is drawn once the journal tells"
            files.trial_ended(number)
    with away():
        stored.send(told.append)
        stored.send(told.append)
    stored.send(told.append)
    names = {number: [key for key in store.keys("trials") if f"/000{number}/" in key] for number in (0, 1)}
    assert not any("state_epoch" in key for key in names[0] + names[1])
    kept = sweep.state.plan.budget.finalists > 1
    assert (f"trials/0000/{BEST_WEIGHTS}" in names[0]) == kept
    assert f"trials/0001/{BEST_WEIGHTS}" in names[1]
    assert [text.partition(": ")[2][:20] for text in told] == ["cannot be reached (C", "answers again, and h"]


def test_a_probe_is_read_by_others_and_removed(store: ObjectStore, tmp_path: Path) -> None:
    for storage in (store, tmp_path / "shared"):
        probe = probe_in(storage)
        probe.write("driver", "words")
        assert probe.read("driver") == "words"
        with pytest.raises(OSError, match=r"not there|No such file"):
            probe.read("node")
        probe.remove()
    assert not [key for key in store.keys() if "probe" in key]
    assert not list((tmp_path / "shared").iterdir())
