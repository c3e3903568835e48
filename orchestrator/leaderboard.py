"""Trials ranked by validation: rows for the terminal, for --json and for MLflow."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from orchestrator.journal import Metrics
from orchestrator.sweep_state import SweepState, TrialState
from trainables.evaluation.metrics import rank_key

Interval = tuple[float | None, float | None, float | None]  # value, low, high


@dataclass(frozen=True)
class LeaderboardRow:
    """One trial; `test` is there for finalists only."""

    rank: int
    architecture: str
    trial_id: int
    run_id: str | None
    validation: Metrics
    test: dict[str, Interval] | None
    epochs: int
    stop_reason: str
    state: str
    sweep_id: str
    is_winner: bool
    hyperparameters: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def rank_trials(trials: Sequence[TrialState], metric: str) -> list[TrialState]:
    """Return the trials that have a validation result, best first; ties by log loss, then the earlier trial."""
    scored = [trial for trial in trials if trial.best is not None]
    return sorted(scored, key=lambda trial: (*(-part for part in rank_key(trial.validation, metric)), trial.number))


def choose_finalists(state: SweepState) -> list[TrialState]:
    """Return the best k trials that trained to their end; where none did, the best of those stopped early."""
    ranked = rank_trials(list(state.trials.values()), state.plan.metric)
    ranked = [trial for trial in ranked if trial.validation.get(state.plan.metric) is not None]
    completed = [trial for trial in ranked if trial.state == "completed"]
    pruned = [trial for trial in ranked if trial.state == "pruned"]
    return (completed or pruned)[: state.plan.budget.finalists]


def leaderboard(sweeps: Sequence[SweepState]) -> list[LeaderboardRow]:
    """Rank the trials of sweeps that share data and split."""
    metric = sweeps[0].plan.metric if sweeps else "auroc"
    owners = {id(trial): state for state in sweeps for trial in state.trials.values()}
    ranked = rank_trials([trial for state in sweeps for trial in state.trials.values()], metric)
    return [_row(rank, trial, owners[id(trial)]) for rank, trial in enumerate(ranked, start=1)]


def with_interval(metrics: Metrics) -> dict[str, Interval]:
    """Return [value, low, high] per metric; low and high are None until intervals are computed."""
    return {name: (value, None, None) for name, value in metrics.items()}


def to_markdown(rows: Sequence[LeaderboardRow], metric: str) -> str:
    """Return the leaderboard as a Markdown table, as the parent run's note shows it."""
    lines = [
        f"| rank | trial | architecture | validation {metric} | test {metric} | epochs | state |",
        "|---:|---:|---|---:|---:|---:|---|",
    ]
    for row in rows:
        name = f"{row.architecture} **winner**" if row.is_winner else row.architecture
        test = row.test[metric][0] if row.test else None
        lines.append(
            f"| {row.rank} | {row.trial_id} | {name} | {format_metric(row.validation.get(metric))} "
            f"| {format_metric(test)} | {row.epochs} | {row.state} |"
        )
    return "\n".join(lines)


def format_metric(value: float | None) -> str:
    """Return a metric to four digits, or a dash."""
    return "-" if value is None else f"{value:.4f}"


def _row(rank: int, trial: TrialState, state: SweepState) -> LeaderboardRow:
    finalist = state.finalists.get(trial.number)
    run_ids = state.tracked.trial_run_ids if state.tracked else {}
    return LeaderboardRow(
        rank=rank,
        architecture=trial.architecture,
        trial_id=trial.number,
        run_id=run_ids.get(trial.number),
        validation=trial.validation,
        test=with_interval(finalist.test) if finalist else None,
        epochs=len(trial.epochs),
        stop_reason=trial.reason,
        state=trial.state,
        sweep_id=state.started.sweep_id,
        is_winner=state.winner == trial.number,
        hyperparameters=dict(trial.hyperparameters),
    )
