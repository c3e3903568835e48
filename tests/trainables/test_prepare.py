import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from set_support import write_rows

from trainables.catalog import TASKS
from trainables.data.cache import is_whole, open_images, part_folder, write_part
from trainables.data.decoding import decode_images
from trainables.data.images import RECIPE, decode_grey, resize_square
from trainables.data.prepare import changed_since, prepare_data
from trainables.data.sides import SplitRequest
from trainables.data.views import View
from trainables.errors import DataError


def prepare(root: Path, cache: Path, sides_px=(32,), seed=0, kind=None, folds=1):
    calls: list[str] = []
    request = SplitRequest(kind=kind, folds=folds, seed=seed)
    views = [View(side_px) for side_px in sides_px]
    data = prepare_data(TASKS["stroke"], root, views, request, cache, lambda what, done, of: calls.append(what))
    return data, calls


def test_rows_and_arrays_are_in_one_order(stroke_set: Path, tmp_path: Path) -> None:
    data, _ = prepare(stroke_set, tmp_path / "cache", (16, 32))
    for part in (data.development, data.test):
        for side_px, path in ((int(view), path) for view, path in part.arrays.items()):
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
    assert (second.rows, second.digest, second.development) == (first.rows, first.digest, first.development)
    _, calls = prepare(stroke_set, tmp_path / "cache", (32, 48))
    assert calls.count("decoding") == 48, "only the new size is decoded"


def test_test_images_lie_in_a_cache_of_their_own(stroke_set: Path, tmp_path: Path) -> None:
    data, _ = prepare(stroke_set, tmp_path / "cache")
    assert data.development.arrays["32"].is_relative_to(tmp_path / "cache" / "development")
    assert data.test.arrays["32"].is_relative_to(tmp_path / "cache" / "test")
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
    assert set(data.examined.unreadable) == names
    assert not names & {row.path for row in [*data.development.rows, *data.test.rows]}
    test_rows_and_arrays_are_in_one_order(stroke_set, tmp_path)
    again, calls = prepare(stroke_set, tmp_path / "cache")
    assert again.examined.unreadable == data.examined.unreadable
    assert "decoding" not in calls


def test_a_link_that_leads_nowhere_is_counted(stroke_set: Path, tmp_path: Path) -> None:
    victim = next((stroke_set / "deep/test/strokeBT").glob("*.jpg"))
    victim.unlink()
    victim.symlink_to(tmp_path / "annex" / "object")
    data, _ = prepare(stroke_set, tmp_path / "cache")
    assert list(data.examined.unreadable.values()) == ["No such file or directory"]
    assert "decoding" not in prepare(stroke_set, tmp_path / "cache")[1]


def test_many_unreadable_files_stop_the_sweep(stroke_set: Path, tmp_path: Path) -> None:
    for victim in sorted(stroke_set.rglob("*.jpg"))[:3]:
        victim.write_bytes(b"")
    with pytest.raises(DataError, match=r"3 of 48 images cannot be read, more than 5%: .*empty file"):
        prepare(stroke_set, tmp_path / "cache")


def test_patients_of_the_table_are_groups_and_never_in_clear(stroke_set: Path, tmp_path: Path) -> None:
    data, _ = prepare(stroke_set, tmp_path / "cache")
    assert data.examined.groups.grouped_by == "audit"
    paths = sorted(row.path for row in data.development.rows)
    lines = [f"{path},Jane Doe {number // 4}" for number, path in enumerate(paths)]
    (stroke_set / "patients.csv").write_text("\n".join(["path,patient_id", *lines]))
    data, _ = prepare(stroke_set, tmp_path / "cache")
    assert data.examined.groups.grouped_by == "patient and audit", "test/ has no ids"
    assert not any("Jane" in row.group for row in data.development.rows)
    sides: dict[str, set[str]] = {}
    for row in data.development.rows:
        sides.setdefault(row.group, set()).add(row.side)
    assert len(sides) == 6
    assert all(len(own) == 1 for own in sides.values())


def test_nothing_is_left_of_the_staging(stroke_set: Path, tmp_path: Path) -> None:
    prepare(stroke_set, tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("staging-*"))
    assert not list((tmp_path / "cache").rglob("*.part-*"))


