from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sweep_support import EPOCHS, begin, epoch, make_plan, open_sweep, suggested

from orchestrator.errors import DiskFull
from orchestrator.journal import EpochEnded, JournalWriter, MicroBatchLimited, TrialEnded, TrialStarted, read_events
from orchestrator.open_sweep import OpenSweep
from orchestrator.tuning.recorder import JournalRecorder
from orchestrator.tuning.searcher import ALIKE, failed_alike
from orchestrator.tuning.stopping import Stopping
from orchestrator.tuning.trial_files import TrialFiles


@dataclass
class Tried:
    """What the recorder looks at of a Ray trial."""

    config: dict[str, Any]
    error_file: str = ""
    last_result: dict[str, Any] = field(default_factory=dict)
    trial_id: str = "t"


class Recorded:
    """A recorder and the sweep that it writes to."""

    def __init__(self, sweep: OpenSweep, stopping: Stopping | None = None, stop_reasons: dict | None = None) -> None:
        self.sweep, self.stopping = sweep, stopping or Stopping()
        self.decided: list[tuple[str, int]] = []
        self.files = TrialFiles(sweep.folder / "trials", sweep.state)
        self.recorder: Any = JournalRecorder(sweep, self.files, self.stopping, stop_reasons or {}, self)

    def go_on(self, number: int) -> None:
        """Hear it as the searcher does."""
        self.decided.append(("goes on", number))

    def give_up(self, number: int) -> None:
        self.decided.append(("failed", number))

    def result(self, number: int, at: int, auroc: float = 0.5, **further: Any) -> None:
        self.recorder.on_trial_result(
            0, [], Tried({"trial": number}), {"epoch": at, "val/auroc": auroc, "stopped": "", **further}
        )

    def complete(self, number: int, **last: Any) -> tuple[str, str]:
        for at in range(self.sweep.state.trials[number].last_epoch + 1, last.get("epoch", 0) + 1):
            self.result(number, at)
        self.recorder.on_trial_complete(0, [], Tried({"trial": number}, last_result=last))
        trial = self.sweep.state.trials[number]
        return trial.state, trial.reason

    def error(self, number: int, error_file: Path) -> tuple[str, str]:
        self.recorder.on_trial_error(0, [], Tried({"trial": number}, error_file=str(error_file)))
        trial = self.sweep.state.trials[number]
        return trial.state, trial.reason


@pytest.fixture
def sweep(tmp_path: Path) -> Iterator[OpenSweep]:
    with open_sweep(tmp_path / "s") as sweep:
        yield sweep


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.tuning.recorder.LOSS_SHOWS_AFTER_S", 0)


def test_a_trial_whose_actor_never_began_is_started_and_failed(sweep: OpenSweep, tmp_path: Path) -> None:
    (tmp_path / "error.txt").write_text("Traceback\n\nDataError: /home/someone/set: the split was changed\n")
    heard: list = []
    sweep._watch = lambda event, state: heard.append(event)
    sweep.append(suggested(3))
    assert Recorded(sweep).error(3, tmp_path / "error.txt") == ("failed", "DataError: set: the split was changed")
    assert [type(event) for event in heard[1:]] == [TrialStarted, TrialEnded]


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("cannot read '/home/Jane Doe/trial data/secret/x.png'", "cannot read 'x.png'"),
        ("/home/Jane Doe/trial data/secret/x.png: is gone", "x.png: is gone"),
        ("""no file "/home/o'neil (a), b: c/x y.png" here""", 'no file "x y.png" here'),
        ("/secret.png and '/other.png' are gone", "secret.png and 'other.png' are gone"),
        ("copy /a/b.png to /c/d.png: PosixPath('/e/f.png')", "copy b.png to d.png: PosixPath('f.png')"),
        ("file:///home/jane/x.csv, ~/jane/y.csv, path=/home/jane/z.csv", "x.csv, y.csv, path=z.csv"),
        ("'/home/Jane Doe/secr", "'secr"),  # cut off
        ("no better val/auroc, see https://pytorch.org/docs/x, 3 / 4", None),
    ],
)
def test_no_reason_tells_a_folder_of_the_user(sweep: OpenSweep, tmp_path: Path, told: str, kept: str | None) -> None:
    recorded = Recorded(sweep)
    for number in range(3):
        begin(sweep, number)
    (tmp_path / "error.txt").write_text(f"Traceback\n{told}\n")
    reasons = [recorded.complete(0, failed=told)[1], recorded.complete(1, stopped=told)[1]]
    reasons.append(recorded.error(2, tmp_path / "error.txt")[1])
    assert reasons == [kept or told] * 3


