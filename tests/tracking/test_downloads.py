"""`orchestrate models TASK --download DIR`: which version, whole or not at all, never over something else."""

import json
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient
from packaged_support import noise, png, register

from orchestrator.cli.models import show_models
from orchestrator.errors import BadInput
from orchestrator.home import Home
from orchestrator.tracking.registry import FoundModel, find_model, load_model, predict


@pytest.fixture(scope="module")
def client(store_home: Home, tmp_path_factory: pytest.TempPathFactory) -> MlflowClient:
    return register(store_home, tmp_path_factory.mktemp("registered"))[0]


@pytest.fixture(autouse=True)
def settings(store_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRATE_HOME", str(store_home.root))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]):
    """Return the JSON object of a download into a folder."""

    def run(folder: Path, **options: str | None) -> dict[str, object]:
        show_models("stroke", download=folder, as_json=True, **options)
        return json.loads(capsys.readouterr().out)

    return run


def test_a_version_is_found_by_number_alias_or_as_predict_does(client: MlflowClient) -> None:
    assert find_model(client, "stroke") == FoundModel("stroke", "1", "champion")
    assert find_model(client, "stroke@1") == FoundModel("stroke", "1", None)
    with pytest.raises(BadInput, match=r"^stroke@4: no version '4'; Known: 1$"):
        find_model(client, "stroke@4")
    with pytest.raises(BadInput, match="did you mean 'champion'"):
        find_model(client, "stroke@champio")
    with pytest.raises(BadInput, match=r"^alzheimer: no registered model; run a sweep of its task first"):
        find_model(client, "alzheimer@challenger")
    with pytest.raises(BadInput, match=r"^stroke@: expected an alias or a number after the @"):
        find_model(client, "stroke@")


def test_a_download_is_the_whole_model(client: MlflowClient, told, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    assert told(tmp_path / "model") == {
        "name": "stroke",
        "version": "1",
        "alias": "champion",
        "format": "mlflow",
        "folder": str(tmp_path / "model"),
        "max_probability_difference": None,
    }
    assert list(tmp_path.iterdir()) == [tmp_path / "model"], "nothing else is left"
    assert (tmp_path / "model/artifacts/classifier/MODEL_CARD.md").is_file()
    decided = json.loads((tmp_path / "model/evidence/decision.json").read_text())
    assert decided == {"name": "stroke", "version": "1", "decision": None, "moves": []}, "made champion by hand"
    frame = mlflow.pyfunc.load_model(str(tmp_path / "model")).predict({"image": [noise()]})
    expected = predict(load_model(find_model(client, "stroke")), [png(noise())])
    assert np.allclose(frame[["p_normal", "p_stroke"]], expected[["p_normal", "p_stroke"]], atol=1e-6)


def test_an_export_is_shown_with_its_difference(client: MlflowClient, told, tmp_path: Path, capsys) -> None:
    shown = told(tmp_path / "graph", version="1", kind="pt2")
    assert 0 <= shown["max_probability_difference"] < 1e-5
    assert sorted(path.name for path in (tmp_path / "graph").iterdir()) == [
        "config.json",
        "dicom.py",
        "images.py",
        "model.pt2",
    ]


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("full", {}, "--download {root}/full: is not empty; name a new folder"),
        ("file", {}, "--download {root}/file: is a file or a link; name a new folder"),
        ("none/below", {}, "the folder that it would stand in does not exist"),
        ("new", {"kind": "onx"}, "--format: no format 'onx'; did you mean 'onnx'"),
        ("new", {"version": "7"}, "stroke@7: no version '7'"),
        (None, {"version": "1"}, "--version: is of a download; add --download DIR"),
        (None, {"kind": "pt2"}, "--format: is of a download; add --download DIR"),
    ],
)
def test_what_cannot_be_downloaded_is_told_and_nothing_is_written(
    client: MlflowClient, tmp_path: Path, name: str | None, options: dict[str, str], words: str
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BadInput) as caught:
        show_models("stroke", download=tmp_path / name if name else None, **options)
    assert words.format(root=tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_onnx_without_its_packages_is_refused_before_the_download(
    client: MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainables.exporting.ONNX_PACKAGES", ("no_such_package",))
    monkeypatch.setattr("orchestrator.tracking.downloads.download_version", lambda *about: pytest.fail("downloaded"))
    with pytest.raises(BadInput, match=r"^--format onnx: ONNX needs no_such_package: pip install .* --format pt2$"):
        show_models("stroke", download=tmp_path / "new", kind="onnx")