def plant_leaks(root: Path) -> tuple[Path, Path]:
    """Put a copy of a training image into test, byte for byte, and one that is only stored differently."""
    sources = sorted((root / "deep/train/1- Stroke/StrokeBT").glob("*.png"))
    copied, stored_anew = root / "deep/test/strokeBT/copied.png", root / "deep/test/strokeBT/anew.bmp"
    copied.write_bytes(sources[0].read_bytes())
    with Image.open(sources[1]) as image:
        image.save(stored_anew)
    return copied, stored_anew


def test_leaks_of_a_shipped_test_set_are_counted_and_never_refused(stroke_set: Path, tmp_path: Path) -> None:
    leaking = {path.relative_to(stroke_set).as_posix() for path in plant_leaks(stroke_set)}
    data, _ = prepare(stroke_set, tmp_path / "cache")
    assert data.split == "shipped"
    assert {row.path: row.leak for row in data.test.rows if row.leak} == dict.fromkeys(leaking, "copy")
    assert not any(row.leak for row in data.development.rows)


def test_a_grouped_split_leaves_no_leak(stroke_set: Path, tmp_path: Path) -> None:
    plant_leaks(stroke_set)
    data, _ = prepare(stroke_set, tmp_path / "cache", kind="grouped")
    assert data.split == "grouped"
    assert not any(row.leak for row in data.rows)
    of_group: dict[str, set[str]] = {}
    for row in data.rows:
        of_group.setdefault(row.group, set()).add(row.side)
    assert all(len(sides) == 1 for sides in of_group.values())
    assert sum(len(own) for own in of_group.values()) == len(data.rows) - 2, "each copy is in its source's group"


def test_folds_validate_every_development_case_once(stroke_set: Path, tmp_path: Path) -> None:
    data, _ = prepare(stroke_set, tmp_path / "cache", folds=3)
    assert {row.fold for row in data.development.rows} == {0, 1, 2}
    assert {row.fold for row in data.test.rows} == {-1}
    assert all((row.side == "validation") == (row.fold == 0) for row in data.development.rows)
    whole, _ = prepare(stroke_set, tmp_path / "cache")
    assert data.split_digest != whole.split_digest


def test_a_test_image_that_changed_since_the_plan_is_found(stroke_set: Path, tmp_path: Path) -> None:
    data, _ = prepare(stroke_set, tmp_path / "cache")
    assert changed_since(data) == []
    (stroke_set / data.test.rows[0].path).write_bytes((stroke_set / data.test.rows[1].path).read_bytes())
    (stroke_set / data.test.rows[2].path).unlink()
    assert changed_since(data) == [data.test.rows[0].path, data.test.rows[2].path]


OTHER_SCHEMAS = {
    "no image": {"picture": [b"x"] * 8},
    "text": {"image": ["x"] * 8},
    "struct without bytes": {"image": [{"path": "x"}] * 8},
    "text in the struct": {"image": [{"bytes": "x"}] * 8},
    "column of a dotted name": {"image.bytes": [b"x"] * 8},
}


@pytest.mark.parametrize("change", ["replaced", "deleted", *OTHER_SCHEMAS])
def test_a_parquet_file_of_test_images_that_changed_since_the_plan_is_found(tmp_path: Path, change: str) -> None:
    write_rows(tmp_path / "set/data/train-0.parquet", [row % 4 for row in range(24)])
    test_file = tmp_path / "set/data/test-0.parquet"
    write_rows(test_file, [row % 4 for row in range(8)])
    request = SplitRequest(kind=None, folds=1, seed=0)
    data = prepare_data(
        TASKS["alzheimer"], tmp_path / "set", [View(8)], request, tmp_path / "cache", lambda *heard: None
    )
    assert changed_since(data) == []
    rows = pq.read_table(test_file)
    test_file.unlink()
    if change == "replaced":
        pq.write_table(rows.take([7, *range(1, 8)]), test_file)
    elif change in OTHER_SCHEMAS:
        pq.write_table(pa.table({**OTHER_SCHEMAS[change], "label": [0] * 8}), test_file)
    changed = ["data/test-0.parquet#0"] if change == "replaced" else [row.path for row in data.test.rows]
    assert changed_since(data) == changed


