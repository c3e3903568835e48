"""A labelled set for a finished model: all cases whatever their side, their bytes, groups and digest."""

from pathlib import Path

from set_support import write_images, write_table

from trainables.catalog import TASKS
from trainables.data.examine import examine_data
from trainables.data.labelled import LabelledSet, data_digest, digests_of
from trainables.data.views import View

PAIRED = [f"{tree}/{name} ({n}).png" for tree in ("CT", "MRI") for n in (1, 2) for name in ("Healthy/h", "Tumor/t")]


def test_every_side_is_read_in_batches_and_a_fault_is_of_its_case(tmp_path: Path) -> None:
    names = [f"{side}/{kind}/{n}.png" for side in ("Training", "Testing") for kind in ("yes", "no") for n in range(2)]
    write_images(tmp_path, *names)
    lines = [f"{name},p{number // 2}" for number, name in enumerate(names[:-1])]
    write_table(tmp_path / "patients.csv", "path,patient_id", *lines)
    images = LabelledSet.of(TASKS["tumor_binary"], tmp_path)
    assert sorted(record.path for record in images.records) == sorted(names)
    lost = images.records[4].path
    (tmp_path / lost).unlink()
    batches = list(images.batches(3))
    assert [len(batch.contents) for batch in batches] == [3, 3, 2]
    assert [fault for batch in batches for fault in batch.faults] == [""] * 4 + ["No such file or directory"] + [""] * 3
    assert batches[1].contents[1] == [b""]
    assert batches[0].contents[2] == [(tmp_path / images.records[2].path).read_bytes()]
    digests = [digest for batch in batches for digest in digests_of(batch)]
    rows = images.rows(digests, [0, 7])
    assert [row.path for row in rows] == [images.records[0].path, images.records[7].path]
    assert {row.side for row in rows} == {"test"}
    groups = {row.path: row.group for row in images.rows(digests, range(8))}
    assert groups["Training/yes/1.png"] == groups["Training/yes/0.png"] == "p0"
    assert groups["Testing/no/1.png"] == "Testing/no/1.png", "nobody's: by itself"


def test_a_case_of_two_images_has_both_and_the_digest_of_a_sweeps_data(tmp_path: Path) -> None:
    write_images(tmp_path / "set", *PAIRED)
    task = TASKS["tumor_ct_mri"]
    images = LabelledSet.of(task, tmp_path / "set")
    (batch,) = images.batches(9)
    first = images.records[0]
    assert batch.contents[0] == [
        (tmp_path / "set" / str(path)).read_bytes() for path in (first.path, first.second_path)
    ]
    rows = images.rows(digests_of(batch), range(4))
    assert rows[0].second_path == first.second_path and rows[0].second_sha256 != rows[0].sha256
    (tmp_path / "staging").mkdir()
    examined = examine_data(task, tmp_path / "set", (View(8),), tmp_path, tmp_path / "staging", lambda *about: None)
    assert data_digest(rows) == examined.digest
    (tmp_path / "set" / str(first.second_path)).unlink()
    (again,) = images.batches(9)
    assert again.faults == [f"{first.second_path}: No such file or directory", "", "", ""]
