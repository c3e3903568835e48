"""Finalists trained again, without Ray: what the journal lacks and no more, each with a seed of its own."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sweep_support import begin, epoch, make_plan, open_sweep

from orchestrator.journal import FoldEvaluated, SeedEvaluated
from orchestrator.seeds import SeedPath, child_seed
from orchestrator.tuning import runner
from orchestrator.tuning.retraining import at_place, train_again
from orchestrator.tuning.stopping import Stopping
from orchestrator.tuning.trial_setup import TrialConfig, TrialSetup
from trainables.catalog import default_hyperparameters
from trainables.data.split_rows import SplitRow, digest_rows, write_rows

SIDE_PX = 16
ROWS = [
    SplitRow(f"{n}.png", n % 2, "MR", f"p{n}", "validation" if n % 3 == 0 else "training", f"{n}", fold=n % 3)
    for n in range(48)
]


@pytest.fixture
def setup(tmp_path: Path) -> TrialSetup:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "images.npy", rng.integers(0, 256, (len(ROWS), SIDE_PX, SIDE_PX)).astype(np.uint8))
    write_rows(tmp_path / "rows.csv", ROWS)
    setup = TrialSetup(
        task="stroke", development=tmp_path / "rows.csv", development_digest=digest_rows(ROWS),
        arrays={str(SIDE_PX): tmp_path / "images.npy"}, pretrained=False, epochs=2, metric="auroc", device="cpu",
        threads=torch.get_num_threads(), trials=tmp_path / "trials", keep_every_epochs=1,
    )  # fmt: skip
    (tmp_path / "setup.json").write_text(setup.model_dump_json())
    return setup


def config_of(setup: TrialSetup, over: str, **hyperparameters: object) -> TrialConfig:
    return TrialConfig(
        trial=4, architecture="baseline_cnn", seed=11, published=False, setup=setup.trials.parent / "setup.json",
        hyperparameters=default_hyperparameters("baseline_cnn") | {"image_px": SIDE_PX, **hyperparameters}, over=over,
    )  # fmt: skip


@pytest.mark.parametrize("over", ["seed", "fold"])
def test_only_what_the_journal_lacks_is_trained(
    setup: TrialSetup, tmp_path: Path, over: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def event(trial: int, place: int) -> SeedEvaluated | FoldEvaluated:
        own = {"seed_index": place, "seed": place} if over == "seed" else {"fold": place}
        return (SeedEvaluated if over == "seed" else FoldEvaluated)(trial=trial, epoch=1, validation={}, **own)

    submitted: list[TrialConfig] = []

    def submit(config: TrialConfig, setup: TrialSetup, cpus: int, gpu_share: float) -> None:
        assert (cpus, gpu_share) == (2, 0.5), "those of a slot, and that of its architecture"
        submitted.append(config)

    monkeypatch.setattr(runner, "submit_retraining", submit)
    monkeypatch.setattr(runner, "_record", lambda waiting, sweep, stopping: None)
    with open_sweep(tmp_path / "s", make_plan()) as sweep:
        for number in (0, 1):
            begin(sweep, number)
            sweep.append(epoch(number, 1, 0.5 + number / 10))
        for known in (event(0, 0), event(0, 2)):
            sweep.append(known)
        trials = list(sweep.state.trials.values())
        slots = runner.Slots(8, 1, 1.0, 1, cpus_each=2, shares={"resnet_vit": 0.5})
        runner.train_again(trials, over, 4, tmp_path / "setup.json", slots, sweep, Stopping())
        again = sweep.state.retrained(over)
    last = [4] if over == "seed" else []  # the search's training was on fold 0; it is none of the four seeds
    wanted = [(0, n) for n in (1, 3, *last)] + [(1, n) for n in (1, 2, 3, *last)]
    assert [(config.trial, config.index) for config in submitted] == wanted
    assert {config.over for config in submitted} == {over}
    assert len({config.seed for config in submitted} | {0, 1}) == 7 + 2 * len(last), "one seed for each"
    if over == "fold":
        assert (again[1][0].number, again[1][0].epoch, again[1][0].validation["auroc"]) == (1, 1, 0.6)
    else:
        assert 1 not in again, "what the search was chosen for does not count"
        assert submitted[0].seed == child_seed(0, SeedPath.SEED, 1)


def test_another_seed_is_another_training_on_the_same_split(setup: TrialSetup) -> None:
    config = at_place(config_of(setup, "seed"), 1)
    once, again = train_again(config, setup), train_again(config, setup)
    other = train_again(at_place(config_of(setup, "seed"), 2), setup)
    assert (once.trial, once.seed_index, once.seed) == (4, 1, config.seed)
    assert once.validation == again.validation
    assert once.validation["log_loss"] != other.validation["log_loss"]
    assert not list(setup.trials.rglob("*.safetensors")), "no weights of another seed than the search's are kept"


@pytest.mark.parametrize("index", [0, 1])
def test_training_from_another_seed_leaves_the_searchs_own_files_alone(setup: TrialSetup, index: int) -> None:
    own = setup.trials / "0004"
    own.mkdir(parents=True)
    for name in ("best.safetensors", "state_epoch_0002.pt"):
        (own / name).write_bytes(b"of the search")
    kept = setup.model_copy(update={"keep_state_s": 0.0})
    assert train_again(at_place(config_of(setup, "seed"), index), kept).epoch > 0
    assert {path.name: path.read_bytes() for path in own.iterdir()} == {
        "best.safetensors": b"of the search",
        "state_epoch_0002.pt": b"of the search",
    }


def test_training_that_breaks_down_has_no_metrics(setup: TrialSetup) -> None:
    config = at_place(config_of(setup, "seed", lr=1e30, optimizer="sgd"), 1)
    assert train_again(config, setup).validation == {}


def test_seeds_leave_the_sides_as_they_are_and_folds_move_them(setup: TrialSetup) -> None:
    from orchestrator.tuning.trial import _of_fold

    assert _of_fold(ROWS, at_place(config_of(setup, "seed"), 1)) == ROWS
    moved = _of_fold(ROWS, at_place(config_of(setup, "fold"), 1))
    assert [row.fold for row in moved if row.side == "validation"] == [1] * 16