def test_a_manifests_own_validation_side_is_kept_and_must_not_tear_a_patient(stroke_set: Path, tmp_path: Path) -> None:
    lines = ["path,label,split,patient_id"]
    for number, path in enumerate(sorted(stroke_set.rglob("*.*"))):
        name = path.relative_to(stroke_set).as_posix()
        label = "stroke" if "stroke" in path.parent.name.lower() else "normal"
        split = "test" if "/test/" in name else ("val", "train", "train")[number % 3]
        lines.append(f'"{name}",{label},{split},p{number}')
    (stroke_set / "manifest.csv").write_text("\n".join(lines))
    data, _ = prepare(stroke_set / "manifest.csv", tmp_path / "cache")
    assert sum(row.side == "validation" for row in data.rows) == sum(",val," in line for line in lines)
    torn = [line.replace(line.split(",")[-1], "p0") if line.startswith('"deep/train') else line for line in lines]
    (stroke_set / "manifest.csv").write_text("\n".join(torn))
    with pytest.raises(
        DataError, match=r"of the shipped validation side are of patients who are in training, too, e\.g\. d"
    ):
        prepare(stroke_set / "manifest.csv", tmp_path / "cache")


def test_a_set_without_test_side_cannot_be_split_as_shipped(stroke_set: Path, tmp_path: Path) -> None:
    lines = ["path,label"]
    for path in sorted(stroke_set.rglob("*.*")):
        label = "stroke" if "stroke" in path.parent.name.lower() else "normal"
        lines.append(f'"{path.relative_to(stroke_set).as_posix()}",{label}')
    (stroke_set / "manifest.csv").write_text("\n".join(lines))
    with pytest.raises(DataError, match="ships no test set; leave --split out or say --split grouped"):
        prepare(stroke_set / "manifest.csv", tmp_path / "cache", kind="shipped")
    data, _ = prepare(stroke_set / "manifest.csv", tmp_path / "cache")
    shares = {side: sum(row.side == side for row in data.rows) / 48 for side in ("training", "validation", "test")}
    assert shares == pytest.approx({"training": 0.6, "validation": 0.2, "test": 0.2}, abs=0.08)


def manifest_of(root: Path, split_of: Callable[[int, str], str]) -> Path:
    """List the set's images in a manifest, in the order of their names."""
    lines = ["path,label,split"]
    for number, path in enumerate(sorted(root.rglob("*.*"))):
        name = path.relative_to(root).as_posix()
        label = "stroke" if "stroke" in path.parent.name.lower() else "normal"
        lines.append(f'"{name}",{label},{split_of(number, name)}')
    (root / "manifest.csv").write_text("\n".join(lines))
    return root / "manifest.csv"


def test_a_shipped_validation_without_test_is_kept_and_a_test_side_is_drawn(stroke_set: Path, tmp_path: Path) -> None:
    manifest = manifest_of(stroke_set, lambda number, name: ("val", "train", "train", "train")[number % 4])
    data, _ = prepare(manifest, tmp_path / "cache")
    given = {record.path for record in data.examined.data_set.records if record.shipped == "validation"}
    assert {row.path for row in data.rows if row.side == "validation"} == given
    assert 5 <= len(data.test.rows) <= 15
    assert any("no test side ships" in note for note in data.notes)
    folded, _ = prepare(manifest, tmp_path / "cache", folds=2)
    assert any("the shipped validation side is not used" in note for note in folded.notes)
    assert [image.shipped for image in folded.as_split.images] == [row.side for row in folded.rows]


def test_a_test_side_that_is_drawn_is_the_same_for_every_seed(stroke_set: Path, tmp_path: Path) -> None:
    manifest = manifest_of(stroke_set, lambda number, name: "")
    first, _ = prepare(manifest, tmp_path / "cache", seed=0)
    second, _ = prepare(manifest, tmp_path / "cache", seed=5)
    assert first.test_digest == second.test_digest
    assert first.split_digest != second.split_digest


