"""What ends without Tune leaves no states behind either: time that is spent, ends that an interruption left untold."""

from pathlib import Path

from sweep_support import begin, epoch, make_plan, open_sweep

from orchestrator.tuning import runner
from orchestrator.tuning.stopping import Stopping
from orchestrator.tuning.trial_files import TrialFiles


def states(files: TrialFiles, number: int) -> list[str]:
    return sorted(path.name for path in files.folder(number).glob("state_*"))


def with_files(files: TrialFiles, *numbers: int) -> None:
    for number in numbers:
        files.folder(number).mkdir(parents=True)
        for name in ("state_epoch_0001.pt", "best.safetensors"):
            (files.folder(number) / name).touch()


def test_states_of_trials_that_ran_out_of_time_go(tmp_path: Path, monkeypatch) -> None:
    class Tuner:
        def __init__(self, *about: object, **further: object) -> None: ...

        def fit(self) -> None: ...

    with open_sweep(tmp_path / "s", make_plan(budget__finalists=2)) as sweep:
        files = TrialFiles(sweep.folder / "trials", sweep.state)
        with_files(files, 0, 1)
        for number in (0, 1):
            begin(sweep, number)
            sweep.append(epoch(number, 1, 0.5))
        monkeypatch.setattr(runner.tune, "Tuner", Tuner)
        slots = runner.Slots(1, 1, 0.0, 0)
        runner.run_trials(sweep, tmp_path / "setup.json", slots, Stopping(time_budget_s=1, spent_s=2), files)
        assert [(t.state, t.reason) for t in sweep.state.trials.values()] == [
            ("pruned", "the time budget is spent")
        ] * 2
        assert [states(files, number) for number in (0, 1)] == [[], []]
        assert (files.folder(0) / "best.safetensors").exists(), "a finalist's weights stay"


def test_states_of_trials_whose_end_was_not_told_go(tmp_path: Path) -> None:
    with open_sweep(tmp_path / "s", make_plan(budget__finalists=1)) as sweep:
        files = TrialFiles(sweep.folder / "trials", sweep.state)
        with_files(files, 0, 1, 2)
        for number in (0, 1, 2):
            begin(sweep, number)
            sweep.append(epoch(number, 1, 0.5 + number / 10, stop_reason="no better" if number < 2 else ""))
        assert runner._going_on(sweep, files, {2: "below the others"}) == []
        assert [trial.state for trial in sweep.state.trials.values()] == ["completed", "completed", "pruned"]
        assert [states(files, number) for number in (0, 1, 2)] == [[], ["state_epoch_0001.pt"], []]
