"""The live view, drawn as a terminal of 80 or 160 columns would show it; and what stands in a pipe instead."""

import io
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console
from sweep_support import begin, epoch, make_plan, open_sweep, started, suggested
from terminal_support import terminal_as_stderr

from orchestrator.cli import live_view, sweep_progress
from orchestrator.cli.console import messages
from orchestrator.cli.live_view import LiveView
from orchestrator.cli.sweep_progress import SweepProgress
from orchestrator.journal import Event, SeedEvaluated, SweepEnded, SweepResumed, TrialEnded, TrialStarted, WinnerChosen
from orchestrator.open_sweep import opened
from orchestrator.sweep_state import replay


def lines_of(events: list[Event], width: int, height: int = 40) -> list[str]:
    """Let a view hear some events and return what it draws."""
    view, state = LiveView("scans"), replay(events[:1])
    view.hear(events[0], state)
    for event in events[1:]:
        state.apply(event)
        view.hear(event, state)
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    console.print(view, crop=False)  # what is too wide is seen to be
    return console.file.getvalue().splitlines()


def running(trials: int, slots: int = 2) -> list[Event]:
    """Return the events of a sweep with some trials in their second epoch."""
    plan = make_plan(budget__trials=40, budget__epochs=35, budget__time_s=7200)
    events: list[Event] = [started(plan, "stroke_hybrid-20260101-1200").model_copy(update={"slots": slots})]
    for number in range(trials):
        events += [suggested(number), TrialStarted(trial=number), epoch(number, 1, 0.5), epoch(number, 2, 0.6)]
    return events


@pytest.mark.parametrize("width", [60, 80, 160])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    events = [*running(3), TrialEnded(trial=1, state="pruned", reason="ASHA at epoch 3: " + "below the cut " * 20)]
    events[1] = suggested(0, "timm/convnext_base.fb_in22k_ft_in1k_384")
    lines = lines_of(events, width)
    assert max(map(cell_len, lines)) <= width
    assert len(lines) == len(lines_of(events, 300)), "nothing wrapped"
    assert sum("0.6000" in line for line in lines) == 5, "no score is cut, only names and reasons are"
    assert any("ASHA at epoch 3" in line for line in lines) == (width == 160)


@pytest.mark.parametrize("width", [80, 160])
def test_on_a_terminal_nothing_runs_over_its_edge_and_the_cursor_comes_back(
    width: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reason = "ASHA at epoch 3: " + "below the cut " * 20
    with (
        terminal_as_stderr(width, 40, monkeypatch) as terminal,
        SweepProgress("stroke_multimodal") as progress,
        opened(tmp_path, progress) as sweep,
    ):
        for event in [*running(3), TrialEnded(trial=1, state="pruned", reason=reason), epoch(0, 3, 0.7)]:
            sweep.append(event)
            progress._live.refresh()
    assert terminal.wraps == 0 and terminal.shows_cursor
    assert "\x1b[?25l" in terminal.written, "it was a live view"
    for words in ("3/35", "best so far", "within 2.0 h", "real data stroke_multimodal"):
        assert words in terminal.written
    left = "\n".join(terminal.lines)
    assert "trial   1 resnet_vit: pruned" in left and "best so far" not in left


def test_no_line_is_lost_while_the_view_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_progress, "REDRAWN_PER_S", 100)
    ends = [TrialEnded(trial=number, state="pruned", reason="below") for number in range(12)]
    with (
        terminal_as_stderr(80, 60, monkeypatch) as terminal,
        SweepProgress() as progress,
        opened(tmp_path, progress) as sweep,
    ):
        for event in [*running(12), *ends]:
            sweep.append(event)
    said = [line for line in terminal.lines if line.startswith("trial ") and "pruned" in line]
    assert [int(line.split()[1]) for line in said] == list(range(12))


def test_it_says_what_was_asked_what_trains_what_is_best_and_what_is_left() -> None:
    lines = lines_of([*running(2), TrialEnded(trial=0, state="pruned", reason="ASHA at epoch 2")], 80)
    assert "stroke_hybrid-20260101-1200" in lines[0] and "2 slots on cpu" in lines[0]
    assert lines[1].strip() == "40 trials of at most 35 epochs within 2.0 h · real data scans"
    assert "1 of 40 trials" in lines[2] and "1 of 2 slots busy" in lines[2] and "left" in lines[2]
    (row,) = [line for line in lines if "2/35" in line]
    assert row.split()[0] == "1" and row.split()[-2:] == ["0.6000", "0.6000"]
    assert any("pruned" in line and "0.6000" in line for line in lines)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self, now_s: float) -> None:
        self.now_s = now_s

    def time(self) -> float:
        return self.now_s

    monotonic = time