def test_what_its_log_tells_is_the_reason(sweep: OpenSweep, tmp_path: Path) -> None:
    recorded = Recorded(sweep)
    logs = {
        1: "epoch 1\nTimeout (0:01:05)!\nThread 0x7f (most recent call first):\n",
        2: "Fatal Python error: Segmentation fault\n\nCurrent thread 0x7f:\n",
    }
    for number, text in logs.items():
        begin(sweep, number)
        recorded.files.folder(number).mkdir(parents=True)
        (recorded.files.folder(number) / "log.txt").write_text(text)
    reasons = [recorded.error(number, tmp_path / "none")[1] for number in logs]
    assert reasons == [
        "hanging: no epoch ended within 65 s, so its process was ended",
        "its process crashed: Segmentation fault",
    ]


def test_a_trial_that_is_killed_from_outside_goes_on_twice_at_most(sweep: OpenSweep, tmp_path: Path) -> None:
    (tmp_path / "error.txt").write_text("ActorDiedError: ...\nWorker exit type: SYSTEM_ERROR Worker exit detail: ...\n")
    recorded = Recorded(sweep)
    begin(sweep, 1)
    states = [recorded.error(1, tmp_path / "error.txt")[0] for _ in range(3)]
    assert states == ["running", "running", "failed"]
    assert recorded.decided == [("goes on", 1), ("goes on", 1), ("failed", 1)]


@pytest.mark.parametrize(
    "words",
    [
        "The actor died because its node has died. Node Id: 5f\n",
        "The actor c7 is unavailable: The actor is temporarily unavailable: RpcError: Socket closed rpc_code: 14.\n",
    ],
)
def test_a_trial_whose_node_is_lost_goes_on_unless_it_is_what_costs_them(
    sweep: OpenSweep, tmp_path: Path, words: str
) -> None:
    (tmp_path / "error.txt").write_text(words)
    recorded = Recorded(sweep)
    begin(sweep, 0)
    for at in (1, 2):
        for _ in range(5):
            recorded.error(0, tmp_path / "error.txt")
        assert recorded.decided == [("goes on", 0)] * 5 * at
        recorded.result(0, at)
    for _ in range(6):
        recorded.error(0, tmp_path / "error.txt")
    assert recorded.decided[-1] == ("failed", 0)
    assert sweep.state.trials[0].state == "failed"


def test_a_node_that_is_not_fit_ends_the_sweep_and_no_trial(sweep: OpenSweep, tmp_path: Path) -> None:
    said = "orchestrator.tuning.trainable.UnfitNodeError: worker-9: runs another version of this project"
    (tmp_path / "error.txt").write_text(f"Traceback ...\n{said}\n")
    recorded = Recorded(sweep)
    begin(sweep, 0)
    recorded.error(0, tmp_path / "error.txt")
    assert recorded.decided == []
    assert not sweep.state.trials[0].has_ended
    assert "a node that joined is not fit for the sweep" in recorded.stopping.reason
    assert "worker-9: runs another version" in recorded.stopping.reason


def test_a_crash_of_before_this_driver_is_no_fault_of_a_trial_that_is_killed_now(
    sweep: OpenSweep, tmp_path: Path
) -> None:
    (tmp_path / "error.txt").write_text("ActorDiedError: ...\nWorker exit type: SYSTEM_ERROR Worker exit detail: ...\n")
    begin(sweep, 1)
    log = sweep.folder / "trials" / "0001" / "log.txt"
    log.parent.mkdir(parents=True)
    log.write_text("Fatal Python error: Segmentation fault\n")
    recorded = Recorded(sweep)
    assert recorded.error(1, tmp_path / "error.txt") == ("running", "")
    assert recorded.decided == [("goes on", 1)]
    with log.open("a") as file:
        file.write("Fatal Python error: Bus error\n")
    assert recorded.error(1, tmp_path / "error.txt") == ("failed", "its process crashed: Bus error")


def test_a_disk_that_is_full_before_a_trial_begins_ends_the_sweep(sweep: OpenSweep, tmp_path: Path) -> None:
    (tmp_path / "error.txt").write_text("OSError: [Errno 28] No space left on device: 'x'\n")
    recorded = Recorded(sweep)
    begin(sweep, 1)
    assert recorded.error(1, tmp_path / "error.txt")[0] == "running"
    assert recorded.stopping.cause == "disk"


@pytest.mark.parametrize(
    ("text", "decided"),
    [
        ("The actor died because its node has died. Node Id: 5f\n", [("goes on", 0)]),
        ("OSError: [Errno 122] Disk quota exceeded: '/x'\n", []),
    ],
)
def test_what_befell_the_machine_is_no_fault_of_the_trial(sweep: OpenSweep, tmp_path: Path, text: str, decided) -> None:
    begin(sweep, 0)
    (tmp_path / "error.txt").write_text(text)
    recorded = Recorded(sweep)
    assert recorded.error(0, tmp_path / "error.txt")[0] == "running"
    assert recorded.decided == decided
    assert recorded.stopping.cause == (None if decided else "disk")


