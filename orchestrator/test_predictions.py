"""Images that a registered model is given may be known: reads of test images are noted, those of development told."""

import csv
from collections.abc import Set
from pathlib import Path

from orchestrator.history import all_sweeps
from orchestrator.home import Home
from orchestrator.test_ledger import PREDICT, TestRead, note_test_read


def note_predictions(home: Home, sha256s: Set[str], model: str, who: str = PREDICT) -> None:
    """Append a line for each known test side that some of these files are of. Raises BadInput where it cannot.

    A test side is known by the test.csv of a sweep of this home; `images` counts its cases that were predicted.
    """
    images: dict[str, int] = {}
    for state in all_sweeps(home)[0]:
        digest = state.plan.data.test_digest
        if not images.get(digest):  # sweeps on the same test side have the same rows
            images[digest] = _num_of(sha256s, home.sweeps / state.started.sweep_id / "test.csv")
    for digest, num_images in images.items():
        if num_images:
            note_test_read(
                home.test_ledger,
                TestRead(
                    test_digest=digest,
                    images=num_images,
                    purpose="evaluation",
                    who=who,
                    model=model,
                    why=f"{who} on test images",
                ),
            )


def development_images(home: Home, sweep_id: str) -> set[str]:
    """Return the digests of the images that a sweep of this home trained and validated on; none where it is gone."""
    cases = _cases(home.sweeps / sweep_id / "development.csv") if sweep_id else []
    return {sha256 for case in cases for sha256 in case}


def _num_of(sha256s: Set[str], table: Path) -> int:
    return sum(bool(case & sha256s) for case in _cases(table))


def _cases(table: Path) -> list[set[str]]:
    """Return the digests of each case's images."""
    try:
        with table.open(newline="", encoding="utf-8") as file:
            rows = [(row.get("sha256"), row.get("second_sha256")) for row in csv.DictReader(file)]
    except (OSError, ValueError, csv.Error):  # the folder of a sweep that ended early, or was cleaned up
        return []
    return [{sha256 for sha256 in row if sha256} for row in rows]
