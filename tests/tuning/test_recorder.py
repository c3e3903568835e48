from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.journal import JournalWriter, TrialEnded, TrialStarted, read_events
from orchestrator.tuning.recorder import JournalRecorder


@dataclass
class Tried:
    """What the recorder looks at of a Ray trial."""

    config: dict[str, Any]
    error_file: str
    last_result: dict[str, Any] = field(default_factory=dict)
    trial_id: str = "t"


def test_a_trial_whose_actor_never_began_is_started_and_failed_in_the_journal(tmp_path: Path) -> None:
    (tmp_path / "error.txt").write_text("Traceback\n\nDataError: /home/someone/set: the split was changed\n")
    config = {"trial": 3, "architecture": "a", "hyperparameters": {}, "seed": 1, "published": False, "setup": "s.json"}
    tried: Any = Tried(config, str(tmp_path / "error.txt"))
    with JournalWriter(tmp_path / "journal.jsonl", lambda event: None) as journal:
        recorder = JournalRecorder(journal, 2, {})
        recorder.on_trial_error(0, [], tried)
        recorder.on_trial_error(0, [], tried)
    events, _ = read_events(tmp_path / "journal.jsonl")
    assert [type(event) for event in events] == [TrialStarted, TrialEnded, TrialEnded]
    assert (events[1].trial, events[1].state) == (3, "failed")
    assert "the split was changed" in events[1].reason
    assert "someone" not in events[1].reason


def test_a_trial_that_stopped_by_patience_is_completed_with_its_reason(tmp_path: Path) -> None:
    patience = "no better val/auroc for 3 epochs after epoch 4"
    tried: Any = Tried({"trial": 5}, "", {"epoch": 7, "stopped": patience, "done": True})
    finished: Any = Tried({"trial": 6}, "", {"epoch": 9, "stopped": "", "done": True}, "u")
    with JournalWriter(tmp_path / "journal.jsonl", lambda event: None) as journal:
        recorder = JournalRecorder(journal, 9, {})
        recorder.on_trial_complete(0, [], tried)
        recorder.on_trial_complete(0, [], finished)
    events, _ = read_events(tmp_path / "journal.jsonl")
    assert [(event.state, event.reason) for event in events] == [
        ("completed", patience),
        ("completed", "all 9 epochs trained"),
    ]