def test_an_architecture_is_given_up_for_a_reason_without_folders(sweep: OpenSweep) -> None:
    recorded = Recorded(sweep)
    for number in range(ALIKE):
        begin(sweep, number)
        recorded.complete(number, failed="cannot read '/home/Jane Doe/x.png'")
    assert failed_alike(sweep.state, "resnet_vit") == "its first 3 trials failed alike: cannot read 'x.png'"


def test_one_that_breaks_down_while_it_trains_further_stays_what_it_was(sweep: OpenSweep) -> None:
    recorded = Recorded(sweep)
    begin(sweep, 1)
    recorded.result(1, 1)
    sweep.state.trials[1].is_extended = True
    state, reason = recorded.complete(1, failed="epoch 9: loss is nan", done=True)
    assert (state, "epoch 9: loss is nan" in reason) == ("completed", True)
    assert not sweep.state.trials[1].is_extended


def test_an_epoch_after_one_that_found_no_room_is_not_told(sweep: OpenSweep) -> None:
    recorded = Recorded(sweep)
    begin(sweep, 1)
    for at in (1, 3, 4):
        recorded.result(1, at)
    assert sweep.state.trials[1].last_epoch == 1, "or the second could not be told when the sweep goes on"


@pytest.mark.parametrize("last", [{"stopped": "no better"}, {"epoch": EPOCHS}, {}])
def test_a_trial_whose_last_epoch_found_no_room_goes_on_when_the_sweep_does(
    sweep: OpenSweep, monkeypatch: pytest.MonkeyPatch, last: dict[str, Any]
) -> None:
    write = JournalWriter._write

    def refuse_epochs(journal: JournalWriter, line: bytes) -> None:
        if b'"epoch_ended"' in line:
            raise OSError(28, "No space left on device")
        write(journal, line)

    begin(sweep, 1)
    recorded = Recorded(sweep, stop_reasons={} if last else {1: "ASHA at epoch 1: ..."})
    monkeypatch.setattr(JournalWriter, "_write", refuse_epochs)
    assert recorded.complete(1, **{"epoch": 1, "stopped": "", "done": True, **last}) == ("running", "")
    assert recorded.stopping.cause == "disk"
    assert [event.kind for event in read_events(sweep.folder / "journal.jsonl")[0]][-1] == "trial_started"


def test_how_trials_end(sweep: OpenSweep) -> None:
    recorded = Recorded(sweep, stop_reasons={3: "ASHA at epoch 2: ..."})
    for number in range(1, 5):
        begin(sweep, number)
    patience = "no better val/auroc for 3 epochs after epoch 1"
    assert recorded.complete(1, epoch=4, stopped=patience, done=True) == ("completed", patience)
    assert recorded.complete(2, epoch=EPOCHS, stopped="", done=True) == ("completed", f"all {EPOCHS} epochs trained")
    assert recorded.complete(3, epoch=2, stopped="", done=True) == ("pruned", "ASHA at epoch 2: ...")
    assert recorded.complete(4, failed="epoch 1: loss is nan", done=True) == ("failed", "epoch 1: loss is nan")


def test_an_epoch_that_the_journal_holds_is_not_told_again(sweep: OpenSweep) -> None:
    recorded = Recorded(sweep)
    begin(sweep, 1)
    for at in (1, 2, 1, 2, 3):
        recorded.result(1, at)
    assert [known.epoch for known in sweep.state.trials[1].epochs] == [1, 2, 3]


def test_an_interrupted_trial_gets_no_last_line_and_a_lost_ray_fails_none(sweep: OpenSweep, tmp_path: Path) -> None:
    recorded = Recorded(sweep)
    for number in (1, 2):
        begin(sweep, number)
    recorded.stopping.request("ray", "its raylet ended")
    assert recorded.complete(1, epoch=2, stopped="", done=True) == ("running", "")
    assert recorded.error(2, tmp_path / "none") == ("running", "")


def test_a_spent_time_budget_is_the_reason(sweep: OpenSweep) -> None:
    recorded = Recorded(sweep, Stopping(time_budget_s=0.0))
    begin(sweep, 1)
    assert recorded.stopping("t", {}), "the trial is to end with this epoch"
    assert not recorded.stopping.stop_all(), "others end with theirs"
    assert recorded.complete(1, epoch=2, stopped="") == ("pruned", "epoch 2: the time budget of 0 s is spent")


