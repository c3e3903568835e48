"""`orchestrate data check|phantom|fetch` and `orchestrate gc` as a user types them."""

import csv
import json
import os
import time
from pathlib import Path

import pytest
from set_support import write_images, write_table
from tests_support import Finished, Orchestrate

from orchestrator.errors import BadInput
from orchestrator.inspecting.data import write_phantom
from orchestrator.inspecting.fetching import fetch_data
from trainables.catalog import TASKS
from trainables.data.phantom import PHANTOMS
from trainables.data.phantom.files import SetFolder
from trainables.data.read import read_data_set
from trainables.data.records import PHANTOM_MARK, is_phantom

CONTRACT = {
    "images", "unreadable", "exact_duplicates", "near_duplicates", "groups", "group_sizes", "cross_split_leaks",
    "shortcuts", "verdict",
}  # fmt: skip


@pytest.mark.parametrize("task", sorted(TASKS))
def test_every_phantom_is_read_in_its_tasks_own_layout(task: str, tmp_path: Path) -> None:
    PHANTOMS[task](tmp_path / task, 12, 0)
    data_set = read_data_set(TASKS[task], tmp_path / task)
    assert {record.label for record in data_set.records} == set(range(len(TASKS[task].classes)))
    assert all(record.patient_id for record in data_set.records)
    with (tmp_path / task / "patients.csv").open(newline="") as file:
        paths = {row["path"] for row in csv.DictReader(file)}
    seen = {record.path for record in data_set.records} | {record.second_path for record in data_set.records} - {None}
    assert len(seen) == len(paths)


def test_a_phantom_is_known_whatever_part_of_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    PHANTOMS["alzheimer"](tmp_path / "ph", 16, 0)
    PHANTOMS["tumor_binary"](tmp_path / "heads", 8, 0)
    file = next((tmp_path / "ph/data").glob("train*"))
    images = sorted(path.relative_to(tmp_path) for path in (tmp_path / "heads").glob("[yn]*/*"))
    (tmp_path / "all.csv").write_text("\n".join(["path,label", *(f'"{path}",{path.parent.name}' for path in images)]))
    real = tmp_path / "real"
    write_images(real, "yes/1.png", "no/1.png")
    write_table(real / "m.csv", "path,label", "yes/1.png,yes", "no/1.png,no")
    for task, given in (
        ("alzheimer", "ph"),
        ("alzheimer", "ph/data"),
        ("alzheimer", file),
        ("tumor_binary", "all.csv"),
    ):
        assert is_phantom(read_data_set(TASKS[task], tmp_path / given)), given
    monkeypatch.chdir(tmp_path / "heads")
    for given in ("../real", "../real/m.csv"):
        assert not is_phantom(read_data_set(TASKS["tumor_binary"], Path(given))), given


def test_links_to_a_phantoms_files_are_a_phantom(tmp_path: Path) -> None:
    PHANTOMS["tumor_binary"](tmp_path / "heads", 8, 0)
    PHANTOMS["alzheimer"](tmp_path / "stages", 16, 0)
    sources = [
        *(tmp_path / "heads").glob("[yn]*/*"),
        *(tmp_path / "stages/data").glob("train*"),
    ]
    for source in sources:
        link = tmp_path / "links" / source.relative_to(tmp_path)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(source)
    assert is_phantom(read_data_set(TASKS["tumor_binary"], tmp_path / "links/heads"))
    assert is_phantom(read_data_set(TASKS["alzheimer"], tmp_path / "links/stages"))


@pytest.mark.parametrize("content", [b"notes on the scanner's phantom\n", b"\xff\xfe", b""])
def test_a_file_of_the_marks_name_makes_no_phantom(tmp_path: Path, content: bytes) -> None:
    write_images(tmp_path / "set", "yes/1.png", "no/1.png")
    for folder in (tmp_path / "set", tmp_path):
        (folder / PHANTOM_MARK).write_bytes(content)
    (tmp_path / "set/yes" / PHANTOM_MARK).mkdir()
    assert not is_phantom(read_data_set(TASKS["tumor_binary"], tmp_path / "set"))


def test_a_phantom_is_written_checked_and_checked_again(orchestrate_here: Orchestrate, tmp_path: Path) -> None:
    made = orchestrate_here("data", "phantom", "tumor_binary", tmp_path / "set", "--patients", "16", "--seed", "3")
    assert made.exit_code == 0, made.stderr
    assert "16 patients of tumor_binary" in made.stdout
    source = next((tmp_path / "set" / "yes").iterdir())
    (tmp_path / "set" / "no" / f"copy{source.suffix}").write_bytes(source.read_bytes())
    table = tmp_path / "set" / "patients.csv"
    table.write_text(table.read_text() + f"no/copy{source.suffix},somebody else\n")
    checked = orchestrate_here("data", "check", "tumor_binary", "--data", tmp_path / "set", "--json")
    assert checked.exit_code == 0, checked.stderr
    report = checked.json
    assert set(report) > CONTRACT
    assert report["exact_duplicates"] == 1
    assert report["conflicts"] == 1
    assert report["groups"] == 16
    assert report["verdict"] == "warnings"
    page = Path(report["report"])
    assert page.name == "audit.html"
    assert "somebody else" not in page.read_text() + checked.stdout
    again = orchestrate_here("data", "check", "tumor_binary", "--data", tmp_path / "set", "--out", tmp_path / "page")
    assert (tmp_path / "page" / "audit.html").is_file()
    assert "byte for byte" in again.stdout
    first, second = (json.loads(line) for line in (tmp_path / "home" / "test_reads.jsonl").read_text().splitlines())
    assert first["test_digest"] == second["test_digest"] != "", "the test side that a sweep will draw was read"
    assert 0 < first["images"] < report["images"]
    assert (first["who"], first["purpose"]) == ("data check tumor_binary", "preparation")


