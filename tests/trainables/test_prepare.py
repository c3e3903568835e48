from pathlib import Path

import numpy as np
import pytest

from trainables.catalog import TASKS
from trainables.data.cache import open_images
from trainables.data.images import decode_grey, resize_square
from trainables.data.prepare import prepare_data, read_rows, write_rows
from trainables.data.splits import split_validation
from trainables.errors import DataError


def prepare(root: Path, cache: Path, sides_px=(32,), seed=0):
    calls: list[str] = []
    data = prepare_data(TASKS["stroke"], root, sides_px, cache, seed, lambda what, done, of: calls.append(what))
    return data, calls


def test_rows_and_arrays_are_in_one_order(stroke_set: Path, tmp_path: Path) -> None:
    data, _ = prepare(stroke_set, tmp_path / "cache", (16, 32))
    for part in (data.development, data.test):
        for side_px, path in part.arrays.items():
            images_NHW = open_images(path)
            assert images_NHW.shape == (len(part.rows), side_px, side_px)
            for row, record in enumerate(part.rows):
                expected_HW = resize_square(decode_grey((stroke_set / record.path).read_bytes()), side_px)
                assert (images_NHW[row] == expected_HW).all()


def test_a_second_sweep_decodes_nothing(stroke_set: Path, tmp_path: Path) -> None:
    first, calls = prepare(stroke_set, tmp_path / "cache")
    assert "decoding" in calls
    second, calls = prepare(stroke_set, tmp_path / "cache")
    assert "decoding" not in calls
    assert second == first
    _, calls = prepare(stroke_set, tmp_path / "cache", (32, 48))
    assert calls.count("decoding") == 48, "only the new size is decoded"


def test_test_images_lie_in_a_cache_of_their_own(stroke_set: Path, tmp_path: Path) -> None:
    data, _ = prepare(stroke_set, tmp_path / "cache")
    assert data.development.arrays[32].is_relative_to(tmp_path / "cache" / "development")
    assert data.test.arrays[32].is_relative_to(tmp_path / "cache" / "test")
    assert {row.side for row in data.development.rows} == {"training", "validation"}


def test_digests_follow_content_and_split(stroke_set: Path, tmp_path: Path) -> None:
    first, _ = prepare(stroke_set, tmp_path / "cache")
    other_split, _ = prepare(stroke_set, tmp_path / "cache", seed=1)
    assert other_split.digest == first.digest
    assert other_split.split_digest != first.split_digest
    changed = stroke_set / first.development.rows[0].path
    changed.write_bytes((stroke_set / first.development.rows[1].path).read_bytes())
    assert prepare(stroke_set, tmp_path / "cache")[0].digest != first.digest


@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1\n", None])
def test_unreadable_files_are_left_out_and_named(stroke_set: Path, tmp_path: Path, content: bytes | None) -> None:
    victims = [
        sorted(stroke_set.glob("deep/train/*/StrokeBT/*"))[2],
        sorted(stroke_set.glob("deep/test/strokeMR/*"))[0],
    ]
    for victim in victims:
        victim.write_bytes(victim.read_bytes()[:300] if content is None else content)
    data, _ = prepare(stroke_set, tmp_path / "cache")
    names = {victim.relative_to(stroke_set).as_posix() for victim in victims}
    assert set(data.unreadable) == names
    assert not names & {row.path for row in [*data.development.rows, *data.test.rows]}
    test_rows_and_arrays_are_in_one_order(stroke_set, tmp_path)
    again, calls = prepare(stroke_set, tmp_path / "cache")
    assert again.unreadable == data.unreadable
    assert "decoding" not in calls


def test_a_link_that_leads_nowhere_is_counted(stroke_set: Path, tmp_path: Path) -> None:
    victim = next((stroke_set / "deep/test/strokeBT").glob("*.jpg"))
    victim.unlink()
    victim.symlink_to(tmp_path / "annex" / "object")
    data, _ = prepare(stroke_set, tmp_path / "cache")
    assert list(data.unreadable.values()) == ["No such file or directory"]


def test_many_unreadable_files_stop_the_sweep(stroke_set: Path, tmp_path: Path) -> None:
    for victim in sorted(stroke_set.rglob("*.jpg"))[:3]:
        victim.write_bytes(b"")
    with pytest.raises(DataError, match=r"3 of 48 images cannot be read, more than 5%: .*empty file"):
        prepare(stroke_set, tmp_path / "cache")


def test_rows_survive_the_file(stroke_set: Path, tmp_path: Path) -> None:
    data, _ = prepare(stroke_set, tmp_path / "cache")
    write_rows(tmp_path / "rows.csv", data.development.rows)
    assert read_rows(tmp_path / "rows.csv") == data.development.rows


def test_a_patient_stays_on_one_side() -> None:
    generator = np.random.default_rng(0)
    groups = [f"p{number}" for number in generator.integers(0, 40, 300)]
    labels = [int(group[1:]) % 2 for group in groups]
    for seed in range(5):
        held_N = split_validation(labels, groups, 0.15, seed)
        held, kept = {g for g, h in zip(groups, held_N, strict=True) if h}, {
            g for g, h in zip(groups, held_N, strict=True) if not h
        }  # fmt: skip
        assert not held & kept
        assert 0.08 < held_N.mean() < 0.25
        assert set(np.array(labels)[held_N]) == {0, 1}


def test_patients_of_the_table_are_groups_and_never_in_clear(stroke_set: Path, tmp_path: Path) -> None:
    data, _ = prepare(stroke_set, tmp_path / "cache")
    assert not data.has_patients
    paths = sorted(row.path for row in data.development.rows)
    lines = [f"{path},Jane Doe {number // 4}" for number, path in enumerate(paths)]
    (stroke_set / "patients.csv").write_text("\n".join(["path,patient_id", *lines]))
    data, _ = prepare(stroke_set, tmp_path / "cache")
    assert data.has_patients
    assert not any("Jane" in row.group for row in data.development.rows)
    sides: dict[str, set[str]] = {}
    for row in data.development.rows:
        sides.setdefault(row.group, set()).add(row.side)
    assert len(sides) == 6
    assert all(len(own) == 1 for own in sides.values())


def test_too_few_patients_are_told() -> None:
    with pytest.raises(DataError, match="one patient only"):
        split_validation([0, 0, 1, 1], ["a", "a", "b", "c"], 0.15, 0)
