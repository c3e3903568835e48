import os
import time
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from sweep_support import suggested

from orchestrator.errors import BadInput, DiskFull
from orchestrator.journal import (
    ArchitectureChecked,
    EpochEnded,
    FinalistEvaluated,
    FoldEvaluated,
    JournalWriter,
    SweepEnded,
    SweepResumed,
    SweepStarted,
    TrialEnded,
    TrialStarted,
    WinnerChosen,
    read_events,
)
from orchestrator.plan import SweepPlan
from orchestrator.ranking import (
    changes_text,
    choose_finalists,
    few_groups_note,
    leaderboard,
    rank_text,
    to_markdown,
)
from orchestrator.sweep_state import replay
from trainables.catalog import default_hyperparameters

trial = suggested


def epoch(number: int, at: int, auroc: float | None, log_loss: float = 0.5, **further: float) -> EpochEnded:
    metrics = {"val/auroc": auroc, "val/log_loss": log_loss, "perf/epoch_s": 2.0, **further}
    return EpochEnded(trial=number, epoch=at, metrics=metrics)


def history(started: SweepStarted) -> list:
    return [
        started,
        trial(0),
        trial(1),
        epoch(0, 1, 0.7),
        epoch(1, 1, 0.9),
        epoch(0, 2, 0.8),
        epoch(1, 2, 0.6),
        TrialEnded(trial=0, state="completed", reason="all epochs"),
        trial(2),
        epoch(2, 1, 0.8, log_loss=0.4),
        TrialEnded(trial=1, state="pruned", reason="ASHA"),
        TrialEnded(trial=2, state="completed", reason="all epochs"),
        FinalistEvaluated(trial=2, validation={"auroc": 0.8}, test={"auroc": 0.75}),
        WinnerChosen(trial=2),
        SweepEnded(state="completed"),
    ]


def test_what_is_written_is_read_back(tmp_path: Path, started: SweepStarted) -> None:
    seen: list = []
    path = tmp_path / "journal.jsonl"
    events = [*history(started), epoch(0, 3, None), epoch(0, 4, float("nan"))]
    with JournalWriter(path, seen.append) as journal:
        for event in events:
            journal.append(event)
    read, offset = read_events(path)
    assert read[:-1] == events[:-1] == seen[:-1]
    assert read[-1].metrics["val/auroc"] is None, "NaN is no JSON number"
    assert offset == path.stat().st_size


def test_a_torn_last_line_waits(tmp_path: Path, started: SweepStarted) -> None:
    path = tmp_path / "journal.jsonl"
    with JournalWriter(path, lambda event: None) as journal:
        journal.append(started)
        journal.append(trial(0))
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    events, offset = read_events(path)
    assert events == [started]
    path.write_bytes(whole)
    assert read_events(path, offset)[0] == [trial(0).model_copy(update={"time": read_events(path, offset)[0][0].time})]


def test_damage_names_its_line(tmp_path: Path, started: SweepStarted) -> None:
    path = tmp_path / "journal.jsonl"
    with JournalWriter(path, lambda event: None) as journal:
        journal.append(started)
        journal.append(trial(0))
        journal.append(trial(1))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b'{"kind": "trial_started", "trial": "x"}\n' + lines[2])
    with pytest.raises(BadInput, match=r"line 2 .*damaged"):
        read_events(path)


def test_replay_gives_states_best_epochs_and_ends(started: SweepStarted) -> None:
    state = replay(history(started))
    assert [state.trials[number].state for number in range(3)] == ["completed", "pruned", "completed"]
    assert state.trials[0].best.epoch == 2
    assert state.trials[1].best.epoch == 1, "the best epoch counts, not the last"
    assert state.trials[0].compute_s == 4.0
    assert state.winner == 2


def test_trials_that_ran_when_a_sweep_ended_are_interrupted(started: SweepStarted) -> None:
    state = replay([started, trial(0), TrialStarted(trial=0), epoch(0, 1, 0.5), SweepEnded(state="interrupted")])
    assert state.trials[0].state == "interrupted"