def test_a_full_disk_ends_the_sweep_and_no_trial(sweep: OpenSweep, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = Recorded(sweep)
    for number in (1, 2):
        begin(sweep, number)
    assert recorded.complete(1, disk_full="a trial found no room for its weights")[0] == "running"
    assert (recorded.stopping.cause, recorded.stopping.requested) == ("disk", True)
    assert recorded.stopping.reason == "the disk is full: a trial found no room for its weights"
    elsewhere = Recorded(sweep)
    elsewhere.complete(1, disk_full="a trial found no room for its weights", hostname="node-7")
    assert elsewhere.stopping.reason.endswith("no room for its weights on node node-7")
    again = Recorded(sweep)

    def full(event: object) -> None:
        raise DiskFull("no room for another line of the journal")

    monkeypatch.setattr(sweep, "append", full)
    again.result(2, 1)
    assert again.stopping.cause == "disk"


def test_a_limit_of_memory_is_remembered_once(sweep: OpenSweep) -> None:
    recorded = Recorded(sweep)
    begin(sweep, 1)
    heard: list = []
    sweep._watch = lambda event, state: heard.append(event)
    for at in (1, 2):
        recorded.result(1, at, **{"perf/micro_batch_size": 8.0})
    assert [type(event) for event in heard] == [EpochEnded, MicroBatchLimited, EpochEnded]
    assert sweep.state.micro_batch_limits == {"resnet_vit": 8}


def held(files: TrialFiles, number: int) -> set[str]:
    return {path.name for path in files.folder(number).iterdir()}


def test_files_of_losers_go_as_soon_as_they_cannot_matter(tmp_path: Path) -> None:
    everything = {"best.safetensors", "state_epoch_0002.pt", "best_validation.npz", "model_epoch_002.safetensors"}
    with open_sweep(tmp_path / "s", make_plan(budget__finalists=2)) as sweep:
        recorded = Recorded(sweep)

        def end(number: int, auroc: float, state: str) -> None:
            begin(sweep, number)
            folder = recorded.files.folder(number)
            folder.mkdir(parents=True)
            for name in everything:
                (folder / name).write_bytes(b"x" * 100)
            sweep.append(epoch(number, 2, auroc))
            sweep.append(TrialEnded(trial=number, state=state, reason=""))
            recorded.files.trial_ended(number)

        end(1, 0.6, "pruned")
        assert held(recorded.files, 1) == everything - {"state_epoch_0002.pt"}, "until one trains to its end"
        end(2, 0.7, "failed")
        assert held(recorded.files, 2) == {"best_validation.npz"}
        end(3, 0.5, "completed")
        assert held(recorded.files, 1) == {"best_validation.npz"}, "one that was stopped early is no finalist now"
        end(4, 0.8, "completed")
        end(5, 0.7, "completed")
        assert held(recorded.files, 3) == {"best_validation.npz"}
        assert held(recorded.files, 4) == held(recorded.files, 5) == everything
        limited = TrialFiles(sweep.folder / "trials", sweep.state, max_bytes=1050)
        assert held(limited, 5) == everything - {"state_epoch_0002.pt"}, "the worst finalist's state goes first"
        assert held(limited, 4) == everything
        assert not limited.over_limit()
        assert TrialFiles(sweep.folder / "trials", sweep.state, max_bytes=300).over_limit()


def test_what_a_limit_costs_does_not_grow_with_the_trials_that_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walked: list[str] = []
    walk = Path.rglob

    def count(folder: Path, pattern: str) -> Iterator[Path]:
        walked.append(folder.name)
        return walk(folder, pattern)

    with open_sweep(tmp_path / "s", make_plan(budget__finalists=1)) as sweep:
        files = TrialFiles(sweep.folder / "trials", sweep.state, max_bytes=1100)

        def grow(number: int, size_bytes: int) -> None:
            files.folder(number).mkdir(parents=True, exist_ok=True)
            for name in ("log.txt", "state_epoch_0001.pt", "best.safetensors"):
                (files.folder(number) / name).write_bytes(b"x" * size_bytes)

        for number in range(8):
            begin(sweep, number)
            grow(number, 100)
            sweep.append(epoch(number, 1, 0.5 + number / 100))
            sweep.append(TrialEnded(trial=number, state="pruned", reason=""))
            files.trial_ended(number)
        begin(sweep, 8)
        assert not files.over_limit(), "eight logs, one file of weights"
        monkeypatch.setattr(Path, "rglob", count)
        grow(8, 60)
        assert not files.over_limit()
        grow(8, 70)
        assert files.over_limit(), "900 of those that ended, 210 of the one that runs"
        assert walked == ["0008"] * 2
        sweep.append(epoch(8, 1, 0.9))
        sweep.append(TrialEnded(trial=8, state="pruned", reason=""))
        files.trial_ended(8)
        assert not files.over_limit(), "the loser's weights and its own state went"
        assert set(walked[2:]) == {"0007", "0008"}
