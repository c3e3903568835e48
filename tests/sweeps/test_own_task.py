"""A user's own task from a folder to a model in use, through every process that must know it."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from dicom_support import HEADER, write_head_set
from tests_support import run_command, with_store

pytestmark = [pytest.mark.sweep, pytest.mark.faults]
SMALL = ["--architectures", "baseline_cnn", "--set", "image_px=32", "--epochs", "1", "--finalists", "1", "--slots", "1"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for label in ("1- Well", "2- Ill"):
        for patient in range(12):
            for n in range(2):
                path = tmp_path / "scans" / label / f"{label[3]}{patient}" / f"{n}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), rng.integers(0, 255, (40, 40)).astype(np.uint8))
    return tmp_path / "scans"


def test_init_sweep_resume_replay_predict_and_explain(folder: Path, tmp_path: Path) -> None:
    home = with_store(tmp_path / "home")
    begun = run_command(home, "init", folder, "--out", tmp_path / "mine.yaml", "--name", "mine", "--json")
    assert begun.exit_code == 0, begun.stderr
    assert (begun.json["classes"], begun.json["groups"]) == (["well", "ill"], 24)
    done = run_command(
        home, "sweep", "--task", tmp_path / "mine.yaml", *SMALL, "--trials", "1", "--id", "own", "--json"
    )
    assert done.exit_code == 0, done.stderr
    assert (done.json["task"], done.json["data_kind"], done.json["registered"]["name"]) == ("mine", "real", "mine")
    (tmp_path / "mine.yaml").unlink()
    longer = run_command(home, "resume", "own", "--trials", "2", "--json")
    assert longer.exit_code == 0, longer.stderr
    assert longer.json["trials"] == 2
    again = run_command(home, "replay", "own", "0", "--json")
    assert (again.exit_code, again.json["largest_difference"]) == (0, 0), again.stderr
    warm = run_command(home, "sweep", "--task", "mine", *SMALL, "--trials", "2", "--warm-start", "--json")
    assert warm.exit_code == 0, warm.stderr
    image = next(folder.rglob("*.png"))
    predicted = run_command(home, "predict", "mine", image)
    assert predicted.stdout.splitlines()[0] == "path,predicted,p_well,p_ill,model_version"
    assert run_command(home, "explain", "mine", image, "--out", tmp_path / "why").exit_code == 0
    evaluated = run_command(home, "evaluate", "mine", "--data", folder, "--json")
    assert (evaluated.exit_code, evaluated.json["images"]) == (0, 48), evaluated.stderr
    every = run_command(home, "sweep", "--all", "--architectures", "baseline_cnn", "--dry-run", "--json")
    assert "mine" in [one["plan"]["task"] for one in every.json["plans"]]


def test_no_tag_of_a_dicom_file_is_written_anywhere(tmp_path: Path) -> None:
    home, heads = with_store(tmp_path / "home"), write_head_set(tmp_path / "heads", side_px=48)
    begun = run_command(home, "init", heads, "--out", tmp_path / "heads.yaml", "--json")
    assert begun.exit_code == 0, begun.stderr
    assert begun.json["groups"] == 20
    done = run_command(home, "sweep", "--task", "heads", *SMALL, "--trials", "1", "--json")
    assert done.exit_code == 0, done.stderr
    image = next((heads / "bleeding").iterdir())
    answers = [
        run_command(home, "predict", "heads", heads),
        run_command(home, "explain", "heads", image, "--out", home / "why"),
        run_command(home, "evaluate", "heads", "--data", heads, "--out", home / "evaluated"),
    ]
    said = [begun, done, *answers]
    assert [one.exit_code for one in said] == [0] * len(said), [one.stderr for one in said]
    secrets = [value.encode() for value in (*HEADER.values(), "MRN-0815")]
    shown = "".join(one.stdout + one.stderr for one in said).encode()
    assert not [value for value in secrets if value in shown]
    written = [path for path in home.rglob("*") if path.is_file()]
    assert len(written) > 100
    assert not [(path, value) for path in written for value in secrets if value in path.read_bytes()]
