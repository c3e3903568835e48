"""A finalist whose weights are missing or damaged is trained again to its best epoch, and judged by what comes out."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sweep_support import epoch, make_plan, open_sweep, suggested

from orchestrator.journal import FinalistEvaluated, SweepResumed, TrialEnded
from orchestrator.tuning import runner
from orchestrator.tuning.finalists import evaluate_finalist
from orchestrator.tuning.stopping import Stopping
from orchestrator.tuning.test_data import TestData
from orchestrator.tuning.trial import begin_training
from orchestrator.tuning.trial_setup import TrialConfig, TrialSetup
from trainables.catalog import default_hyperparameters
from trainables.data.cache import digest_file
from trainables.data.split_rows import SplitRow, digest_rows, write_rows
from trainables.errors import WeightsError
from trainables.explain.settings import explanation_settings

SIDE_PX, EPOCHS = 16, 4


def rows_of(name: str, count: int, validation: int) -> list[SplitRow]:
    sides = ["test" if name == "test" else "validation" if n < validation else "training" for n in range(count)]
    return [SplitRow(f"{name}{n}.png", n % 2, "MR", f"{name}{n}", sides[n], f"{name}{n}") for n in range(count)]


@pytest.fixture
def setup(tmp_path: Path) -> TrialSetup:
    rng = np.random.default_rng(0)
    for name, rows in (("rows", rows_of("rows", 60, 20)), ("test", rows_of("test", 20, 0))):
        np.save(tmp_path / f"{name}.npy", rng.integers(0, 256, (len(rows), SIDE_PX, SIDE_PX)).astype(np.uint8))
        write_rows(tmp_path / f"{name}.csv", rows)
    setup = TrialSetup(
        task="stroke", development=tmp_path / "rows.csv", development_digest=digest_rows(rows_of("rows", 60, 20)),
        arrays={str(SIDE_PX): tmp_path / "rows.npy"}, pretrained=False, epochs=EPOCHS, metric="auroc", device="cpu",
        threads=torch.get_num_threads(), trials=tmp_path / "trials", keep_state_s=0.0,
    )  # fmt: skip
    (tmp_path / "setup.json").write_text(setup.model_dump_json())
    return setup


@pytest.fixture
def test_data(setup: TrialSetup, tmp_path: Path) -> TestData:
    return TestData(
        rows=tmp_path / "test.csv", rows_digest=digest_rows(rows_of("test", 20, 0)), test_digest="t" * 32,
        arrays={str(SIDE_PX): tmp_path / "test.npy"}, array_digests={str(SIDE_PX): digest_file(tmp_path / "test.npy")},
        ledger=tmp_path / "ledger.jsonl", who="s", root=tmp_path, explaining=explanation_settings(quick=True, seed=0),
    )  # fmt: skip


def config_of(setup: TrialSetup) -> TrialConfig:
    return TrialConfig(
        trial=4, architecture="baseline_cnn", seed=11, published=False, setup=setup.trials.parent / "setup.json",
        hyperparameters=default_hyperparameters("baseline_cnn") | {"image_px": SIDE_PX, "lr": 0.01},
    )  # fmt: skip


@pytest.mark.parametrize("damage", [None, b""])
def test_lost_weights_come_back_the_same(
    setup: TrialSetup, test_data: TestData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes | None
) -> None:
    monkeypatch.setattr("trainables.evaluation.figures.style.save_quietly", lambda figure, path: None)
    monkeypatch.setattr("trainables.judging._explain", lambda *about: None)
    config = config_of(setup)
    best = [record for record in begin_training(config, setup) if record.is_best][-1]
    config = config.model_copy(update={"best_epoch": best.epoch})
    folder = setup.trial_folder(config)
    kept = {path.name: path.read_bytes() for path in folder.iterdir()}
    weights = folder / "best.safetensors"
    weights.unlink() if damage is None else weights.write_bytes(damage)
    event = evaluate_finalist(config, setup, test_data, tmp_path / "finalist")
    assert event.validation["auroc"] == best.metrics["val/auroc"]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == kept, "weights as before, states untouched"
    assert len((tmp_path / "ledger.jsonl").read_text().splitlines()) == 1, "the test images are read once"


def test_without_a_best_epoch_nothing_is_made_up(setup: TrialSetup, test_data: TestData, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"best\.safetensors"):
        evaluate_finalist(config_of(setup), setup, test_data, tmp_path / "finalist")


def test_who_was_evaluated_is_evaluated_again_only_without_weights(
    setup: TrialSetup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted: dict[int, tuple[int, int]] = {}
    told: list[str] = []

    def submit(config: TrialConfig, own: TrialSetup, test: None, folder: Path, cpus: int, gpu_share: float) -> None:
        assert (cpus, gpu_share) == (2, 0.5), "those of a slot, and that of its architecture"
        submitted[config.trial] = config.best_epoch, own.epochs

    monkeypatch.setattr(runner, "submit_finalist", submit)
    monkeypatch.setattr(runner, "_record", lambda waiting, sweep, stopping: None)
    with open_sweep(tmp_path / "s", make_plan(budget__epochs=2)) as sweep:
        for number, schedule in enumerate(("none", "none", "cosine", "none")):
            sweep.append(suggested(number, lr_schedule=schedule))
            for at in (1, 2):
                sweep.append(epoch(number, at, 0.9 - number / 10 - at / 100))
            sweep.append(TrialEnded(trial=number, state="completed", reason=""))
        for number in (0, 1):
            sweep.append(FinalistEvaluated(trial=number, validation={}, test={}))
        plan = make_plan(budget__epochs=EPOCHS)
        sweep.append(SweepResumed(plan=plan, plan_digest="", slots=1, device="cpu", versions={}, git={}))
        whole = setup.trials / "0000"
        list(begin_training(config_of(setup).model_copy(update={"trial": 0}), setup))
        for number in (1, 2, 3):
            (setup.trials / f"{number:04d}").mkdir()
        content = (whole / "best.safetensors").read_bytes()
        (setup.trials / "0003" / "best.safetensors").write_bytes(content)
        (setup.trials / "0001" / "best.safetensors").write_bytes(content[:-1])
        monkeypatch.setattr(sweep, "tell", told.append)
        slots = runner.Slots(8, 1, 1.0, 1, cpus_each=2, shares={"resnet_vit": 0.5})
        new = runner.evaluate_finalists(
            list(sweep.state.trials.values()), tmp_path / "setup.json", None, tmp_path, slots, sweep, Stopping()
        )
    assert [trial.number for trial in new] == list(submitted) == [1, 2, 3]
    assert submitted == {1: (1, EPOCHS), 2: (1, 2), 3: (1, EPOCHS)}, "rates end where they did"
    assert told == [
        f"trial {number}: its weights are missing or damaged: it is trained again to its best epoch, 1"
        for number in (1, 2)
    ]
