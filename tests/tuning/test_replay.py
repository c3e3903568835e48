"""A trial once more beside its journal: wherever the sweep's folder is now, and where the training ends elsewhere."""

import errno
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sweep_support import make_plan, open_sweep
from tests_support import Finished, run_here

from orchestrator import replay
from orchestrator.errors import BadInput, DiskFull
from orchestrator.home import Home
from orchestrator.journal import EpochEnded, TrialEnded, TrialSuggested
from orchestrator.open_sweep import Notice
from orchestrator.sweep_request import SweepRequest
from orchestrator.tuning.trial import begin_training
from orchestrator.tuning.trial_setup import TrialConfig, TrialSetup
from trainables.catalog import default_hyperparameters
from trainables.data.split_rows import SplitRow, digest_rows, write_rows
from trainables.errors import TrainingFailed
from trainables.training.learner import Learner

SIDE_PX, EPOCHS = 16, 2
ROWS = [SplitRow(f"{n}.png", n % 2, "MR", f"p{n}", "validation" if n < 20 else "training", f"{n}") for n in range(60)]
BY = default_hyperparameters("baseline_cnn") | {"image_px": SIDE_PX}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home that was moved after trial 0 of sweep `s` was trained in it: its setup names files that are no more."""
    home = Home(tmp_path / "home")
    folder = home.root / "sweeps" / "s"
    folder.mkdir(parents=True)
    arrays = {str(SIDE_PX): tmp_path / "images.npy"}
    np.save(
        arrays[str(SIDE_PX)], np.random.default_rng(0).integers(0, 256, (len(ROWS), SIDE_PX, SIDE_PX), dtype=np.uint8)
    )
    setup = TrialSetup(
        task="stroke", development=tmp_path / "old" / "development.csv", development_digest=digest_rows(ROWS),
        arrays={str(SIDE_PX): tmp_path / "old" / "images.npy"}, pretrained=False, epochs=EPOCHS, metric="auroc",
        device="cpu", threads=torch.get_num_threads(), trials=tmp_path / "old" / "trials", keep_state_s=0.0,
    )  # fmt: skip
    (folder / "trial_setup.json").write_text(setup.model_dump_json())
    rows, slots = SimpleNamespace(rows=ROWS, arrays=arrays), SimpleNamespace(device="cpu")
    planned = SimpleNamespace(data=SimpleNamespace(development=rows), slots=slots, plan=None)
    monkeypatch.setattr(replay, "kept_request", lambda folder, machine: machine)
    monkeypatch.setattr(replay, "plan_sweep", lambda request, progress: planned)
    monkeypatch.setattr(replay, "require_same_plan", lambda *about: None)
    with open_sweep(folder, make_plan(architectures={"baseline_cnn": {}})) as sweep:
        sweep.append(TrialSuggested(trial=0, architecture="baseline_cnn", hyperparameters=BY, seed=7, published=False))
        config = TrialConfig.of(sweep.state.trials[0], folder / "trial_setup.json")
        write_rows(tmp_path / "then.csv", ROWS)
        then = setup.model_copy(
            update={"development": tmp_path / "then.csv", "arrays": arrays, "trials": tmp_path / "then"}
        )
        for record in begin_training(config, then):
            sweep.append(EpochEnded(trial=0, epoch=record.epoch, metrics=record.metrics))
    return home


def replayed(home: Home, number: int = 0, watch: Callable[[object], None] = lambda heard: None) -> replay.Replay:
    machine = SweepRequest(name="", home=home)
    return replay.replay_trial("s", number, machine, lambda what, done, of: None, watch)


def test_a_sweep_whose_home_was_moved_is_replayed(home: Home) -> None:
    once = replayed(home)
    assert (len(once.epochs), once.epochs_then, once.largest_difference) == (EPOCHS, EPOCHS, 0)


@pytest.mark.parametrize("content", [None, b"", b"{}"])
def test_a_folder_that_does_not_tell_how_it_trained_is_refused(home: Home, content: bytes | None) -> None:
    setup = home.sweeps / "s" / "trial_setup.json"
    setup.unlink() if content is None else setup.write_bytes(content)
    with pytest.raises(BadInput, match=r"trial_setup\.json: is missing or damaged; put back a whole copy"):
        replayed(home)


def test_other_rows_than_those_it_was_trained_on_are_refused(home: Home) -> None:
    planned = replay.plan_sweep(None, None)
    planned.data.development.rows = [replace(ROWS[0], label=1), *ROWS[1:]]
    with pytest.raises(BadInput, match=r"s: .*the split was changed since the plan"):
        replayed(home)


def said(home: Home, number: str = "0", *further: str) -> Finished:
    return run_here(home.root, "replay", "s", number, *further)


def test_a_training_that_ends_sooner_than_it_did_is_not_the_same(home: Home) -> None:
    assert "2 epochs: the same as in the journal, largest difference 0" in said(home).stdout
    with open_sweep(home.sweeps / "s") as sweep:
        sweep.append(EpochEnded(trial=0, epoch=3, metrics={"val/auroc": 0.5}))
    done = said(home)
    assert done.exit_code == 0, done.stderr
    assert done.stdout == "trial 0 (baseline_cnn), 2 epochs: not the same as in the journal, which has 3\n"
    told = json.loads(said(home, "0", "--json").stdout)
    assert (told["largest_difference"], told["missing_epochs"], len(told["epochs"])) == (None, 1, 2)


def failed(home: Home, number: int, epochs: int, reason: str) -> None:
    """Give the sweep a trial like trial 0 that failed after so many epochs."""
    with open_sweep(home.sweeps / "s") as sweep:
        first = sweep.state.trials[0]
        sweep.append(
            TrialSuggested(
                trial=number, architecture="baseline_cnn", hyperparameters=BY, seed=first.seed, published=False
            )
        )
        for known in first.epochs[:epochs]:
            sweep.append(EpochEnded(trial=number, epoch=known.epoch, metrics=known.metrics))
        sweep.append(TrialEnded(trial=number, state="failed", reason=reason))


@pytest.mark.parametrize("epochs", [0, 1])
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (TrainingFailed("epoch {at}: loss is nan;\nlower lr"), "epoch {at}: loss is nan; lower lr"),
        (KeyError("no layer in /home/me/x.py"), "KeyError: 'no layer in x.py'"),
    ],
)
def test_a_trial_that_failed_is_replayed_until_it_fails_again(
    home: Home, monkeypatch: pytest.MonkeyPatch, epochs: int, fault: Exception, reason: str
) -> None:
    def breaks_down(self: Learner, *about: object) -> object:
        validated.append(self)
        if len(validated) > epochs:
            raise type(fault)(str(fault.args[0]).format(at=epochs + 1))
        return validate(self, *about)

    reason, validated, validate = reason.format(at=epochs + 1), [], Learner.validate
    failed(home, 1, epochs, reason)
    failed(home, 2, epochs, "epoch 9: predictions are nan")
    monkeypatch.setattr(Learner, "validate", breaks_down)
    same = replayed(home, 1)
    assert (len(same.epochs), same.largest_difference, same.fault_now) == (epochs, 0, reason)
    validated.clear()
    other = said(home, "2").stdout.splitlines()[-1]
    assert other == f"it failed again, for another reason: {reason}; then: epoch 9: predictions are nan"
    validated.clear()
    assert said(home, "1").stdout.splitlines()[-1] == f"it failed again, for the same reason: {reason}"


def test_a_trial_that_does_not_fail_again_trains_one_epoch_more_than_then(home: Home) -> None:
    failed(home, 1, 1, "epoch 2: loss is nan")
    done = said(home, "1")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines() == [
        "trial 1 (baseline_cnn), 2 epochs: the same as in the journal, largest difference 0",
        "it did not fail again; then: epoch 2: loss is nan",
    ]
    told = json.loads(said(home, "1", "--json").stdout)
    assert (told["missing_epochs"], told["fault_then"], told["fault_now"]) == (0, "epoch 2: loss is nan", "")
    assert [one["difference"] for one in told["epochs"]] == [0, None], "the journal has one to compare with"
    failed(home, 2, 0, "epoch 1: loss is nan")
    told = json.loads(said(home, "2", "--json").stdout)
    assert (told["largest_difference"], len(told["epochs"])) == (None, 1)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (
            "hanging: no epoch ended within 65 s, so its process was ended",
            "nothing ends this one: where no epoch comes",
        ),
        ("its process crashed: Segmentation fault", "if it dies again, so does this command, without another word"),
        ("The actor is dead. Worker exit type: SYSTEM_ERROR Worker exit", "if it dies again, so does this command"),
        ("epoch 1: loss is nan", ""),
    ],
)
def test_a_trial_that_took_its_process_along_is_told_before_it_trains(home: Home, reason: str, words: str) -> None:
    heard: list[object] = []
    failed(home, 1, 0, reason)
    replayed(home, 1, heard.append)
    notices = [one.text for one in heard if isinstance(one, Notice)]
    assert notices == [one.text for one in heard[:1] if isinstance(one, Notice)]
    assert [words in text for text in notices] == [True] * bool(words)


def test_a_full_disk_and_who_cannot_listen_are_no_fault_of_the_trial(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ends(*about: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def is_gone(heard: object) -> None:
        raise BrokenPipeError

    failed(home, 1, 1, "epoch 2: loss is nan")
    with pytest.raises(BrokenPipeError):
        replayed(home, 1, is_gone)
    monkeypatch.setattr(Learner, "validate", ends)
    with pytest.raises(DiskFull, match="the disk is full; free some space, or set TMPDIR"):
        replayed(home, 1)


def test_a_training_that_breaks_down_now_is_told_where_it_did_not_then(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks_down(*about: object) -> None:
        raise TrainingFailed("epoch 1: loss is nan")

    monkeypatch.setattr(Learner, "validate", breaks_down)
    done = said(home)
    assert (done.exit_code, "trial 0: epoch 1: loss is nan" in done.stderr) == (3, True)
