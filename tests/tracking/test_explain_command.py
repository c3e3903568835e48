"""`orchestrate explain` with a registered model: panels of every kind of image, and what is refused."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from evidence_support import Model, TestSet, write_evidence
from packaged_support import noise, png, register, winner
from set_support import write_rows, write_table
from tests_support import Finished, run_here

from orchestrator.errors import BadInput
from orchestrator.explain import ExplainedImages, ExplainRequest, explain_images
from orchestrator.home import Home
from orchestrator.inspecting.asked_cases import AskedCases
from orchestrator.promotion.evidence import EVIDENCE_FILE, ExplainerVerdict, digest_of
from orchestrator.promotion.explanation_verdicts import explainer_warnings
from orchestrator.test_ledger import EXPLAIN
from orchestrator.tracking import downloads, promotion, registry
from trainables.catalog import ARCHITECTURES
from trainables.explain.engine import explain
from trainables.inference import to_input
from trainables.models import build_model

SEED = 4
Explain = Callable[..., ExplainedImages]
Command = Callable[..., Finished]


@pytest.fixture(scope="module")
def registered_home(store_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    register(store_home, tmp_path_factory.mktemp("registered"), seed=SEED)
    return store_home


@pytest.fixture
def explained(registered_home: Home, tmp_path: Path) -> Explain:
    def run(*paths: Path, **asked: object) -> ExplainedImages:
        given = {"reference": "stroke", "home": registered_home, "out": tmp_path / "out"} | asked
        return explain_images(
            ExplainRequest(cases=AskedCases([str(path) for path in paths]), **given), lambda *step: None
        )

    return run


@pytest.fixture
def command(registered_home: Home) -> Command:
    return lambda *arguments: run_here(registered_home.root, "explain", *arguments)


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    path = tmp_path / "scan.png"
    path.write_bytes(png(noise(side_px=32)))
    return path


def test_the_command_writes_panels_of_what_can_be_read(command: Command, tmp_path: Path, scan: Path) -> None:
    write_rows(tmp_path / "rows.parquet", [0, 1])
    (tmp_path / "torn.png").write_bytes(png(noise())[:99])
    table = write_table(tmp_path / "list.csv", "path", "scan.png", "gone.png", "")
    out = tmp_path / "out"
    done = command("stroke", tmp_path / "torn.png", table, tmp_path / "rows.parquet", "--out", out, "--json")
    assert done.exit_code == 0, done.stderr
    told = done.json
    assert (told["name"], told["version"], told["alias"], told["out"]) == ("stroke", "1", "champion", str(out))
    assert [one["path"] for one in told["panels"]] == [
        str(scan), f"{tmp_path}/rows.parquet#0", f"{tmp_path}/rows.parquet#1",
    ]  # fmt: skip
    assert [Path(one["panel"]).name for one in told["panels"]] == [
        "panel_1_scan.png", "panel_2_rows_0.png", "panel_3_rows_1.png",
    ]  # fmt: skip
    for one in told["panels"]:
        assert Path(one["panel"]).read_bytes().startswith(b"\x89PNG")
        assert one["explained"] == one["predicted"]
        assert 0.5 <= one["probability"] <= 1
    assert [Path(path).name for path in told["left_out"]] == ["torn.png", "gone.png"]
    assert f"{tmp_path}/gone.png: left out, No such file or directory" in done.stderr.splitlines()
    (refused,) = told["refused"]
    assert refused.startswith("ResNet: layer cnn.layer4: its map of a 32 px image is one cell")
    with np.load(out / "maps.npz") as maps:
        assert {name.partition("/")[2] for name in maps} == {"ResNet fine", "ViT", "ViT attention"}
    rows = list(csv.DictReader((out / "cases.csv").open(encoding="utf-8")))
    assert [row["path"] for row in rows] == [one["path"] for one in told["panels"]]
    assert [out / row["panel"] for row in rows] == [Path(one["panel"]) for one in told["panels"]]


def test_without_out_the_folder_is_named_after_the_version_and_the_table_names_each_panel(
    command: Command, registered_home: Home, scan: Path
) -> None:
    done = command("stroke@1", scan, "--layer", "cnn.layer2", "--colormap", "viridis")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines()[0] == "stroke version 1: explanations-stroke-v1"
    assert done.stdout.splitlines()[1].split() == ["image", "predicted", "probability", "explained", "panel"]
    assert done.stdout.splitlines()[2].split()[-1] == "panel_1_scan.png"
    folder = registered_home.root.parent / "explanations-stroke-v1"
    assert sorted(path.name for path in folder.iterdir()) == ["cases.csv", "maps.npz", "panel_1_scan.png"]
    again = command("stroke@1", scan)
    assert again.exit_code == 2
    assert again.stderr == "orchestrate: --out explanations-stroke-v1: is not empty; name a new folder\n"


def test_maps_are_of_the_versions_weights_and_the_asked_class_and_probabilities_those_it_serves(
    explained: Explain, registered_home: Home, tmp_path: Path, scan: Path
) -> None:
    done = explained(scan, method="relevance", layer="vit", class_name="stroke")
    torch.manual_seed(SEED)
    model = build_model("resnet_vit", winner().trials[0].hyperparameters, 2)
    (explainer,) = [one for one in ARCHITECTURES["resnet_vit"].explainers if one.name == "ViT"]
    expected = explain(model, to_input(torch.from_numpy(noise(side_px=32)[None, None])), [1], explainer)
    with np.load(tmp_path / "out" / "maps.npz") as maps:
        np.testing.assert_allclose(maps["1_scan/ViT"], expected.maps_BHW[0], rtol=1e-4)
    served = registry.predict(registry.load_model(registry.FoundModel("stroke", "1", None)), [scan.read_bytes()])
    (panel,) = done.panels
    assert (panel.predicted, panel.explained) == (served["predicted"][0], "stroke")
    assert panel.probability == pytest.approx(served[f"p_{panel.predicted}"][0])
    assert (done.refused, done.warnings) == ([], unknown("ViT")), "nothing was explained when it was registered"


def unknown(names: str) -> list[str]:
    return [
        f"Not known to be better than maps that know nothing of the model: {names}.",
        f"Not known to change when the model's weights are noise: {names}.",
    ]


def test_a_layer_alone_takes_the_usual_method_and_a_map_of_no_class_is_told(
    explained: Explain, tmp_path: Path, scan: Path
) -> None:
    explained(scan, layer="cnn.layer2.-1", out=tmp_path / "by_layer")
    with np.load(tmp_path / "by_layer" / "maps.npz") as maps:
        assert list(maps) == ["1_scan/Grad-CAM at cnn.layer2.0"]
    done = explained(scan, method="Rollout", layer="vit", class_name="normal")
    assert done.warnings == [*unknown("ViT attention"), "ViT attention: the same for every class."]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["strok", "SCAN"], "no task 'strok'; did you mean 'stroke'?"),
        (["stroke@9", "SCAN"], "stroke@9: no version '9'"),
        (["stroke@champ", "SCAN"], "stroke@champ: no alias 'champ'; did you mean 'champion'?"),
        (["stroke"], "no images: name them by PATH"),
        (["stroke", "gone.png"], "gone.png: no such file or folder"),
        (["stroke", "TORN"], "none of the 1 images can be read, e.g. "),
        (["stroke", "SCAN", "--method", "gradcan"], "--method: no method 'gradcan'; did you mean gradcam"),
        (["stroke", "SCAN", "--method", "fullgrad"], "--method: method 'fullgrad' is not built: it adds maps"),
        (["stroke", "SCAN", "--method", "gradcam"], "--method gradcam: ResNet: layer cnn.layer4: its map of a"),
        (["stroke", "SCAN", "--layer", "cnn.layr4"], "but conv1, bn1, act1, maxpool, layer1, layer2, layer3, layer4"),
        (["stroke", "SCAN", "--layer", "cnn.layr4"], "did you mean cnn.layer4?"),
        (["stroke", "SCAN", "--layer", "vit\nx"], "no layer 'vit\\nx': the model has no 'vit\\nx'"),
        (["stroke", "SCAN", "--layer", "cnn", "--method", "rollout"], "stroke version 1: cnn"),
        (["stroke", "SCAN", "--layer", "vit", "--method", "occlusion"], "occlusion looks at the whole model: leave"),
        (["stroke", "SCAN", "--class", "Strok"], "--class: no class 'Strok'; did you mean 'stroke'?"),
        (["stroke", "SCAN", "--colormap", "infernal"], "--colormap: no colour map 'infernal'; did you mean inferno"),
        (["stroke", "SCAN", "--out", "SCAN"], "is a file or a link; name a new folder"),
        (["stroke", "SCAN", "--out", "no/where"], "--out no/where: the folder that it would stand in does not exist"),
        (["stroke", "SCAN", "--out", "x" * 300], "File name too long"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_leaves_nothing(
    command: Command, registered_home: Home, scan: Path, arguments: list[str], told: str
) -> None:
    torn = scan.parent / "torn.png"
    torn.write_bytes(b"GIF89a")
    given = [{"SCAN": str(scan), "TORN": str(torn)}.get(word, word) for word in arguments]
    there = set(registered_home.root.parent.iterdir()) | set(scan.parent.iterdir())
    done = command(*given, *([] if "--out" in given else ["--out", scan.parent / "out"]))
    assert (done.exit_code, done.stdout) == (2, "")
    assert told in done.stderr
    assert done.stderr.startswith(("orchestrate: ", "Usage: "))
    assert len(done.stderr.splitlines()) == (1 if done.stderr.startswith("orchestrate") else 4)
    assert set(registered_home.root.parent.iterdir()) | set(scan.parent.iterdir()) == there


def test_a_folder_that_holds_something_is_refused_before_a_model_is_fetched(
    explained: Explain, tmp_path: Path, scan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "download_version", lambda found, folder: pytest.fail("fetched"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").touch()
    with pytest.raises(BadInput, match="out: is not empty; name a new folder"):
        explained(scan)


def test_a_model_of_another_number_of_images_is_refused_in_one_line(
    explained: Explain, scan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainables.explain.packaged.Packaged.inputs", ["ct", "mr"])
    with pytest.raises(BadInput, match=r"^stroke version 1: a case of it is 2 images \(ct, mr\), and 1 is given$"):
        explained(scan)


def test_names_from_outside_make_safe_files_that_do_not_collide(explained: Explain, tmp_path: Path) -> None:
    stems = ["two\nlines", "x" * 251, "quo'te\"$(rm) $\\frac{$", "Kopf µ 脑", "%!", "\u202egnp", "a\\$b$", "bad\udcff"]
    folders = [tmp_path / "first", tmp_path / "second"]
    for number, folder in enumerate(folders):
        folder.mkdir()
        (folder / "same.png").write_bytes(png(noise(number)))
    for stem in stems:
        (folders[0] / f"{stem}.png").write_bytes(png(noise()))
    done = explained(*folders, method="gradcam", layer="cnn.layer2")
    names = [panel.panel.name for panel in done.panels]
    assert len(names) == len(set(names)) == len(stems) + 2 == len(list((tmp_path / "out").glob("panel_*.png")))
    for name in names:
        assert set(name) <= {*"_.-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", *"µ脑"}
        assert len(name.encode()) <= 255
    assert sum("same" in name for name in names) == 2
    json.dumps(done.to_json())
    with (tmp_path / "out" / "cases.csv").open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        assert [row["path"] for row in csv.DictReader(file)] == [panel.path for panel in done.panels]


def test_images_are_noted_before_a_panel_is_seen(
    explained: Explain, tmp_path: Path, scan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = []

    def refuse(home: Home, sha256s: set[str], model: str, who: str) -> None:
        noted.append((len(sha256s), model, who))
        raise BadInput("the ledger cannot be written")

    monkeypatch.setattr("orchestrator.explain.note_predictions", refuse)
    with pytest.raises(BadInput, match="the ledger cannot be written"):
        explained(scan)
    assert noted == [(1, "stroke v1", EXPLAIN)]
    assert not (tmp_path / "out").exists()


def verdict(beats_controls: bool | None, passed: bool | None) -> ExplainerVerdict:
    return ExplainerVerdict(
        method="any", beats_controls=beats_controls, depends_on_model=passed,
        sentences=(f"beats {beats_controls}", f"passed {passed}"),
    )  # fmt: skip


def test_panels_say_what_the_evidence_holds_against_their_explainers(
    explained: Explain, tmp_path: Path, scan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdicts = {
        "ViT": verdict(False, True),
        "ResNet fine": verdict(True, False),
        "ViT attention": verdict(None, None),
        "ResNet": verdict(False, False),  # not shown: it cannot be used at this size
    }
    fetch, notes = downloads.download_version, []
    made = write_evidence(tmp_path / "made", Model(), TestSet(patients=20))
    text = made.evidence.model_copy(update={"explanations": verdicts}).model_dump_json()
    (made.path / EVIDENCE_FILE).write_text(text)

    def with_verdicts(found: registry.FoundModel, folder: Path) -> None:
        fetch(found, folder)
        shutil.rmtree(folder / "evidence", ignore_errors=True)
        shutil.copytree(made.path, folder / "evidence")

    monkeypatch.setattr(downloads, "download_version", with_verdicts)
    monkeypatch.setattr(
        "trainables.explain.case_panels.draw_panel", lambda path, panel, colormap: notes.append(list(panel.notes))
    )
    changed = explained(scan, out=tmp_path / "changed")
    assert changed.warnings == ["evidence.json of the version was changed: what these maps are worth is not known."]
    notes.clear()
    monkeypatch.setattr(promotion, "evidence_digest", lambda *version: digest_of(made.path / EVIDENCE_FILE))
    done = explained(scan)
    assert done.warnings == [
        "ResNet fine: passed False",
        "beats False",
        *unknown("ViT attention"),
    ]
    compared = explained(scan, compare=["hirescam", "gradcam"], out=tmp_path / "compared").compared
    assert {(one.method, one.layer): one.tests for one in compared} == {
        ("hirescam", "cnn.layer2"): "do not rely on it", ("gradcam", "cnn.layer2"): "not known",
    }  # fmt: skip
    own = notes[0]
    assert [note for note in own if note in done.warnings] == done.warnings
    assert any(note.startswith("ResNet fine: HiResCAM at cnn.layer2, ") for note in own), "what each map is"


@pytest.mark.parametrize("text", ["", "[]", '{"explanations": {"ViT": {}}}', "\x00"])
def test_damaged_and_missing_verdicts_are_told_of(tmp_path: Path, text: str) -> None:
    assert explainer_warnings(tmp_path, ["ViT"], None) == unknown("ViT")
    (tmp_path / EVIDENCE_FILE).write_text(text)
    (warning,) = explainer_warnings(tmp_path, ["ViT"], digest_of(tmp_path / EVIDENCE_FILE))
    assert warning.startswith("evidence.json of the version is damaged")
    for digest in ("another", None):
        (warning,) = explainer_warnings(tmp_path, ["ViT"], digest)
        assert warning.startswith("evidence.json of the version was changed")


def test_methods_are_held_side_by_side(command: Command, tmp_path: Path, scan: Path) -> None:
    asked = ["--compare", "gradcam, eigencam", "--layer", "cnn.layer2", "--out", tmp_path / "out"]
    done = command("stroke", scan, *asked, "--json")
    assert done.exit_code == 0, done.stderr
    assert [(one["method"], one["layer"]) for one in done.json["compared"]] == [
        ("gradcam", "cnn.layer2"), ("eigencam", "cnn.layer2")
    ]  # fmt: skip
    assert done.json["compared"][0]["figures"]["pointing"]["map"] is None, "of a real image no lesion is known"
    with (tmp_path / "out" / "comparison.csv").open(encoding="utf-8") as table:
        assert len(list(csv.DictReader(table))) == 2 * 3
    shown = command("stroke", scan, *asked[:4], "--out", tmp_path / "other")
    assert "deletion (lower is better)" in shown.stdout and "eigencam" in shown.stdout
    assert shown.stdout.splitlines()[-1] == "not known: gradcam at cnn.layer2, eigencam at cnn.layer2"


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["--compare", "occlusion"], "occlusion has no layer to choose; compared can be gradcam"),
        (["--compare", "gradcam,,"], "--compare 'gradcam,,': expected methods such as gradcam,eigencam, or cams"),
        (["--class-weights", "stroke=1.5,stroke=2"], "--class-weights: stroke is given twice"),
        (["--layer", " "], "--layer '': expected a path in the model"),
        (["--class-weights", "strok=1.5"], "--class-weights: no class 'strok'; did you mean 'stroke'?"),
        (["--class-weights", "stroke"], "--class-weights 'stroke': expected CLASS=NUMBER, e.g. mild=1.5"),
        (["--class-weights", "stroke=0"], "--class-weights stroke=0: expected a number above 0, 10 at most"),
        (["--class-weights", "stroke=nan"], "--class-weights stroke=nan: expected a number above 0, 10 at most"),
    ],
)
def test_what_cannot_be_compared_or_weighted_is_one_line(
    command: Command, tmp_path: Path, scan: Path, asked: list[str], told: str
) -> None:
    done = command("stroke", scan, *asked, "--out", tmp_path / "out")
    assert done.exit_code == 2 and told in done.stderr and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_class_weight_changes_what_is_drawn_and_no_map(explained: Explain, scan: Path, tmp_path: Path) -> None:
    plain = explained(scan, method="gradcam", layer="cnn.layer2", out=tmp_path / "plain")
    drawn = {"normal": 3.0, "stroke": 3.0}
    weighted = explained(scan, method="gradcam", layer="cnn.layer2", class_weights=drawn, out=tmp_path / "weighted")
    with np.load(plain.out / "maps.npz") as one, np.load(weighted.out / "maps.npz") as other:
        assert all(np.array_equal(one[name], other[name]) for name in one)
    assert plain.panels[0].panel.read_bytes() != weighted.panels[0].panel.read_bytes()