def test_what_is_no_number_leaves_every_line_readable(tmp_path: Path) -> None:
    nan, endless = float("nan"), float("inf")
    known = {"b": 1.0}
    event = FinalistEvaluated(
        trial=0, validation={"auroc": nan}, test={"auroc": -endless}, further={"a": nan, **known},
        test_intervals={"auroc": (0.6, endless), "f1": (0.1, 0.2)}, leak_free_intervals={"auroc": (nan, nan)},
    )  # fmt: skip
    assert (event.test_intervals, event.leak_free_intervals, event.further) == ({"f1": (0.1, 0.2)}, {}, known)
    assert EpochEnded(trial=0, epoch=1, metrics={"a": np.float32(nan), **known}).metrics == {"a": None, **known}
    path = tmp_path / "journal.jsonl"
    with JournalWriter(path, lambda event: None) as journal:
        journal.append(event)
    assert read_events(path)[0] == [event]
    path.write_text(path.read_text().replace('{"b":1.0}', '{"a":null,"b":1.0}').replace("[0.1,0.2]", "[null,0.2]"))
    (of_before,) = read_events(path)[0]
    assert (of_before.test_intervals, of_before.further) == ({}, known)
    with pytest.raises(ValidationError, match="step_s"):
        ArchitectureChecked(architecture="a", trainable_parameters=1, total_parameters=1, step_s=nan)


def resumed(plan: SweepPlan) -> SweepResumed:
    return SweepResumed(plan=plan, plan_digest=plan.digest, slots=1, device="cpu", versions={}, git={})


def test_a_torn_last_line_is_cut_off_before_more_is_written(tmp_path: Path, started: SweepStarted) -> None:
    path = tmp_path / "journal.jsonl"
    with JournalWriter(path, lambda event: None) as journal:
        journal.append(started)
    path.write_bytes(path.read_bytes() + b'{"kind": "trial_sugg')
    with JournalWriter(path, lambda event: None) as journal:
        journal.append(trial(0))
    assert [event.kind for event in read_events(path)[0]] == ["sweep_started", "trial_suggested"]


def test_lines_reach_the_disk_within_a_second_and_before_the_end(
    tmp_path: Path, started: SweepStarted, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    whole = os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: (synced.append(os.fstat(number).st_size), whole(number)))
    path = tmp_path / "journal.jsonl"
    with JournalWriter(path, lambda event: None) as journal:
        journal.append(started)
        deadline = time.monotonic() + 20
        while path.stat().st_size not in synced:
            assert time.monotonic() < deadline, "no line reached the disk"
            time.sleep(0.02)
        for number in range(200):
            journal.append(trial(number))
        in_between = len(synced)
    assert synced[-1] == path.stat().st_size
    assert in_between < 50, "not one by one"


class FullDisk:
    """A journal's file that takes so many bytes more."""

    def __init__(self, file, left: int) -> None:
        self.file, self.left, self.name = file, left, file.name

    def write(self, line: bytes) -> int:
        taken = min(len(line), self.left)
        self.left -= taken
        return self.file.write(line[:taken]) if taken else 0

    def __getattr__(self, name: str):
        return getattr(self.file, name)


def test_on_a_full_disk_the_reserve_holds_the_last_lines(tmp_path: Path, started: SweepStarted) -> None:
    path = tmp_path / "journal.jsonl"
    heard: list = []
    journal = JournalWriter(path, heard.append)
    journal.append(started)
    reserve = tmp_path / "journal.reserve"
    assert reserve.stat().st_blocks * 512 >= 2**20, "the room is really taken"
    journal._file = FullDisk(journal._file, left=30)
    unlink = Path.unlink
    with pytest.MonkeyPatch.context() as patch:

        def gives_room(path: Path, **options: bool) -> None:
            journal._file.left = 300
            unlink(path, **options)

        patch.setattr(Path, "unlink", gives_room)
        with pytest.raises(DiskFull):
            journal.append(trial(0))
    assert [event.kind for event in heard] == ["sweep_started", "trial_suggested"]
    with pytest.raises(DiskFull):
        for number in range(1, 9):
            journal.append(trial(number))
    journal.close()
    events, offset = read_events(path)
    assert events == heard, "what was not written was not heard of"
    assert offset == path.stat().st_size, "no half line"


