"""`orchestrate leaderboard`: read from journals and the ledger of test reads alone."""

import csv
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from orchestrator.boards import Board
    from orchestrator.home import Home
    from orchestrator.ranking import LeaderboardRow

MOST_ROWS = 100  # of one board; --json and --csv have all


def show_leaderboard(
    name: Annotated[str, typer.Argument(metavar="TASK|SWEEP_ID")],
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="print CSV")] = False,
) -> None:
    """Rank the trials of a sweep, or of every sweep of a task that shares data and split with the newest."""
    from orchestrator.boards import boards_of
    from orchestrator.cli import environment
    from orchestrator.cli.console import messages, print_json, results
    from orchestrator.cli.known_sweeps import known_sweeps
    from orchestrator.cli.show import show_rows
    from orchestrator.errors import BadInput
    from orchestrator.history import sweeps_of
    from orchestrator.open_sweep import JOURNAL, state_of
    from orchestrator.test_ledger import read_ledger

    if as_json and as_csv:
        raise BadInput("--json and --csv: give one of them")
    home = environment.home_to_read()
    if (home.sweeps / name / JOURNAL).exists():
        state_of(home.sweep_folder(name))  # says what is wrong with a damaged one, which is not known below
    boards = boards_of(sweeps_of(known_sweeps(), name), home.test_ledger)
    first, *apart = boards
    if as_json:
        about = [
            {"sweep_id": board.sweeps[0].started.sweep_id, "reason": board.apart_reason, **_plain(board, home)}
            for board in apart
        ]
        print_json({"task": first.sweeps[0].plan.task, **_plain(first, home), "apart": about})
    elif as_csv:
        _print_csv(boards)
    is_table = not as_json and not as_csv
    for board in boards if is_table else [first]:
        if is_table:
            if board.apart_reason:
                results().print(
                    f"\n{board.sweeps[0].started.sweep_id} stands apart: {board.apart_reason}", style="bold"
                )
            show_rows(board.rows, board.metric, MOST_ROWS)
        for line in board.flags_in_words():
            (results() if is_table else messages()).print(line, soft_wrap=True)
    unknown = read_ledger(home.test_ledger, "")
    if unknown:
        messages().print(f"{len(unknown)} further reads of sets without a known test side", soft_wrap=True)


def _plain(board: "Board", home: "Home") -> dict[str, object]:
    run_ids = {state.started.sweep_id: _run_ids(home, state.started.sweep_id) for state in board.sweeps}
    rows = [row.to_json() for row in board.rows]
    for row in rows:
        row["run_id"] = row["run_id"] or run_ids[row["sweep_id"]].get(row["trial_id"])
    return {**board.flags, "rows": rows, "test_reads": [asdict(read) for read in board.test_reads]}


def _run_ids(home: "Home", sweep_id: str) -> dict[int, str]:
    """Return the runs of a sweep's trials in the store of now; a journal tells those of a sweep at its end only."""
    from orchestrator.cli import environment
    from orchestrator.tracking.outcome import outcome_file, read_outcome

    return read_outcome(outcome_file(home.sweep_folder(sweep_id), home, environment.tracking_uri())).trial_run_ids


def _print_csv(boards: "list[Board]") -> None:
    """Print a line per trial, those of sweeps that stand apart after the others; scores are by the first's metric."""
    from orchestrator.ranking import changes_text
    from orchestrator.repaired_scores import repaired_mark

    metric = boards[0].metric
    scores = [f"validation_{metric}", *(f"test_{metric}{end}" for end in ("", "_low", "_high"))]
    cost = ["epochs", "seconds", "parameters"]
    about_trial = ["rank", "sweep_id", "trial_id", "architecture", *scores, *cost, "state", "stop_reason", "changed"]
    further = [*(f"test_leak_free_{metric}{end}" for end in ("", "_low", "_high")), "leak_free_images"]
    for over in ("seeds", "folds"):
        further += [f"{over}_{metric}_mean", f"{over}_{metric}_sd", over]
    further += ["published_as", "published_metric", "published_score", "test_by_published_metric", "otherwise"]
    further += [f"test_{metric}_partners_shuffled{end}" for end in ("", "_low", "_high", "_mark")]
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([*about_trial, "is_tied", "apart_reason", *boards[0].flags, "test_reads", *further])
    for board in boards:
        for row in board.rows:
            writer.writerow(
                [
                    *(row.rank, row.sweep_id, row.trial_id, row.architecture, row.validation.get(metric)),
                    *_three(row.test, metric),
                    *(row.epochs, row.seconds, row.parameters, row.state, row.stop_reason, changes_text(row)),
                    *(row.is_tied, board.apart_reason, *board.flags.values(), len(board.test_reads)),
                    *(*_three(row.test_leak_free, metric), row.leak_free_images),
                    *(*_three(row.seeds, metric), *_three(row.folds, metric)),
                    *(*_published(row), *_three(row.repaired, metric)),
                    repaired_mark(row.test, row.repaired, metric),
                ]
            )


def _published(row: "LeaderboardRow") -> list[object]:
    if row.published is None:
        return [None] * 5
    found = row.published
    return [
        found.name,
        found.metric,
        found.score,
        (row.test or {}).get(found.metric, [None])[0],
        "; ".join(found.differs),
    ]


def _three(values: Mapping[str, tuple[float | None, float | None, float | None]] | None, metric: str) -> list[object]:
    """Return what three columns say of a metric: value and interval, or mean, deviation and of how many."""
    return list((values or {}).get(metric, (None, None, None)))