def resumed(budget_s: float | None, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return what is left, in words: 3,000 s spent before a day's pause, then one of 10 missing epochs in 100 s."""
    clock = Clock(1e9)
    monkeypatch.setattr(live_view, "time", clock)
    changes = {} if budget_s is None else {"budget__time_s": budget_s}
    plan = make_plan(budget__trials=2, budget__epochs=20, budget__finalists=1, **changes)
    events: list[Event] = [started(plan)]
    for number in (0, 1):
        events += [suggested(number), TrialStarted(trial=number), *(epoch(number, at, 0.6) for at in range(1, 11))]
    events = [event.model_copy(update={"time": 1e9 - 90_000}) for event in events]
    events.append(SweepEnded(state="interrupted", reason="", time=1e9 - 87_000))
    again = SweepResumed(plan=plan, plan_digest="", slots=2, device="cpu", versions={}, git={}, time=1e9)
    view, state = LiveView(), replay([*events, again])
    view.hear(again, state)
    later = [TrialStarted(trial=0), TrialStarted(trial=1), epoch(0, 11, 0.6), epoch(1, 11, 0.6)]
    for event, passed_s in zip(later, (0, 0, 100, 100), strict=True):
        clock.now_s = 1e9 + passed_s
        state.apply(event.model_copy(update={"time": clock.now_s}))
        view.hear(event, state)
    clock.now_s += 60  # nothing is heard for a minute
    assert view._now is not None
    return live_view._doing(view._now)[-1]


def test_what_was_trained_before_an_interruption_does_not_quicken_the_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resumed(None, monkeypatch) == "about 24 min left"  # 9 epochs of each trial, 160 s for the one so far


def test_a_time_budget_counts_what_was_spent_before_an_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resumed(3600, monkeypatch) == "about 7 min left"  # 3,600 s less 3,000 s and 160 s
    assert resumed(1e6, monkeypatch) == "about 24 min left"


def test_more_running_trials_than_the_terminal_has_lines_are_counted() -> None:
    lines = lines_of(running(64, slots=64), 80, height=30)
    assert len(lines) < 30
    assert any("and 53 more" in line for line in lines)


def test_names_that_look_like_markup_are_shown_as_they_are() -> None:
    events = running(1)
    events[1] = suggested(0, "timm/[bold]x[/bold]")
    assert any("timm/[bold]x[/bold]" in line for line in lines_of(events, 80))


def test_without_a_terminal_lines_are_plain_and_nothing_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=False)
    monkeypatch.setattr(sweep_progress, "messages", lambda: console)
    with open_sweep(tmp_path / "s", make_plan(budget__trials=2)) as sweep, SweepProgress() as progress:
        progress(sweep.past[0], sweep.state)
        begin(sweep, 0)
        progress(sweep.past[-1], sweep.state)
        sweep.append(epoch(0, 1, 0.75))
        sweep.append(TrialEnded(trial=0, state="pruned", reason="ASHA at epoch 1: auroc 0.7500 below the cut 0.8"))
        progress(sweep.past[-1], sweep.state)
        sweep.append(SweepEnded(state="interrupted", reason="interrupted by the user"))
        progress(sweep.past[-1], sweep.state)
    text = console.file.getvalue()
    assert "\x1b" not in text and "━" not in text
    assert "trial   0 resnet_vit: pruned, best auroc 0.7500; ASHA at epoch 1: auroc 0.7500 below the cut 0.8" in text
    assert "orchestrate resume s" in text


def test_between_two_trials_of_one_slot_it_is_not_over(tmp_path: Path) -> None:
    lines = lines_of([*running(1, slots=1), TrialEnded(trial=0, state="completed", reason="all trained")], 80)
    assert "0 of 1 slots busy" in lines[2] and "finalists" not in lines[2]


def test_after_the_last_trial_finalists_are_evaluated_then_registered() -> None:
    plan = make_plan(budget__trials=1, budget__finalists=1).model_copy(update={"seeds": 3})
    events = [started(plan), suggested(0), TrialStarted(trial=0)]
    events += [epoch(0, 1, 0.6), TrialEnded(trial=0, state="completed", reason="all trained")]
    assert "finalists: 0 of 1 evaluated" in lines_of(events, 80)[2]
    seed = SeedEvaluated(trial=0, seed_index=0, seed=1, epoch=1, validation={"auroc": 0.6})
    assert "finalists: 3 seeds are trained" in lines_of([*events, seed], 80)[2]
    assert "registering the winner" in lines_of([*events, seed, WinnerChosen(trial=0)], 80)[2]
    assert "registering the winner" in lines_of([*events, WinnerChosen(trial=0)], 80)[2]


def test_a_log_holds_no_escape_sequences_whatever_is_forced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.setenv(name, "1")
    with (tmp_path / "log").open("w") as log:
        monkeypatch.setattr("sys.stderr", log)
        assert not messages().is_terminal


def test_a_terminal_that_has_gone_away_costs_the_sweep_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sweep_progress, "messages", lambda: Console(file=Gone(), force_terminal=False))
    with open_sweep(tmp_path / "s") as sweep, SweepProgress() as progress:
        progress(sweep.past[0], sweep.state)
        begin(sweep, 0)
        progress(sweep.past[-1], sweep.state)
