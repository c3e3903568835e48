"""Trials ranked by validation: rows for the terminal, for --json and for MLflow."""

import re
import statistics
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from orchestrator.journal import FinalistEvaluated, FoldEvaluated, Over, SeedEvaluated
from orchestrator.journal_values import Metrics
from orchestrator.published_scores import (
    OTHERWISE,
    FoundScore,
    Repeated,
    published_note,
    published_score,
    repeated_points,
)
from orchestrator.repaired_scores import repaired_mark, repaired_note, repaired_scores
from orchestrator.space import Scalar
from orchestrator.sweep_state import SweepState, TrialState
from trainables.catalog import default_hyperparameters
from trainables.errors import ArchitectureError
from trainables.evaluation.intervals import FEW_GROUPS, Interval, few_groups_warning
from trainables.evaluation.metrics import rank_key

MOST_NOTE_CHARACTERS = 7800  # MLflow's limit of a tag is 8,000
Spread = tuple[float, float, int]  # mean, standard deviation, of how many


@dataclass(frozen=True)
class LeaderboardRow:
    """One trial; what concerns test, seeds and folds is there for finalists only.

    Trials with the same score share a rank. `changed` is what differs from the published defaults, `parameters` None in
    journals that do not tell. `test_leak_free` is None where development has seen every test image; `seeds` and `folds`
    are mean and standard deviation of the validation metrics over seeds, and over the folds as validation.
    """

    rank: int
    is_tied: bool
    architecture: str
    trial_id: int
    run_id: str | None
    validation: Metrics
    test: dict[str, Interval] | None
    test_leak_free: dict[str, Interval] | None
    leak_free_images: int | None
    leak_free_reason: str
    test_images: int
    test_groups: int | None
    seeds: dict[str, Spread] | None
    folds: dict[str, Spread] | None
    epochs: int
    seconds: float
    parameters: int | None
    stop_reason: str
    state: str
    sweep_id: str
    is_winner: bool
    hyperparameters: dict[str, Any]
    changed: dict[str, Any]
    published: FoundScore | None
    repaired: dict[str, Interval] | None

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def rank_trials(trials: Sequence[TrialState], metric: str) -> list[TrialState]:
    """Return the trials that have a validation result, best first; ties by log loss, then the earlier trial."""
    scored = [trial for trial in trials if trial.best is not None]
    return sorted(scored, key=lambda trial: (*(-part for part in rank_key(trial.validation, metric)), trial.number))


def choose_finalists(state: SweepState) -> list[TrialState]:
    """Return the best k trials that trained to their end; where none did, the best of those stopped early."""
    return best_trials(list(state.trials.values()), state.plan.metric, state.plan.budget.finalists)


def best_trials(trials: Sequence[TrialState], metric: str, count: int) -> list[TrialState]:
    """Return the best of some trials that trained to their end; where none did, of those stopped early."""
    ranked = [trial for trial in rank_trials(trials, metric) if trial.validation.get(metric) is not None]
    completed = [trial for trial in ranked if trial.state == "completed"]
    pruned = [trial for trial in ranked if trial.state == "pruned"]
    return (completed or pruned)[:count]


def choose_winner(state: SweepState, finalists: Sequence[TrialState]) -> TrialState:
    """Return the finalist with the best mean over its seeds, ties by mean log loss, then the earlier trial.

    One whose training broke down from some seed comes after those that have them all. Without seeds it is the first.
    """
    if state.plan.seeds == 1:
        return finalists[0]
    return max(finalists, key=lambda trial: (*_merit(state, trial.number), -trial.number))


def _merit(state: SweepState, number: int) -> tuple[int, float, float]:
    metric = state.plan.metric
    values = {name: _values(state.seeds[number].values(), name) for name in (metric, "log_loss")}
    means = {name: statistics.mean(own) if own else None for name, own in values.items()}
    return len(values[metric]), *rank_key(means, metric)


def leaderboard(sweeps: Sequence[SweepState]) -> list[LeaderboardRow]:
    """Rank the trials of sweeps that share data and split."""
    metric = sweeps[0].plan.metric if sweeps else "auroc"
    owners = {id(trial): state for state in sweeps for trial in state.trials.values()}
    ranked = rank_trials([trial for state in sweeps for trial in state.trials.values()], metric)
    scores = [trial.validation.get(metric) for trial in ranked]
    counts = Counter(scores)
    ranks: dict[float | None, int] = {}
    for place, score in enumerate(scores, start=1):
        ranks.setdefault(score, place)
    repeated = {id(state): repeated_points(state.plan) for state in sweeps}
    return [
        _row(ranks[score], counts[score] > 1, trial, owner, repeated[id(owner)])
        for score, trial in zip(scores, ranked, strict=True)
        for owner in [owners[id(trial)]]
    ]


