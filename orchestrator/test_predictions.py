"""Images that a registered model predicts may be test images of a sweep: then the ledger of test reads must say so."""

import csv
from collections.abc import Set
from pathlib import Path

from orchestrator.history import all_sweeps
from orchestrator.home import Home
from orchestrator.test_ledger import PREDICT, TestRead, note_test_read


def note_predictions(home: Home, sha256s: Set[str], model: str) -> None:
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
                    who=PREDICT,
                    model=model,
                    why="predict on test images",
                ),
            )


def _num_of(sha256s: Set[str], table: Path) -> int:
    try:
        with table.open(newline="", encoding="utf-8") as file:
            return sum(bool({row.get("sha256"), row.get("second_sha256")} & sha256s) for row in csv.DictReader(file))
    except (OSError, ValueError, csv.Error):  # the folder of a sweep that ended early, or was cleaned up
        return 0