def test_a_damaged_cache_is_made_anew(stroke_set: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    whole, _ = prepare(stroke_set, cache)
    expected_NHW = np.array(open_images(whole.test.arrays["32"]))
    for damaged in [*cache.rglob("images.npy"), *cache.rglob("facts.json"), *cache.rglob("audits/*.json")]:
        damaged.write_bytes(damaged.read_bytes()[:100])
    again, _ = prepare(stroke_set, cache)
    assert again.rows == whole.rows
    assert (open_images(again.test.arrays["32"]) == expected_NHW).all()
    for removed in [*cache.rglob("thumbnails.npy"), *cache.rglob("test/*/images.npy")]:
        removed.unlink()
    third, _ = prepare(stroke_set, cache)
    assert (open_images(third.test.arrays["32"]) == expected_NHW).all()


@pytest.mark.parametrize("fault", ["unread", "replaced", "half-written"])
@pytest.mark.parametrize("known", [False, True], ids=["first decoding", "only a size is new"])
def test_a_file_that_changes_while_the_set_is_read_never_reaches_the_cache(
    stroke_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, known: bool
) -> None:
    if known:
        prepare(stroke_set, tmp_path / "cache", (16,))
    victim, other = (path.relative_to(stroke_set).as_posix() for path in sorted(stroke_set.rglob("*.png"))[:2])

    def decode(read, paths, *more):
        def spoilt(path: str) -> bytes:
            if path == victim and fault == "unread":
                raise OSError(5, "Input/output error")
            content = read(other if path == victim and fault == "replaced" else path)
            return content[:300] if path == victim and fault == "half-written" else content

        return decode_images(spoilt, paths, *more)

    with monkeypatch.context() as patched:
        for module in ("prepare", "cache"):
            patched.setattr(f"trainables.data.{module}.decode_images", decode)
        what = {"unread": "Input/output error", "replaced": "changed", "half-written": ".*truncated.*"}[fault]
        with pytest.raises(DataError, match=f"{re.escape(victim)}: {what} while the set was read"):
            prepare(stroke_set, tmp_path / "cache")
        assert not list((tmp_path / "cache").glob("*/*-32px-*"))
        assert known == any((tmp_path / "cache/facts").glob("*"))
    test_rows_and_arrays_are_in_one_order(stroke_set, tmp_path)
    assert not prepare(stroke_set, tmp_path / "cache")[0].examined.unreadable


@pytest.mark.parametrize("damaged", [False, True])
def test_what_another_sweep_places_meanwhile_is_not_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: bool
) -> None:
    folder, source = tmp_path / "development" / "key", tmp_path / "staged.npy"
    np.save(source, np.zeros((3, 8, 8), np.uint8))
    load = np.load
    if damaged:
        folder.mkdir(parents=True)
        (folder / "images.npy").write_bytes(b"half")

    def load_while_another_finishes(path: Path, **how):
        monkeypatch.setattr("numpy.load", load)
        try:
            return load(path, **how)
        finally:
            assert damaged == folder.is_dir()
            assert not is_whole(folder, 3, 8)
            write_part(folder, source, [0, 1, 2])

    monkeypatch.setattr("numpy.load", load_while_another_finishes)
    assert not is_whole(folder, 3, 8)
    assert is_whole(folder, 3, 8), "what the other sweep placed is still there"
    assert [path.name for path in folder.parent.iterdir()] == ["key"]


@pytest.mark.parametrize("setting", sorted(RECIPE))
def test_another_recipe_has_another_place_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    def folders() -> set[Path]:
        return {
            part_folder(tmp_path, part, digest, View(32)) for part in ("development", "test") for digest in ("ab", "cd")
        }

    before = folders()
    assert len(before) == 4
    assert part_folder(tmp_path, "test", "ab", View(32)) != part_folder(tmp_path, "test", "ab", View(48))
    assert part_folder(tmp_path, "test", "ab", View(32)) != part_folder(tmp_path, "test", "ab", View(32, 0))
    monkeypatch.setitem(RECIPE, setting, "other")
    assert not before & folders()


def test_facts_of_another_recipe_are_not_taken(
    stroke_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(stroke_set, tmp_path / "cache", ())
    assert "decoding" not in prepare(stroke_set, tmp_path / "cache", ())[1]
    monkeypatch.setitem(RECIPE, "mode", "crop")
    assert "decoding" in prepare(stroke_set, tmp_path / "cache", ())[1]