def test_a_variant_of_a_phantom_is_written_or_refused_with_what_there_is(
    orchestrate_here: Orchestrate, tmp_path: Path
) -> None:
    def phantom(task: str, variant: str, patients: int = 8) -> Finished:
        return orchestrate_here(
            "data", "phantom", task, tmp_path / "set", "--variant", variant, "--patients", str(patients)
        )

    for task, variant, patients, words in (
        ("tumor_ct_mri", "combinations", 8, "did you mean 'combination'? Known: combination, standard"),
        ("stroke", "combination", 8, "--variant: no phantom of stroke 'combination'; Known: standard"),
        ("tumor_ct_mri", "combination", 10, "--patients 10: must be a multiple of 4, over which combination"),
    ):
        refused = phantom(task, variant, patients)
        assert refused.exit_code == 2
        assert words in refused.stderr and refused.stderr.count("\n") == 1
        assert not list(tmp_path.glob("set*"))
    made = phantom("tumor_ct_mri", "combination")
    assert made.exit_code == 0, made.stderr
    assert len(read_data_set(TASKS["tumor_ct_mri"], tmp_path / "set").records) == 8


def test_pairs_that_were_made_are_listed_but_never_inside_the_set(
    orchestrate_here: Orchestrate, tmp_path: Path
) -> None:
    PHANTOMS["tumor_ct_mri"](tmp_path / "set", 8, 0)
    (tmp_path / "set" / "patients.csv").unlink()
    check = ("data", "check", "tumor_ct_mri", "--data", tmp_path / "set")
    for inside in ("set", "set/pages"):
        refused = orchestrate_here(*check, "--out", tmp_path / inside)
        assert refused.exit_code == 2
        assert "lies in the set, where its pairs.csv would be taken for yours" in refused.stderr
    checked = orchestrate_here(*check, "--json")
    assert "paired_by_number" in {finding["kind"] for finding in checked.json["findings"]}
    assert Path(checked.json["report"]).with_name("pairs.csv").read_text().startswith("ct,mri,class,side,group,")
    assert not (tmp_path / "set" / "pairs.csv").exists()


def test_gc_removes_what_a_killed_sweep_left(orchestrate_here: Orchestrate, tmp_path: Path) -> None:
    left = tmp_path / "home" / "cache" / "staging-1-abc"
    left.mkdir(parents=True)
    (left / "64px.npy").write_bytes(b"\0" * 2**20)
    old = time.time() - 3 * 86_400
    os.utime(left, (old, old))
    shown = orchestrate_here("gc", "--dry-run")
    assert "staging-1-abc: 1.0 MiB, left by a killed sweep" in shown.stderr and "removed 0 entries" in shown.stdout
    assert left.exists()
    done = orchestrate_here("gc")
    assert done.exit_code == 0, done.stderr
    assert "staging-1-abc: 1.0 MiB" in done.stderr
    assert "removed 1 entry, 1.0 MiB" in done.stdout
    assert not left.exists()


def test_a_phantom_that_is_broken_off_leaves_nothing_that_passes_for_real(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken_off(folder: Path, patients: int, seed: int) -> None:
        SetFolder(folder)
        assert (folder / PHANTOM_MARK).is_file(), "the mark is there before any image"
        raise KeyboardInterrupt

    monkeypatch.setattr("trainables.data.phantom.PHANTOMS", {"stroke": broken_off})
    with pytest.raises(KeyboardInterrupt):
        write_phantom(TASKS["stroke"], tmp_path / "set", 72, 0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("given", [".", "", "../empty"])
def test_the_folder_that_the_user_is_in_is_not_replaced(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(BadInput, match="is the folder that you are in; name a new one"):
        write_phantom(TASKS["stroke"], Path(given), 72, 0)
    with pytest.raises(BadInput, match="is the folder that you are in; name a new one"):
        fetch_data(TASKS["stroke"], Path(given), print)
    assert not list(Path().iterdir())


def test_a_page_that_cannot_be_written_is_blamed_on_its_own_flag(orchestrate_here: Orchestrate, tmp_path: Path) -> None:
    PHANTOMS["tumor_binary"](tmp_path / "set", 8, 0)
    (tmp_path / "file").write_text("")
    done = orchestrate_here("data", "check", "tumor_binary", "--data", tmp_path / "set", "--out", tmp_path / "file")
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert "--out: " in done.stderr
