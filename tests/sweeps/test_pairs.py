"""A task of two images from data to prediction: one small sweep, and every command that takes pairs, in its home."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from set_support import write_table
from tests_support import Finished, run_here, with_store
from without_ray import without_ray

from orchestrator.cli.show import show_result
from orchestrator.home import Home
from orchestrator.journal import read_events
from orchestrator.sweep_result import SweepResult
from orchestrator.sweep_state import replay
from orchestrator.tracking.registry import find_model, load_model
from orchestrator.tracking.store import open_store
from trainables.data.phantom import write_tumor_ct_mri_phantom

SMALL = ["sweep", "tumor_ct_mri", "--preset", "quick", "--architectures", "cross_modal", "--trials", "1"]
FASTER = ["--epochs", "1", "--finalists", "1", "--slots", "1", "--set", "image_px=32"]
PHANTOM = "tumor_ct_mri_phantom"


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pairs") / "set"
    write_tumor_ct_mri_phantom(root, patients=70, slices_per_modality=1, image_px=64)
    return root


@pytest.fixture(scope="module")
def swept(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Finished]:
    home = tmp_path_factory.mktemp("swept") / "home"
    with without_ray():
        done = run_here(with_store(home), *SMALL, *FASTER, "--data", pairs, "--json")
    assert done.exit_code == 0, done.stderr
    return home, done


def of_class(root: Path, name: str) -> tuple[Path, Path]:
    """Return the two images of a patient."""
    trees = (("Brain Tumor CT scan Images", "ct"), ("Brain Tumor MRI images", "mri" if name == "healthy" else ""))
    ct, mri = (min((root / "Dataset" / tree / name.title()).glob(f"{kind}*(1).jpg")) for tree, kind in trees)
    return ct, mri


def test_the_leaderboard_has_the_score_with_shuffled_partners(swept: tuple[Path, Finished]) -> None:
    home, done = swept
    (row,) = run_here(home, "leaderboard", done.json["sweep_id"], "--json").json["rows"]
    shuffled = row["repaired"]["log_loss"]
    assert shuffled[1] < shuffled[0] < shuffled[2]
    assert shuffled[0] == pytest.approx(row["test"]["log_loss"][0], rel=0.3), "nothing is learned in an epoch"
    text = run_here(home, "leaderboard", done.json["sweep_id"]).stdout
    assert "partners shuffled: test images with the partner of another patient of their class" in text
    (line,) = csv.DictReader(io.StringIO(run_here(home, "leaderboard", done.json["sweep_id"], "--csv").stdout))
    assert float(line["test_auroc_partners_shuffled"]) == pytest.approx(row["repaired"]["auroc"][0])
    assert (line["test_auroc_partners_shuffled_mark"] == "no loss") == ("no loss" in text)
    assert "partners shuffled" in Path(done.json["report"]).read_text(encoding="utf-8")


def test_a_finalist_has_maps_of_both_images_and_what_they_ask_of_each_other(swept: tuple[Path, Finished]) -> None:
    folder = Path(swept[1].json["journal"]).parent / "finalists"
    (told,) = (json.loads(file.read_text()) for file in folder.glob("*/explanations/explanations.json"))
    names = {f"{image} {what}" for image in ("CT", "MRI") for what in ("Grad-CAM", "relevance", "attention")}
    assert set(told["explainers"]) == names
    (cross,) = folder.glob("*/explanations/cross_attention")
    kinds = ("attention", "sketch", "features", "fused", "similarity")
    assert {path.stem.rpartition("_")[2] for path in cross.glob("cross_0*.png")} == set(kinds)
    rows = list(csv.DictReader((cross / "cross_attention.csv").open()))
    assert {row["direction"] for row in rows} == {"CT to MRI", "MRI to CT"}
    assert [float(row["mean"]) for row in rows] == pytest.approx([1 / 16] * len(rows))
    with np.load(cross / "cross_maps.npz", allow_pickle=False) as maps:
        attention = [maps[name] for name in maps.files if name.endswith("/attention")]
    assert attention and all(np.allclose(one.sum(axis=-1), 1, atol=1e-5) for one in attention)


def test_a_pair_is_predicted_alike_by_every_way_of_naming_it(
    swept: tuple[Path, Finished], pairs: Path, tmp_path: Path
) -> None:
    home, (ct, mri) = swept[0], of_class(pairs, "tumor")
    one = run_here(home, "predict", PHANTOM, "--pair", ct, mri)
    assert one.exit_code == 0, one.stderr
    (row,) = csv.DictReader(io.StringIO(one.stdout))
    assert list(row) == ["path", "second_path", "predicted", "p_healthy", "p_tumor", "model_version"]
    assert (row["path"], row["second_path"]) == (str(ct), str(mri))
    table = pairs / "few.csv"
    lines = [f"{ct.relative_to(pairs)},{mri.relative_to(pairs)}", "gone.png,other.png"]
    write_table(table, "ct,mri", *lines)
    of_table = run_here(home, "predict", PHANTOM, "--pairs", table, "--out", tmp_path / "out.csv")
    table.unlink()
    assert of_table.exit_code == 0, of_table.stderr
    assert "gone.png + " in of_table.stderr and "left out, " in of_table.stderr
    (same,) = csv.DictReader((tmp_path / "out.csv").open())
    assert {name: same[name] for name in row if name != "path"} == {n: row[n] for n in row if n != "path"}
    swapped = next(csv.DictReader(io.StringIO(run_here(home, "predict", PHANTOM, "--pair", mri, ct).stdout)))
    assert swapped["p_tumor"] != row["p_tumor"]
    model = load_model(find_model(open_store(Home(home), None), PHANTOM))
    frame = pd.DataFrame({"ct": [ct.read_bytes()], "mri": [mri.read_bytes()]})
    assert float(model.predict(frame)["p_tumor"][0]) == pytest.approx(float(row["p_tumor"]), abs=1e-6)


def test_a_pair_is_explained_on_both_images(swept: tuple[Path, Finished], pairs: Path, tmp_path: Path) -> None:
    home, (ct, mri) = swept[0], of_class(pairs, "tumor")
    done = run_here(home, "explain", f"{PHANTOM}@1", "--pair", ct, mri, "--out", tmp_path / "out", "--json")
    assert done.exit_code == 0, done.stderr
    (panel,) = done.json["panels"]
    assert panel["path"] == f"{ct} + {mri}"
    assert Path(panel["panel"]).read_bytes().startswith(b"\x89PNG")
    with np.load(tmp_path / "out/maps.npz", allow_pickle=False) as maps:
        assert any(name.endswith("/CT Grad-CAM") for name in maps.files)


def test_a_labelled_set_of_pairs_is_evaluated(swept: tuple[Path, Finished], pairs: Path) -> None:
    done = run_here(swept[0], "evaluate", PHANTOM, "--data", pairs, "--json")
    assert done.exit_code == 0, done.stderr
    assert done.json["images"] == 70


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "no images: say --pair CT MRI, or --pairs FILE.csv with the columns ct, mri"),
        (["CT"], "a case of tumor_ct_mri is 2 images; say --pair CT MRI, or --pairs FILE.csv"),
        (["CT", "--pair", "CT", "MRI"], "PATH and --pair: one of them says which images"),
        (["--pair", "CT", "gone.png"], "gone.png: no such file or folder"),
        (["--pair", "CT", "SET"], "expected one image file, as a case has one of each kind"),
        (["--pair", "CT", "TORN"], "left out, mri: "),
        (["--pairs", "gone.csv"], "gone.csv: no such file"),
        (["--pairs", "WRONG"], "expected columns ct, mri, got path"),
        (["--pairs", "HALF"], "no mri"),
        (["--pairs", "TWICE"], "column ct stands twice; keep one"),
        (["--pairs", "NUL"], "embedded null byte"),
        (["--pairs", "SAME"], "the same file as both images"),
        (["--pairs", "SET"], "is a folder; name a CSV file"),
        (["--pair", "CT", "CT"], "the same file as both images; a case has one of each kind"),
        (["--pair", "CT", "MRI", "--pair", "CT", "MRI"], "--pair: is given 2 times; list several in a CSV file"),
        (["--pairs", "HALF", "--pairs", "SAME"], "--pairs: is given 2 times; put all rows into one file"),
        (["--pair", "DOTTED", "CT"], "the same file as both images; a case has one of each kind"),
        (["--pairs", "SPELT"], "the same file as both images"),
    ],
)
@pytest.mark.parametrize("command", ["predict", "explain"])
def test_what_is_no_pair_is_told_in_one_line(
    swept: tuple[Path, Finished], pairs: Path, tmp_path: Path, command: str, arguments: list[str], told: str
) -> None:
    ct, mri = of_class(pairs, "healthy")
    (tmp_path / "torn.png").write_bytes(b"GIF89a")
    words = {
        "CT": ct, "MRI": mri, "SET": pairs, "TORN": tmp_path / "torn.png",
        "WRONG": write_table(tmp_path / "wrong.csv", "path", "a.png"),
        "TWICE": write_table(tmp_path / "twice.csv", "ct,mri,ct", "a.png,b.png,c.png"),
        "NUL": write_table(tmp_path / "nul.csv", "ct,mri", "a\0.png,b.png"),
        "SAME": write_table(tmp_path / "same.csv", "ct,mri", "a.png,a.png"),
        "SPELT": write_table(tmp_path / "spelt.csv", "ct,mri", f"a.png,{tmp_path / 'a.png'}"),
        "DOTTED": ct.parent / ".." / ct.parent.name / ct.name,
        "HALF": write_table(tmp_path / "half.csv", "ct,mri", "a.png,"),
    }  # fmt: skip
    done = run_here(swept[0], command, PHANTOM, *(words.get(word, word) for word in arguments))
    assert done.exit_code == 2
    wanted = told.removeprefix("left out, ") if command == "explain" else told
    assert wanted in done.stderr
    assert "Traceback" not in done.stderr


def test_a_task_of_one_image_takes_no_pair(swept: tuple[Path, Finished], pairs: Path) -> None:
    done = run_here(swept[0], "predict", "stroke", "--pair", *of_class(pairs, "healthy"))
    assert (done.exit_code, done.stdout) == (2, "")
    assert "--pair: a case of stroke is one image; name images by PATH" in done.stderr


def test_the_next_command_names_a_pair(swept: tuple[Path, Finished], capsys: pytest.CaptureFixture[str]) -> None:
    journal = Path(swept[1].json["journal"])
    show_result(SweepResult(journal.parent, replay(read_events(journal)[0]), 1.0), as_json=False)
    assert "next: orchestrate predict tumor_ct_mri_phantom --pair CT MRI" in capsys.readouterr().out