def test_a_resumed_sweep_goes_on_where_it_was(started: SweepStarted) -> None:
    plan = started.plan.model_copy(update={"budget": started.plan.budget.model_copy(update={"trials": 99})})
    before = [
        started, trial(0), TrialStarted(trial=0), epoch(0, 1, 0.7), epoch(0, 2, 0.6), trial(1), trial(2),
        TrialStarted(trial=2), TrialEnded(trial=2, state="failed", reason="NaN"),
        SweepEnded(state="interrupted", reason="interrupted by the user"),
    ]  # fmt: skip
    state = replay(before)
    assert [state.trials[number].state for number in range(3)] == ["interrupted", "waiting", "failed"]
    state.apply(resumed(plan))
    assert [state.trials[number].state for number in range(3)] == ["waiting", "waiting", "failed"]
    assert (state.ended, state.plan.budget.trials) == (None, 99)
    began = state.trials[0].started_at
    for event in (TrialStarted(trial=0, after_epoch=2), epoch(0, 2, 0.1), epoch(0, 3, 0.9)):
        state.apply(event)
    one = state.trials[0]
    assert [(ended.epoch, ended.metrics["val/auroc"]) for ended in one.epochs] == [(1, 0.7), (2, 0.6), (3, 0.9)]
    assert (one.state, one.best.epoch, one.started_at) == ("running", 3, began)


def test_a_better_epoch_makes_an_earlier_evaluation_void(started: SweepStarted) -> None:
    events = history(started)
    state = replay(events)
    assert 2 in state.finalists
    state.apply(epoch(2, 2, 0.7))
    assert 2 in state.finalists, "the best epoch is still the one that was evaluated"
    state.apply(epoch(2, 3, 0.95))
    assert 2 not in state.finalists


def test_a_journal_must_begin_with_its_sweep() -> None:
    with pytest.raises(ValueError, match="begins with"):
        replay([trial(0)])
    with pytest.raises(ValueError, match="empty"):
        replay([])


def test_a_line_that_no_other_leads_to_is_named(started: SweepStarted) -> None:
    with pytest.raises(ValueError, match="line 3: epoch_ended of trial 7, which was not suggested"):
        replay([started, trial(0), epoch(7, 1, 0.5)])


def test_ties_go_to_the_lower_log_loss(started: SweepStarted) -> None:
    rows = leaderboard([replay(history(started))])
    assert [(row.rank, row.is_tied, row.trial_id) for row in rows] == [(1, False, 1), (2, True, 2), (2, True, 0)]
    assert [rank_text(row) for row in rows] == ["1", "2=", "2="]
    assert rows[1].is_winner
    assert rows[1].test == {"auroc": (0.75, None, None)}
    assert rows[0].test is None


def test_finalists_are_the_best_that_trained_to_their_end(started: SweepStarted) -> None:
    state = replay(history(started))
    assert [trial.number for trial in choose_finalists(state)] == [2, 0]


def test_finalists_are_pruned_trials_only_where_none_finished(started: SweepStarted) -> None:
    events = [started, trial(0), epoch(0, 1, 0.6), TrialEnded(trial=0, state="pruned", reason="ASHA")]
    assert [trial.number for trial in choose_finalists(replay(events))] == [0]
    failed = [started, trial(0), TrialEnded(trial=0, state="failed", reason="NaN")]
    assert choose_finalists(replay(failed)) == []


def test_what_differs_from_the_published_defaults_is_computed(started: SweepStarted) -> None:
    published = default_hyperparameters("resnet_vit")
    events = [
        started,
        trial(0).model_copy(update={"hyperparameters": published}),
        epoch(0, 1, 0.7),
        trial(1).model_copy(update={"hyperparameters": {**published, "lr": 1.23456e-5, "hidden": 64}}),
        epoch(1, 1, 0.6, **{"perf/parameters": 1_200_000.0}),
    ]
    first, second = leaderboard([replay(events)])
    assert (first.changed, changes_text(first), first.parameters) == ({}, "published defaults", None)
    assert second.changed == {"lr": 1.23456e-5, "hidden": 64}
    assert sorted(changes_text(second).split()) == ["hidden=64", "lr=1.23e-05"]
    assert (second.parameters, second.seconds) == (1_200_000, 2.0)


def test_a_note_is_as_long_as_mlflow_takes(started: SweepStarted) -> None:
    events = [started]
    for number in range(400):
        events += [trial(number), epoch(number, 1, 0.5)]
    note = to_markdown(leaderboard([replay(events)]), "auroc")
    assert 7000 < len(note) < 8000
    shown = sum(line.startswith("| 1= ") for line in note.splitlines())
    assert note.splitlines()[-1] == f"... and {400 - shown} more"


