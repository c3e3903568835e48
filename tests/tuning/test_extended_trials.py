"""A trial that trained further when the epochs were raised counts with its last score, in every later resume."""

from pathlib import Path

import optuna
from sweep_support import begin, epoch, make_plan, open_sweep

from orchestrator.journal import SweepResumed, TrialEnded
from orchestrator.open_sweep import OpenSweep
from orchestrator.tuning.searcher import DASHBOARD, OptunaSearcher
from orchestrator.tuning.stopping import Stopping

FORMERLY, NOW = 2, 4


def searcher_of(sweep: OpenSweep, *going_on: int) -> OptunaSearcher:
    return OptunaSearcher(sweep, Path("setup.json"), going_on, Stopping(), lambda: 4)


def told(searcher: OptunaSearcher) -> list[tuple[float | None, list[int]]]:
    (study,) = searcher._studies._studies.values()
    return [(trial.value, sorted(trial.intermediate_values)) for trial in study.trials]


def in_file(folder: Path) -> list[tuple[int, float | None, list[int]]]:
    backend = optuna.storages.journal.JournalFileBackend(str(folder / DASHBOARD))
    study = optuna.load_study(study_name="resnet_vit", storage=optuna.storages.JournalStorage(backend))
    return sorted((t.user_attrs["orchestrate.trial"], t.value, sorted(t.intermediate_values)) for t in study.trials)


def test_an_extended_trial_counts_as_it_ended_last(tmp_path: Path) -> None:
    with open_sweep(tmp_path / "s", make_plan(budget__epochs=FORMERLY, budget__trials=2)) as sweep:
        for number in (0, 1):
            begin(sweep, number)
            for at in range(1, FORMERLY + 1):
                sweep.append(epoch(number, at, 0.5 + at / 100 + number / 10))
            sweep.append(TrialEnded(trial=number, state="completed", reason=""))
        first = [(0.52, [1, 2]), (0.62, [1, 2])]
        assert told(searcher_of(sweep)) == first
        assert in_file(sweep.folder) == [(0, *first[0]), (1, *first[1])]
        more = make_plan(budget__epochs=NOW, budget__trials=2)
        sweep.append(SweepResumed(plan=more, plan_digest="", slots=1, device="cpu", versions={}, git={}, extended=[0]))
        going_on = searcher_of(sweep, 0)
        assert told(going_on) == [(None, [1, 2]), first[1]], "still open"
        going_on.suggest("t0")
        for at in range(FORMERLY + 1, NOW):
            going_on.on_trial_result("t0", {"epoch": at, "val/auroc": 0.5 + at / 100})
            sweep.append(epoch(0, at, 0.5 + at / 100))
        going_on.on_trial_complete("t0", {"epoch": NOW, "val/auroc": 0.9})
        sweep.append(epoch(0, NOW, 0.9))
        sweep.append(TrialEnded(trial=0, state="completed", reason=""))
        last = [(0.9, [1, 2, 3, 4]), first[1]]
        assert told(going_on) == last
        assert in_file(sweep.folder) == [(0, *last[0]), (1, *last[1])]
    with open_sweep(tmp_path / "s") as sweep:
        assert told(searcher_of(sweep)) == last
        assert in_file(sweep.folder) == [(0, *last[0]), (1, *last[1])]
        (sweep.folder / DASHBOARD).unlink()
        searcher_of(sweep)
        assert in_file(sweep.folder) == [(0, *last[0]), (1, *last[1])]


def test_a_dashboard_file_of_before_takes_the_new_score(tmp_path: Path) -> None:
    with open_sweep(tmp_path / "s", make_plan(budget__epochs=FORMERLY, budget__trials=3)) as sweep:
        for number in (0, 1, 2):
            begin(sweep, number)
            sweep.append(epoch(number, 1, 0.5))
            sweep.append(epoch(number, 2, 0.6))
            sweep.append(TrialEnded(trial=number, state="completed", reason=""))
        searcher_of(sweep)
        more = make_plan(budget__epochs=NOW, budget__trials=3)
        sweep.append(SweepResumed(plan=more, plan_digest="", slots=1, device="cpu", versions={}, git={}, extended=[1]))
        sweep.append(epoch(1, 3, 0.7))
        sweep.append(TrialEnded(trial=1, state="completed", reason=""))
        searcher_of(sweep)
        assert in_file(sweep.folder) == [(0, 0.6, [1, 2]), (1, 0.7, [1, 2, 3]), (2, 0.6, [1, 2])]
