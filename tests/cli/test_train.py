"""`orchestrate train`: a folder with all that is said of one configuration; refusals before anything is written."""

import csv
import fcntl
import json
import os
import weakref
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests_support import run_here

from orchestrator.errors import BadInput, Interrupted, NoUsableTrial
from orchestrator.home import Home
from orchestrator.train import TrainedModel, run_training
from orchestrator.train_planning import TrainRequest
from trainables.data.phantom import write_stroke_phantom
from trainables.inference import predict_logits
from trainables.training.learner import Learner

TINY = {"resnet": "test_resnet", "vit": "test_vit", "image_px": "32", "hidden": "16", "batch_size": "8"}


SHOW_FIGURES = (
    "test_the_folder_holds_tables_curves_and_weights",
    "test_test_is_judged_where_asked_for_and_noted",
    "test_the_command_prints_its_scores_and_one_json_object",
)


@pytest.fixture(autouse=True)
def few_figures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw in a few tests only: it takes most of their time."""
    if request.node.name not in SHOW_FIGURES:
        monkeypatch.setattr("trainables.evaluation.side_figures.write_figures", lambda *about: None)
        monkeypatch.setattr("orchestrator.train.draw_training_curves", lambda *about: None)


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantom")
    write_stroke_phantom(folder, train_patients=8, test_patients=4, slices_per_modality=1, image_px=64)
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("home"))


@pytest.fixture
def request_for(phantom: Path, home: Home):
    def make(**changes) -> TrainRequest:
        settings = TINY | changes.pop("settings", {})
        request = TrainRequest(
            architecture="resnet_vit", task="stroke", home=home, data=str(phantom), epochs=2, overrides=settings
        )
        return replace(request, **changes)

    return make


class Listener:
    """Hear everything; break off at one epoch where asked to."""

    def __init__(self, break_off_after: int = 0) -> None:
        self.epochs: list[int] = []
        self.batches: list[tuple[int, int]] = []
        self._break_off_after = break_off_after

    def begin(self, planned) -> None:
        self.planned = planned

    def batch(self, done: int, of: int) -> None:
        if self._break_off_after and len(self.epochs) == self._break_off_after:
            raise KeyboardInterrupt
        self.batches.append((done, of))

    def epoch(self, record) -> None:
        self.epochs.append(record.epoch)


def trained(request: TrainRequest, listener: Listener | None = None) -> TrainedModel:
    return run_training(request, lambda what, done, of: None, listener or Listener())


def reads_of_test(home: Home) -> list[dict]:
    lines = home.test_ledger.read_text().splitlines() if home.test_ledger.exists() else []
    return [json.loads(line) for line in lines]


def history(folder: Path) -> list[dict[str, str]]:
    with (folder / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_folder_holds_tables_curves_and_weights(request_for, home: Home) -> None:
    listener = Listener()
    before = len(reads_of_test(home))
    done = trained(request_for(), listener)
    folder = done.planned.folder
    assert listener.epochs == [1, 2]
    assert listener.batches[-1][0] == listener.batches[-1][1] > 1
    rows = history(folder)
    assert [row["epoch"] for row in rows] == ["1", "2"]
    best = [row for row in rows if row["is_best"] == "True"][-1]
    assert done.best_epoch == int(best["epoch"])
    assert done.evaluation.validation.overall.metrics["auroc"] == pytest.approx(float(best["val/auroc"]), abs=1e-6)
    assert done.evaluation.test is None
    about = json.loads((folder / "training.json").read_text())
    assert about["hyperparameters"]["hidden"] == 16
    assert about["data"]["kind"] == "phantom"
    assert (folder / "training_curves.png").is_file()
    evaluated = {path.name for path in (folder / "evaluation").iterdir()}
    assert "stroke_classification_results_validation.csv" in evaluated
    assert not evaluated & {"stroke_classification_results.csv", "test"}, "nothing of test without --test"
    assert {read["purpose"] for read in reads_of_test(home)[before:]} == {"preparation"}


def test_test_is_judged_where_asked_for_and_noted(request_for, home: Home) -> None:
    done = trained(request_for(test=True, epochs=1))
    last = reads_of_test(home)[-1]
    assert (last["purpose"], last["model"]) == ("evaluation", "resnet_vit")
    assert last["who"] == f"train {done.planned.folder.name}"
    assert done.evaluation.test is not None
    assert len(list((done.planned.folder / "evaluation" / "test").glob("*.png"))) == 7


def test_an_interrupted_training_goes_on(request_for, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.train.KEEP_STATE_S", 0.0)
    whole = trained(request_for(out=tmp_path / "whole", epochs=3))
    broken = request_for(out=tmp_path / "broken", epochs=3)
    with pytest.raises(Interrupted, match=r"--out .*broken --resume goes on"):
        trained(broken, Listener(break_off_after=2))
    assert len(history(tmp_path / "broken")) == 2
    listener = Listener()
    done = trained(replace(broken, resume=True), listener)
    assert listener.epochs == [3]
    same = [name for name in history(tmp_path / "whole")[0] if not name.startswith("perf/")]
    for ours, theirs in zip(history(tmp_path / "broken"), history(tmp_path / "whole"), strict=True):
        assert [ours[name] for name in same] == [theirs[name] for name in same]
    assert done.best_epoch == whole.best_epoch
    more = Listener()
    trained(replace(broken, resume=True, epochs=4), more)
    assert more.epochs == [4]
    before = {path: path.read_bytes() for path in (tmp_path / "broken").rglob("*") if path.is_file()}
    for changes, words in (
        ({"metric": "accuracy"}, "was begun with metric=auroc, not accuracy"),
        ({"overrides": TINY | {"lr": "1e-5"}}, "was begun with lr=0.0003, not 1e-05"),
        ({"split": "grouped"}, "was begun with other data or another split"),
        ({"epochs": 3}, "was begun with 4; more can follow, not fewer"),
    ):
        with pytest.raises(BadInput, match=words):
            trained(replace(broken, resume=True, **{"epochs": 5, **changes}))
    assert {path: path.read_bytes() for path in before} == before, "a refusal changes nothing"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("0000/state_epoch_0001.pt", b"garbage", "state_epoch_0001.pt: is damaged"),
        ("0000/state_epoch_0001.pt", b"", "state_epoch_0001.pt: is damaged"),
        ("0000/best.safetensors", b"", "best.safetensors"),
        ("training.json", b"[1]", "training.json: is damaged"),
    ],
)
def test_a_damaged_folder_is_one_line(request_for, tmp_path: Path, name: str, content: bytes, words: str) -> None:
    first = request_for(out=tmp_path / "x", epochs=1)
    trained(first)
    (tmp_path / "x" / name).write_bytes(content)
    with pytest.raises(BadInput, match=words):
        trained(replace(first, resume=True))


@pytest.mark.parametrize(
    "content", [None, b"", b"hello,x\n1,2\n", b"epoch,is_best,val/auroc\n1,True,abc\n", b"\xff\xfe\x00hello"]
)
def test_a_lost_history_is_told_again_by_the_state(request_for, tmp_path: Path, content: bytes | None) -> None:
    first = request_for(out=tmp_path / "x", epochs=2)
    trained(first)
    before, path = history(tmp_path / "x"), tmp_path / "x" / "history.csv"
    path.unlink() if content is None else path.write_bytes(content)
    trained(replace(first, resume=True))
    assert history(tmp_path / "x") == before


def test_a_training_that_ran_out_of_memory_goes_on_where_there_is_more(
    request_for, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = Learner._forward

    def limited(self: Learner, x_BCHW: torch.Tensor) -> torch.Tensor:
        if len(x_BCHW) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, x_BCHW)

    built: list[weakref.ref] = []
    begin = Learner.__init__

    def noted(self: Learner, *about: object) -> None:
        assert len(built) != 1 or built[0]() is None, "the first attempt of the preflight still holds its memory"
        built.append(weakref.ref(self))
        begin(self, *about)

    with monkeypatch.context() as little:
        little.setattr(Learner, "_forward", limited)
        little.setattr(Learner, "__init__", noted)
        trained(request_for(out=tmp_path / "x", epochs=1))
    trained(request_for(out=tmp_path / "x", epochs=2, resume=True))
    assert [row["perf/micro_batch_size"] for row in history(tmp_path / "x")] == ["4.0", ""]


def test_what_finds_no_room_to_be_judged_is_one_line(
    request_for, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def no_room(model, images_NMHW, rows_N, at_once: int):
        tried.append(at_once)
        if at_once > 8:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return predict_logits(model, images_NMHW, rows_N, at_once)

    monkeypatch.setattr("trainables.judging.predict_logits", no_room)
    trained(request_for(out=tmp_path / "x", epochs=1))
    assert tried == [64, 32, 16, 8]
    monkeypatch.setattr("trainables.judging.EVALUATION_BATCH", 0)
    with pytest.raises(NoUsableTrial, match="no room for a single image"):
        trained(request_for(out=tmp_path / "x", epochs=1, resume=True))


def test_a_finished_training_is_judged_again(request_for, tmp_path: Path) -> None:
    first = request_for(out=tmp_path / "x", epochs=1, test=True)
    trained(first)
    listener = Listener()
    again = trained(replace(first, resume=True, test=False), listener)
    assert (listener.epochs, again.epochs, again.stop_reason) == ([], 1, "it had ended before")
    files = {path.name for path in (tmp_path / "x" / "evaluation").iterdir()}
    assert not files & {"test", "stroke_classification_results.csv"}, "nothing of the earlier judgement is left"


def test_a_rate_that_ends_with_the_epochs_is_not_stretched(request_for, tmp_path: Path) -> None:
    first = request_for(out=tmp_path / "x", epochs=1, settings={"lr_schedule": "cosine"})
    trained(first)
    with pytest.raises(BadInput, match="the rate ends after the 1 epochs that were planned"):
        trained(replace(first, resume=True, epochs=2))


def test_weights_to_begin_from(request_for, tmp_path: Path) -> None:
    first = trained(request_for(out=tmp_path / "first", epochs=1))
    weights = first.planned.folder / "0000" / "best.safetensors"
    second = trained(request_for(out=tmp_path / "second", epochs=1, weights=weights, settings={"lr": "1e-9"}))
    scores = [one.evaluation.validation.overall.metrics["log_loss"] for one in (first, second)]
    assert scores[1] == pytest.approx(scores[0], abs=0.05)
    torch.save({"a": torch.zeros(1)}, tmp_path / "pickle.safetensors")
    with pytest.raises(BadInput, match=r"--weights: .*pickle"):
        trained(request_for(out=tmp_path / "third", weights=tmp_path / "pickle.safetensors"))
    with pytest.raises(BadInput, match=r"--weights: .*another architecture"):
        trained(request_for(out=tmp_path / "third", weights=weights, settings={"hidden": "8"}))
    assert not (tmp_path / "third").exists(), "nothing is written before all is checked"
    weights.write_bytes((second.planned.folder / "0000" / "best.safetensors").read_bytes())
    with pytest.raises(BadInput, match="other weights of the same file name"):
        trained(request_for(out=tmp_path / "second", resume=True, epochs=1, weights=weights, settings={"lr": "1e-9"}))


def test_a_folder_has_one_training_at_a_time(request_for, tmp_path: Path) -> None:
    out = tmp_path / "x"
    out.mkdir()
    (out / "training.part").write_text("{")  # what a training leaves that died before its first whole file
    handle = os.open(out, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(BadInput, match=r"--out .*x: another training writes there"):
        trained(request_for(out=out, epochs=1))
    assert [path.name for path in out.iterdir()] == ["training.part"]
    os.close(handle)
    trained(request_for(out=out, epochs=1))
    begun = json.loads((out / "training.json").read_text())
    (out / "training.json").write_text(json.dumps(begun | {"threads": begun["threads"] + 1}))
    again = trained(request_for(out=out, epochs=1, resume=True))
    assert again.planned.threads == begun["threads"] + 1, "sums are rounded as before"


def test_a_loss_that_breaks_down_says_so(request_for, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainables.training.learner.Learner.train_epoch", lambda *_: (float("nan"), 0.0))
    with pytest.raises(NoUsableTrial, match=r"epoch 1: training loss is nan; lr=0.0003 with adamw is prob"):
        trained(request_for())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"architecture": "resnet_vitt"}, "did you mean 'resnet_vit'"),
        ({"task": "strok"}, "did you mean 'stroke'"),
        (
            {"task": "tumor_ct_mri"},
            "resnet_vit: takes one image per case, task tumor_ct_mri has two; known for it: cross_modal, late_fusion",
        ),
        ({"settings": {"lrr": "1"}}, "--set lrr: no hyperparameter 'lrr'; did you mean 'lr'"),
        ({"settings": {"lr": "7"}}, "--set lr: must be less than or equal to 1, got 7"),
        ({"settings": {"lr": "{float: [1e-4, 1e-3], default: 1e-4}"}}, "one value is trained, not a range"),
        ({"settings": {"focal_gamma": "3"}}, "has no effect with imbalance=none"),
        ({"settings": {"vit": "vit_tiny_patch16_224", "image_px": "100"}}, "image_px=100 must be a multiple of 16"),
        ({"settings": {"batch_size": "4000"}}, "4000 is more than the 12 training images; choose at most 12"),
        ({"metric": "auroq"}, "did you mean 'auroc'"),
        ({"metric": "quadratic_kappa"}, "classes in an order"),
        ({"epochs": 0}, "--epochs 0"),
        ({"epochs": 10**300, "settings": {"lr_schedule": "cosine"}}, "from 1 to 1000000"),
        ({"settings": {"vit": "patch0"}}, "timm has no model 'patch0'"),
        ({"weights": Path("none.safetensors")}, "no such file"),
        ({"resume": True}, "say --out"),
        ({"out": Path(__file__).parent}, "exists already"),
        ({"out": Path("nowhere"), "resume": True}, "holds no training"),
    ],
)
def test_bad_input_is_one_line(request_for, changes: dict, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        trained(request_for(**changes))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_command_prints_its_scores_and_one_json_object(phantom: Path, tmp_path: Path) -> None:
    settings = [word for key, value in TINY.items() for word in ("--set", f"{key}={value}")]
    flags = ["--task", "stroke", "--data", phantom, "--epochs", "1", "--test", "--json", *settings]
    done = run_here(tmp_path / "home", "train", "resnet_vit", *flags)
    assert done.exit_code == 0, done.stderr
    assert {"architecture", "task", "data_kind", "best_epoch", "validation", "test", "folder"} <= done.json.keys()
    value, low, high = done.json["test"]["log_loss"]
    assert low <= value <= high
    assert "epoch 1: train/loss" in done.stderr
    assert "phantom data" in done.stderr