def test_the_note_marks_the_winner(started: SweepStarted) -> None:
    note = to_markdown(leaderboard([replay(history(started))]), "auroc")
    assert "resnet_vit **winner**" in note
    assert len(note.splitlines()) == 5


def test_a_test_score_stands_with_its_interval_and_few_groups_are_said(started: SweepStarted) -> None:
    def rows(**known) -> list:
        finalist = FinalistEvaluated(trial=2, validation={"auroc": 0.8}, test={"auroc": 0.75, "ece": 0.1}, **known)
        kept = [event for event in history(started) if not isinstance(event, FinalistEvaluated)]
        return leaderboard([replay([*kept[:-2], finalist, *kept[-2:]])])

    few = rows(test_intervals={"auroc": (0.612, 0.858)}, test_groups=21)
    winner = next(row for row in few if row.is_winner)
    assert winner.test == {"auroc": (0.75, 0.612, 0.858), "ece": (0.1, None, None)}
    assert "| 0.7500 [0.61, 0.86] |" in to_markdown(few, "auroc")
    assert "21 groups, fewer than 30" in few_groups_note(few)
    assert few_groups_note(rows(test_intervals={"auroc": (0.7, 0.8)}, test_groups=90)) == ""
    assert few_groups_note(rows()) == "", "a journal of before there were intervals"


def test_a_journal_of_before_there_were_intervals_is_read(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text('{"time": 1, "kind": "finalist_evaluated", "trial": 2, "validation": {}, "test": {"auroc": 0.7}}\n')
    (event,), _ = read_events(path)
    assert (event.test_intervals, event.test_groups) == ({}, 0)


def test_folds_and_the_leak_free_part_of_the_test_stand_beside_the_scores(started: SweepStarted) -> None:
    def finalist(metrics: dict | None, images: int) -> FinalistEvaluated:
        return FinalistEvaluated(
            trial=2,
            validation={"auroc": 0.8},
            test={"auroc": 0.75},
            test_leak_free=metrics,
            leak_free_images=images,
        )

    folds = [FoldEvaluated(trial=2, fold=fold, epoch=1, validation={"auroc": 0.8 - fold / 10}) for fold in range(3)]
    events = [event for event in history(started) if not isinstance(event, FinalistEvaluated)]
    leaking = [*events[:-2], finalist({"auroc": 0.5}, 4), *folds, *events[-2:]]
    rows = leaderboard([replay(leaking)])
    row = next(row for row in rows if row.is_winner)
    assert row.folds is not None
    assert row.folds["auroc"] == (pytest.approx(0.7), pytest.approx(0.1), 3)
    table = to_markdown(rows, "auroc")
    assert "| val over folds | test auroc | leak-free test |" in table
    assert "| 0.8000 | 0.7000 ± 0.1000 (3) | 0.7500 | 0.5000 (4 of 10) |" in table
    nothing_left = [*events[:-2], finalist(None, 0), *events[-2:]]
    assert "| 0.8000 | 0.7500 | none of 10 |" in to_markdown(leaderboard([replay(nothing_left)]), "auroc")
    clean = [*events[:-2], finalist({"auroc": 0.75}, 10), *events[-2:]]
    assert "leak-free" not in to_markdown(leaderboard([replay(clean)]), "auroc")


def test_a_journal_of_another_version_is_called_so(tmp_path: Path, started: SweepStarted) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text(started.model_dump_json().replace('"schema_version":3', '"schema_version":99') + "\n")
    with pytest.raises(BadInput, match="a journal of version 99, this orchestrate reads version 3; use the one that"):
        read_events(path)
    path.write_text(started.model_dump_json() + "\nnothing\n")
    with pytest.raises(BadInput, match=r"line 2 is damaged \(it is no event: .*\); put back a whole copy"):
        read_events(path)


@pytest.mark.parametrize("reason", ["no text: \udcff", "zero: \0", "long: " + "x" * 100_000, "<b>|\n`é😀"])
def test_reasons_that_no_store_takes_are_written_as_far_as_they_go(tmp_path: Path, reason: str) -> None:
    with JournalWriter(tmp_path / "journal.jsonl", lambda event: None) as journal:
        journal.append(TrialEnded(trial=0, state="failed", reason=reason))
    ((told,), _) = read_events(tmp_path / "journal.jsonl")
    assert told.reason.startswith(reason[:5]) and len(told.reason) <= 4000
    assert "\0" not in told.reason and told.reason.isascii() == reason.replace("\udcff", "").isascii()
