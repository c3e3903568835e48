"""`orchestrate predict` with a registered model: every kind of input, in batches, and what cannot be read."""

import csv
import io
from pathlib import Path

import pytest
from packaged_support import noise, png, register
from set_support import write_rows, write_table

from orchestrator.cli import predict as command
from orchestrator.errors import BadInput
from orchestrator.home import Home


@pytest.fixture(scope="module")
def registered_home(store_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    register(store_home, tmp_path_factory.mktemp("registered"))
    return store_home


@pytest.fixture(autouse=True)
def settings(registered_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRATE_HOME", str(registered_home.root))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(5):
        (folder / f"{number}.png").write_bytes(png(noise(number)))
    return folder


def table_of(text: str) -> dict[str, list[float]]:
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == ["path", "predicted", "p_normal", "p_stroke", "model_version"]
    assert {row["model_version"] for row in rows} == {"1"}
    return {row["path"]: [float(row["p_normal"]), float(row["p_stroke"])] for row in rows}


def test_files_rows_and_lists_are_predicted_alike_in_batches(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "BATCH", 2)
    monkeypatch.setattr(command, "TABLE_IN_MEMORY_BYTES", 100)
    contents = write_rows(tmp_path / "rows.parquet", [0, 1, 2])
    (tmp_path / "row1.jpg").write_bytes(contents[1])
    table = write_table(tmp_path / "list.csv", "path", "row1.jpg", "scans/3.png", "scans/gone.png")
    (scans / "empty.jpg").write_bytes(b"")
    command.predict("stroke", [str(scans), str(tmp_path / "rows.parquet"), str(table)])
    told = capsys.readouterr()
    found = table_of(told.out)
    assert [Path(name).name for name in found] == [
        *(f"{number}.png" for number in range(5)), "rows.parquet#0", "rows.parquet#1", "rows.parquet#2", "row1.jpg",
    ]  # fmt: skip
    assert len(told.out.splitlines()) == 1 + 10, "scans/3.png stands twice: once of the folder, once of the list"
    assert found[f"{tmp_path}/rows.parquet#1"] == pytest.approx(found[f"{tmp_path}/row1.jpg"], abs=1e-6)
    assert found[f"{scans}/0.png"] != pytest.approx(found[f"{scans}/1.png"], abs=1e-6)
    assert told.err.splitlines() == [
        "stroke version 1 (champion)",
        f"{scans}/empty.jpg: left out, empty file",
        f"{scans}/gone.png: left out, No such file or directory",
    ]


def test_the_table_goes_to_a_file_and_never_over_what_is_read(scans: Path, tmp_path: Path) -> None:
    command.predict("stroke@1", [str(scans)], out=tmp_path / "out.csv")
    assert len(table_of((tmp_path / "out.csv").read_text())) == 5
    table = write_table(tmp_path / "list.csv", "path", "scans/3.png")
    (tmp_path / "link.csv").symlink_to(table)
    for given, out in (
        (table, table),
        (table, scans / "3.png"),
        (scans, scans / "0.png"),
        (table, tmp_path / "link.csv"),
    ):
        before = out.read_bytes()
        with pytest.raises(BadInput, match="is one of the images or tables that are read; name another file"):
            command.predict("stroke", [str(given)], out=out)
        assert out.read_bytes() == before


def test_a_model_of_another_number_of_images_is_refused_in_one_line(
    scans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.tracking.registry.inputs_of", lambda model: ["ct", "mr"])
    with pytest.raises(BadInput, match=r"^stroke version 1: a case of it is 2 images \(ct, mr\), and 1 is given$"):
        command.predict("stroke", [str(scans)])


def test_nothing_is_shown_where_no_image_can_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "torn.parquet").write_bytes(b"PAR1")
    with pytest.raises(BadInput, match=r"^none of the 1 images can be read$"):
        command.predict("stroke", [str(tmp_path)])
    told = capsys.readouterr()
    assert told.out == ""
    assert "torn.parquet: left out, cannot be read as parquet" in told.err
