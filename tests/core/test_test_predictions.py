"""A registered model that predicts test images of a sweep has a line in the ledger."""

from pathlib import Path

import pytest

from orchestrator.errors import BadInput
from orchestrator.home import Home
from orchestrator.journal import JournalWriter, SweepStarted
from orchestrator.test_ledger import EXPLAIN, count_in_words, read_ledger
from orchestrator.test_predictions import note_predictions


@pytest.fixture
def home(tmp_path: Path, started: SweepStarted) -> Home:
    """Two sweeps on one test side, of which the first lost its table, and one on another."""
    home = Home(tmp_path)
    sides = {"a": ("t", None), "b": ("t", ["1", "2", "3"]), "c": ("other", ["3", "4"])}
    for sweep_id, (digest, sha256s) in sides.items():
        data = started.plan.data.model_copy(update={"test_digest": digest})
        plan = started.plan.model_copy(update={"data": data})
        folder = home.sweeps / sweep_id
        folder.mkdir(parents=True)
        with JournalWriter(folder / "journal.jsonl", lambda event: None) as journal:
            journal.append(started.model_copy(update={"sweep_id": sweep_id, "plan": plan}))
        if sha256s is not None:
            rows = [f"{number}.png,{sha256}," for number, sha256 in enumerate(sha256s)]
            (folder / "test.csv").write_text("\n".join(["path,sha256,second_sha256", *rows]))
    return home


def test_predictions_of_test_images_are_one_line_of_their_test_side(home: Home) -> None:
    note_predictions(home, {"1", "2", "unknown"}, "stroke v3")
    assert read_ledger(home.test_ledger, "other") == []
    (line,) = read_ledger(home.test_ledger, "t")
    assert (line.images, line.purpose, line.who, line.model) == (2, "evaluation", "predict", "stroke v3")
    assert line.why == "predict on test images"
    assert count_in_words([line]) == "1 evaluation by predict, 0 reads for preparation and audits"


def test_an_image_of_two_test_sides_is_a_read_of_both(home: Home) -> None:
    note_predictions(home, {"3"}, "stroke v3")
    assert [len(read_ledger(home.test_ledger, digest)) for digest in ("t", "other")] == [1, 1]


def test_images_that_were_explained_are_counted_as_such(home: Home) -> None:
    note_predictions(home, {"4"}, "stroke v3", EXPLAIN)
    (line,) = read_ledger(home.test_ledger, "other")
    assert line.why == "explain on test images"
    assert count_in_words([line]) == "1 evaluation by explain, 0 reads for preparation and audits"


def test_predictions_of_other_images_leave_no_line(home: Home) -> None:
    note_predictions(home, {"unknown"}, "stroke v3")
    assert not home.test_ledger.exists()


def test_what_cannot_be_noted_is_told(home: Home) -> None:
    home.test_ledger.mkdir()
    with pytest.raises(BadInput, match=r"test_reads\.jsonl: the ledger of test reads cannot be written"):
        note_predictions(home, {"1"}, "stroke v3")
