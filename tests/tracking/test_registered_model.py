"""A registered version by itself: in a process without the project, beside another version, and what it refuses."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PyFuncModel
from packaged_support import TEMPERATURE, in_base64, noise, png, register, write_smoke, write_two_images

from orchestrator.errors import BadInput
from orchestrator.home import Home
from orchestrator.promotion.policy import DEFAULT_POLICY, read_policy
from orchestrator.tracking.logged_model import save_model
from orchestrator.tracking.model_files import model_checks
from orchestrator.tracking.promotion import EVIDENCE_DIGEST_TAG, promote
from orchestrator.tracking.registry import find_model, inputs_of, load_model, predict
from trainables.standalone import Classifier

FRESH = """
import json, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in ('orchestrator', 'trainables', 'search_spaces'):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import mlflow, pandas as pd
frame = mlflow.pyfunc.load_model(sys.argv[1]).predict(pd.DataFrame({'image': json.loads(sys.stdin.read())}))
print(json.dumps(frame[['p_normal', 'p_stroke']].values.tolist()))
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("saved")
    save_model(root / "model", write_smoke(root / "classifier", "resnet_vit"))
    return root


@pytest.fixture(scope="module")
def model(saved: Path) -> PyFuncModel:
    return mlflow.pyfunc.load_model(str(saved / "model"))


def refusal(model: PyFuncModel, data: Any) -> str:
    """Return what is told of a request that is refused, as MLflow's server would hand it out."""
    with pytest.raises(MlflowException) as caught:
        model.predict(data)
    error = caught.value
    error.message = f"Failed to predict data '{data}'"  # as MLflow's server has it
    told = json.loads(error.serialize_as_json())
    assert error.get_http_status_code() == 400
    assert "stack_trace" not in told
    assert len(told["message"].splitlines()) == 1
    return told["message"]


def test_a_process_without_the_project_gives_the_same_probabilities(saved: Path, tmp_path: Path) -> None:
    texts = [in_base64(png(noise(seed))) for seed in range(3)]
    environment = os.environ | {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
    done = subprocess.run(
        [sys.executable, "-I", "-c", FRESH, str(saved / "model")],
        cwd=tmp_path, env=environment, input=json.dumps(texts), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    expected_NK, _ = Classifier(saved / "classifier").predict(texts)
    assert np.allclose(json.loads(done.stdout), expected_NK, atol=1e-5)
    assert not list((saved / "model").rglob("*.pkl"))


def test_bytes_text_paths_and_arrays_pass_its_signature(model: PyFuncModel, tmp_path: Path) -> None:
    content = png(noise())
    (tmp_path / "image.png").write_bytes(content)
    images = [content, in_base64(content), tmp_path / "image.png", noise()]
    frame = model.predict(pd.DataFrame({"image": images}))
    assert list(frame.columns) == ["predicted", "p_normal", "p_stroke", "error"]
    assert frame["p_stroke"].nunique() == 1
    assert set(frame["error"]) == {""}
    assert [column.name for column in model.metadata.get_output_schema()] == list(frame.columns)


def test_its_input_example_is_small_nobodys_and_can_be_judged(saved: Path, model: PyFuncModel) -> None:
    assert (saved / "model" / "input_example.json").stat().st_size < 1000
    assert model.predict(model.input_example)["error"].tolist() == [""]


def test_a_bad_case_among_good_ones_is_a_row_with_its_reason(model: PyFuncModel) -> None:
    frame = model.predict(pd.DataFrame({"image": [in_base64(png(noise())), in_base64(b"secret")]}))
    assert frame["error"].tolist() == ["", "not an image of a known format"]
    assert frame["predicted"].tolist()[1] == ""
    rows = json.loads(json.dumps(frame.to_dict(orient="records"), allow_nan=False))
    assert rows[1]["p_stroke"] is None
    assert rows[0]["p_stroke"] + rows[0]["p_normal"] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (pd.DataFrame({"image": [b"secret"]}), "case 0: not an image of a known format"),
        (
            pd.DataFrame({"image": [b"secret"] * 5}),
            "; ".join(f"case {row}: not an image of a known format" for row in range(3)) + "; and 2 more",
        ),
        (pd.DataFrame({"image": ["/etc/hostname"]}), "case 0: text that is not base64; a path must be a pathlib.Path"),
        (pd.DataFrame({"image": [["c2VjcmV0", "c2VjcmV0"]]}), "case 0: 2 images, a case of this model is 1: image"),
        (pd.DataFrame({"image": []}), "no case: send at least one row, its images in the column image"),
        (pd.DataFrame({"picture": ["c2VjcmV0"]}), "no case: send at least one row, its images in the column image"),
        ([], "no case: send at least one row, its images in the column image"),
    ],
)
def test_a_request_of_nothing_good_is_refused_in_one_line(model: PyFuncModel, data: Any, told: str) -> None:
    assert refusal(model, data) == told


