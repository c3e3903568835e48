"""What the page says of a sweep, as plain values: every trial once, in the leaderboard's order."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from orchestrator.ranking import LeaderboardRow, leaderboard, rank_text, score_columns
from orchestrator.space import Scalar, searched
from orchestrator.sweep_state import SweepState, TrialState

Importances = Mapping[str, Mapping[str, float]]  # architecture -> searched parameter -> share

NONE = "–"
_SMALL = 1e-3
_TITLES = {
    "auroc": "AUROC",
    "mcc": "MCC",
    "ece": "ECE",
    "ece_adaptive": "adaptive ECE",
    "macro_f1": "macro F1",
    "quadratic_kappa": "quadratic kappa",
    "brier": "Brier score",
}


@dataclass(frozen=True)
class TrialLine:
    """One trial: `rank` and `scores` are texts, dashes where it has no validation result; `chosen` is in force."""

    trial: TrialState
    rank: str
    scores: tuple[str, ...]
    row: LeaderboardRow | None
    chosen: Mapping[str, Scalar]

    @property
    def number(self) -> int:
        """Return the trial's number."""
        return self.trial.number


@dataclass(frozen=True)
class ReportContent:
    """A sweep as the page shows it; ranked trials first, then those without a validation result by number."""

    state: SweepState
    lines: Sequence[TrialLine]
    rows: Sequence[LeaderboardRow]
    score_titles: Sequence[str]
    importances: Importances

    @property
    def metric(self) -> str:
        """Return the validation metric that decides."""
        return self.state.plan.metric

    @property
    def architectures(self) -> list[str]:
        """Return the architectures; the place of one is its colour."""
        return list(self.state.plan.architectures)

    def of_architecture(self, name: str) -> list[TrialLine]:
        """Return the trials of one architecture, best first."""
        return [line for line in self.lines if line.trial.architecture == name]


def content_of(state: SweepState, importances: Importances) -> ReportContent:
    """Return what the page says of a sweep, as far as it is."""
    rows = leaderboard([state])
    columns = score_columns(rows, state.plan.metric)
    texts = list(zip(*columns.values(), strict=True)) if rows else []
    ranked = [
        _line(state, state.trials[row.trial_id], rank_text(row), tuple(scores), row)
        for row, scores in zip(rows, texts, strict=True)
    ]
    without = (trial for trial in state.trials.values() if trial.best is None)
    rest = [_line(state, trial, NONE, (NONE,) * len(columns), None) for trial in without]
    return ReportContent(state, [*ranked, *rest], rows, list(columns), importances)


def _line(
    state: SweepState, trial: TrialState, rank: str, scores: tuple[str, ...], row: LeaderboardRow | None
) -> TrialLine:
    chosen = searched(state.plan.architectures[trial.architecture], trial.hyperparameters)
    return TrialLine(trial, rank, tuple(NONE if text == "-" else text for text in scores), row, chosen)


def title_of(metric: str) -> str:
    """Return a metric's name as people write it."""
    return _TITLES.get(metric, metric.replace("_", " "))


def shown(value: Scalar | None) -> str:
    """Return the value of a hyperparameter, short; a dash where it is not in force."""
    if value is None:
        return NONE
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def rounded(value: float | None) -> float | None:
    """Return a number to four decimals as tables show it, a small one to four digits; None for one beyond JSON."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.4f}") if abs(value) >= _SMALL else float(f"{value:.4g}")


def duration(seconds: float) -> str:
    """Return a time in the two units that matter."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest_s = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest_s} s"
    hours, rest_min = divmod(minutes, 60)
    return f"{hours} h {rest_min} min"


def moment(seconds: float) -> str:
    """Return seconds since 1970 as a date and time of the world's clock."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def counted(count: int, one: str, many: str | None = None) -> str:
    """Return "1 image", "2 images", "1,200 copies"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