def with_interval(metrics: Metrics, intervals: Mapping[str, tuple[float, float]]) -> dict[str, Interval]:
    """Return [value, low, high] per metric; low and high are None where the data give no interval."""
    return {name: (value, *intervals.get(name, (None, None))) for name, value in metrics.items()}


def leak_free(finalist: FinalistEvaluated) -> dict[str, Interval] | None:
    """Return the metrics on the test images that development has not seen; None where there is none."""
    if finalist.test_leak_free is None:
        return None
    return with_interval(finalist.test_leak_free, finalist.leak_free_intervals)


def spread_over(over: Over, state: SweepState, number: int) -> dict[str, Spread] | None:
    """Return mean, standard deviation and how many per validation metric; None where nothing was trained again."""
    retrained = state.retrained(over).get(number)
    return spread_of(retrained.values()) if retrained else None


def spread_of(retrained: Collection[FoldEvaluated | SeedEvaluated]) -> dict[str, Spread]:
    """Return the same of some trainings."""
    spread = {}
    for name in {name: None for one in retrained for name in one.validation}:  # one that broke down has none
        values = _values(retrained, name)
        if len(values) > 1:
            spread[name] = (statistics.mean(values), statistics.stdev(values), len(values))
    return spread


def _values(retrained: Iterable[FoldEvaluated | SeedEvaluated], name: str) -> list[float]:
    return [value for one in retrained if (value := one.validation.get(name)) is not None]


def score_columns(rows: Sequence[LeaderboardRow], metric: str) -> dict[str, list[str]]:
    """Return title -> a text per row: validation, spread over seeds and folds, test, leak-free part where some leak.

    Models of pairs also have their score with shuffled partners. Where a score was published, it and ours follow.
    """
    columns = {f"val {metric}": [format_metric(row.validation.get(metric)) for row in rows]}
    for over, spreads in (("seeds", [row.seeds for row in rows]), ("folds", [row.folds for row in rows])):
        if any(spreads):
            columns[f"val over {over}"] = [format_spread((spread or {}).get(metric)) for spread in spreads]
    columns[f"test {metric}"] = [_test(row.test, metric) for row in rows]
    if any(row.leak_free_images is not None and row.leak_free_images < row.test_images for row in rows):
        columns["leak-free test"] = [_leak_free(row, metric) for row in rows]
    if any(row.repaired is not None for row in rows):
        columns["partners shuffled"] = [_repaired(row, metric) for row in rows]
    for other in dict.fromkeys(row.published.metric for row in rows if row.published):
        if other != metric:
            columns[f"test {other}"] = [_test(row.test, other) for row in rows]
        columns[f"published {other}"] = [_published(row.published, other) for row in rows]
    return columns


def score_notes(rows: Sequence[LeaderboardRow], metric: str) -> list[str]:
    """Return what must be known to read the columns of scores, a paragraph each."""
    marks = [None if row.repaired is None else repaired_mark(row.test, row.repaired, metric) for row in rows]
    return [note for note in (published_note([row.published for row in rows]), repaired_note(marks)) if note]


def rank_text(row: LeaderboardRow) -> str:
    """Return a rank as it is shown; trials with the same score share one."""
    return f"{row.rank}=" if row.is_tied else str(row.rank)


def changed_from_published(trial: TrialState) -> dict[str, Scalar]:
    """Return the hyperparameters that differ from the architecture's published defaults."""
    try:
        published = default_hyperparameters(trial.architecture)
    except (KeyError, ArchitectureError):  # another version's, or of a package that is gone
        published = {}
    return {k: v for k, v in trial.hyperparameters.items() if k not in published or published[k] != v}


def changes_text(row: LeaderboardRow) -> str:
    """Return what differs from the published defaults, short."""
    return settings_text(row.changed) or "published defaults"


def settings_text(values: Mapping[str, Scalar]) -> str:
    """Return hyperparameters on one line, numbers to three digits."""
    shown = {name: f"{value:.3g}" if isinstance(value, float) else value for name, value in values.items()}
    return " ".join(f"{name}={value}" for name, value in shown.items())


def size_text(parameters: float | None) -> str:
    """Return a number of parameters short, e.g. 8.4 M or 12.3 k, or a dash."""
    if parameters is None:
        return "-"
    return f"{parameters / 1e6:.1f} M" if parameters >= 1e5 else f"{parameters / 1e3:.1f} k"


def shown_columns(
    rows: Sequence[LeaderboardRow], metric: str, name_of: Callable[[LeaderboardRow], str]
) -> dict[str, list[str]]:
    """Return title -> a text per row, as the terminal and MLflow show them; `name_of` says the architecture."""
    several = len({row.sweep_id for row in rows}) > 1
    return {
        "rank": [rank_text(row) for row in rows],
        **({"sweep": [row.sweep_id for row in rows]} if several else {}),
        "trial": [str(row.trial_id) for row in rows],
        "architecture": [name_of(row) for row in rows],
        **score_columns(rows, metric),
        "epochs": [str(row.epochs) for row in rows],
        "state": [row.state for row in rows],
    }


