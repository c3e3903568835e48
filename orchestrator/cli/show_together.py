"""What commands print of several sweeps: what they will take, then one summary."""

from collections.abc import Sequence

from rich.table import Table

from orchestrator.cli.console import messages, print_json, results, visible
from orchestrator.errors import NoUsableTrial
from orchestrator.ranking import format_interval, format_metric
from orchestrator.sweep import PreparedSweep
from orchestrator.sweep_result import SweepResult
from orchestrator.sweeps_together import SweepsDone
from orchestrator.words import in_words

NONE = "-"


def say_forecasts(prepared: Sequence[PreparedSweep], time_budget_s: float | None) -> None:
    """Say what each sweep will take, and all of them within their time budget."""
    table = Table("sweep", "architectures", "trials", "epochs at most", "about", "at most", "GPU-hours", box=None)
    forecasts = [one.forecast for one in prepared]
    for one, known in zip(prepared, forecasts, strict=True):
        plan = one.planned.plan
        gpu_hours = f"{known.gpu_hours:.1f}" if known.gpus else NONE
        counts = [len(plan.architectures), known.trials, known.most_epochs]
        times = [in_words(known.usual_s), in_words(known.most_s)]
        table.add_row(visible(plan.sweep), *map(str, counts), *times, gpu_hours)
    console = messages()
    console.print(table)
    usual_s, most_s = (sum(getattr(known, name) for known in forecasts) for name in ("usual_s", "most_s"))
    if time_budget_s is not None:
        usual_s, most_s = (min(seconds, time_budget_s) for seconds in (usual_s, most_s))
    console.print(f"forecast: about {in_words(usual_s)}, at most {in_words(most_s)}, and the finalists of each")


def show_sweeps(done: SweepsDone, wall_s: float, as_json: bool) -> None:
    """Print one summary of several sweeps. Raises NoUsableTrial that names those without a winner."""
    if as_json:
        of_each = [result.to_json() for result in done.results]
        print_json({"sweeps": of_each, "without_winner": dict(done.without_winner), "wall_s": round(wall_s, 3)})
    else:
        _show(done, wall_s)
    if done.without_winner:
        lines = "; ".join(f"{name}: {reason}" for name, reason in done.without_winner.items())
        raise NoUsableTrial(f"without a winner: {lines}")


def _show(done: SweepsDone, wall_s: float) -> None:
    table = Table("sweep", "winner", "metric", "validation", "test (95 % interval)", "registered", box=None)
    console = results()
    for result in done.results:
        table.add_row(*map(visible, _cells(result)))
    console.print(table)
    for result in done.results:
        if result.report is not None:
            console.print(f"{result.state.started.sweep_id}: {result.report}", soft_wrap=True)
    console.print(f"{in_words(wall_s)} in all; orchestrate leaderboard TASK shows every trial")


def _cells(result: SweepResult) -> list[str]:
    state = result.state
    metric, number = state.plan.metric, state.winner
    about = [state.plan.sweep, NONE, metric, NONE, NONE]
    if number is not None:
        finalist, trial = state.finalists[number], state.trials[number]
        bounds = finalist.test_intervals.get(metric, (None, None))
        scores = [format_metric(finalist.validation.get(metric)), format_interval((finalist.test.get(metric), *bounds))]
        about = [state.plan.sweep, f"trial {number} {trial.architecture}", metric, *scores]
    registered = state.tracked.registered if state.tracked else None
    known = (
        f"{registered.name} v{registered.version} ({', '.join(registered.aliases) or 'no alias'})"
        if registered
        else NONE
    )
    return [*about, known]