def test_a_fault_of_the_model_itself_tells_nothing_of_the_request(
    model: PyFuncModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(cases: list[Any]) -> None:
        raise RuntimeError(f"cannot multiply {cases}")

    monkeypatch.setattr(model.unwrap_python_model()._classifier, "predict", broken)
    with pytest.raises(MlflowException) as caught:
        model.predict(pd.DataFrame({"image": ["c2VjcmV0"]}))
    assert caught.value.message == "the model failed on this request (RuntimeError)"
    assert caught.value.get_http_status_code() == 500


def test_later_code_changes_no_older_version_and_two_run_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The architecture of two images is written twice, its code changed in between: the sign of its logits."""
    for version, sign in (("1", 1), ("2", -1)):
        save_model(tmp_path / version, write_two_images(tmp_path / f"classifier{version}", monkeypatch, sign=sign))
    (tmp_path / "code" / "brighter_of_two.py").write_text("raise RuntimeError('nobody reads this any more')\n")
    first, second = (mlflow.pyfunc.load_model(str(tmp_path / version)) for version in ("1", "2"))
    dark, bright = np.zeros((8, 8), np.uint8), np.full((8, 8), 255, np.uint8)
    case = pd.DataFrame({"ct": [bright], "mr": [dark]})
    answers = [model.predict(case)["predicted"].item() for model in (first, second, first)]
    assert answers == ["ct", "mr", "ct"]
    assert refusal(first, case[["ct"]]) == "no column mr: each case of this model is 2 images, columns ct, mr"
    assert refusal(first, case.assign(mr=None)) == "case 0: mr: no image"


def test_a_case_of_two_images_goes_to_the_columns_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_model(tmp_path / "model", write_two_images(tmp_path / "classifier", monkeypatch))
    model = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    assert inputs_of(model) == ["ct", "mr"]
    bright, dark = (png(np.full((9, 9), grey, dtype=np.uint8)) for grey in (250, 5))
    assert list(predict(model, [[bright, dark], [dark, bright]])["predicted"]) == ["ct", "mr"]


def test_a_winner_is_registered_with_temperature_and_digests_and_predicts_row_by_row(
    store_home: Home, tmp_path: Path
) -> None:
    client, registered = register(store_home, tmp_path)
    assert (registered.name, registered.version) == ("stroke", "1")
    model = load_model(find_model(client, "stroke"))
    classifier = model.unwrap_python_model()._classifier
    assert classifier.temperature == TEMPERATURE
    assert set(classifier.digests) == {"data", "split"}
    assert all(classifier.digests.values())
    assert predict(model, [b""])["error"].tolist() == ["empty file"], "no refusal of all: the command tells each"
    expected_NK, _ = classifier.predict([noise()])
    assert predict(model, [png(noise())])[["p_normal", "p_stroke"]].values == pytest.approx(expected_NK)


def test_files_of_a_model_that_were_changed_are_found_and_not_promoted(store_home: Home, tmp_path: Path) -> None:
    client, registered = register(store_home, tmp_path)
    name, version = registered.name, registered.version
    assert [check.passed for check in model_checks(client, name, version)] == [True]
    files = Path(client.get_model_version_download_uri(name, version).removeprefix("file://"))
    classifier = Path(mlflow.artifacts.download_artifacts(f"models:/{name}/{version}")) if not files.is_dir() else files
    config = classifier / "artifacts" / "classifier" / "config.json"
    text = config.read_text()
    config.write_text(text.replace('"normal"', '"other"'))
    (check,) = model_checks(client, name, version)
    assert not check.passed and check.name == "model files"
    (config.parent / "weights.safetensors").write_bytes(b"")
    config.write_text(text)
    with pytest.raises(BadInput, match=r"its model cannot be loaded \(SafetensorError\).* orchestrate verify stroke@"):
        load_model(find_model(client, f"{name}@{version}"))
    (config.parent / "weights.safetensors").unlink()
    assert not model_checks(client, name, version)[0].passed
    config.parent.joinpath("config.json").unlink()
    client.set_model_version_tag(name, version, EVIDENCE_DIGEST_TAG, "0" * 64)
    client.delete_registered_model_alias(name, "champion")
    with pytest.raises(BadInput, match="its evidence cannot be read"):
        promote(client, name, version, read_policy(DEFAULT_POLICY, "stroke"), "promotion.yaml")