def to_markdown(rows: Sequence[LeaderboardRow], metric: str) -> str:
    """Return the leaderboard as a Markdown table, as the parent run's note shows it: as many rows as MLflow takes."""
    note = "\n\n".join(score_notes(rows, metric))
    columns = shown_columns(rows, metric, _markdown_name)
    lines = [_markdown_row(list(columns)), f"|{'|'.join(['---'] * len(columns))}|"]
    for number, texts in enumerate(zip(*columns.values(), strict=True)):
        line = _markdown_row(texts)
        if sum(map(len, lines)) + len(lines) + len(line) + len(note) > MOST_NOTE_CHARACTERS:
            lines.append(f"\n... and {len(rows) - number} more")
            break
        lines.append(line)
    return "\n".join([*lines, *([f"\n{note}"] if note else [])])


def _markdown_row(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _markdown_name(row: LeaderboardRow) -> str:
    """Return an architecture as a cell that no letter of its name can end, mark up or link."""
    line = " ".join(row.architecture.split())
    return re.sub(r"([\\`*\[\]<>|~&])", r"\\\1", line) + (" **winner**" if row.is_winner else "")


def few_groups_note(rows: Sequence[LeaderboardRow]) -> str:
    """Return what to say of test intervals that rest on few groups; nothing where there are enough, or no intervals."""
    return few_groups_warning(min((row.test_groups for row in rows if row.test_groups), default=FEW_GROUPS))


def format_interval(interval: Interval) -> str:
    """Return a metric to four digits and its 95 % interval, where it has one, to two."""
    value, low, high = interval
    return format_metric(value) if low is None or high is None else f"{format_metric(value)} [{low:.2f}, {high:.2f}]"


def format_metric(value: float | None) -> str:
    """Return a metric to four digits, or a dash."""
    return "-" if value is None else f"{value:.4f}"


def format_spread(spread: Spread | None) -> str:
    """Return mean, standard deviation and of how many, or a dash."""
    return "-" if spread is None else f"{spread[0]:.4f} ± {spread[1]:.4f} ({spread[2]})"


def _test(scores: dict[str, Interval] | None, metric: str) -> str:
    return format_interval(scores[metric]) if scores and metric in scores else "-"


def _published(found: FoundScore | None, metric: str) -> str:
    if found is None or found.metric != metric:
        return "-"
    low, high = found.interval or (None, None)
    return format_interval((found.score, low, high)) + (f" {OTHERWISE}" if found.differs else "")


def _repaired(row: LeaderboardRow, metric: str) -> str:
    mark = repaired_mark(row.test, row.repaired, metric)
    return " ".join(part for part in (_test(row.repaired, metric) if row.repaired else "", mark) if part) or "-"


def _leak_free(row: LeaderboardRow, metric: str) -> str:
    if row.leak_free_images is None:
        return "-"
    if row.test_leak_free is None:
        return f"none of {row.test_images}"
    return f"{_test(row.test_leak_free, metric)} ({row.leak_free_images} of {row.test_images})"


def _row(rank: int, is_tied: bool, trial: TrialState, state: SweepState, repeated: Repeated) -> LeaderboardRow:
    finalist = state.finalists.get(trial.number)
    parameters = trial.epochs[0].metrics.get("perf/parameters") if trial.epochs else None
    run_ids = state.tracked.trial_run_ids if state.tracked else {}
    return LeaderboardRow(
        rank=rank,
        is_tied=is_tied,
        architecture=trial.architecture,
        trial_id=trial.number,
        run_id=run_ids.get(trial.number),
        validation=trial.validation,
        test=with_interval(finalist.test, finalist.test_intervals) if finalist else None,
        test_leak_free=leak_free(finalist) if finalist else None,
        leak_free_images=finalist.leak_free_images if finalist else None,
        leak_free_reason=finalist.leak_free_reason if finalist else "",
        test_images=sum(state.plan.data.images.get("test", {}).values()),
        test_groups=finalist.test_groups if finalist else None,
        seeds=spread_over("seed", state, trial.number),
        folds=spread_over("fold", state, trial.number),
        epochs=len(trial.epochs),
        seconds=round(trial.compute_s, 3),
        parameters=None if parameters is None else int(parameters),
        stop_reason=trial.reason,
        state=trial.state,
        sweep_id=state.started.sweep_id,
        is_winner=state.winner == trial.number,
        hyperparameters=dict(trial.hyperparameters),
        changed=changed_from_published(trial),
        published=published_score(state.plan, trial, repeated),
        repaired=repaired_scores(finalist) if finalist else None,
    )
