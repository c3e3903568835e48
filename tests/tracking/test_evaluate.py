"""`orchestrate evaluate`: versions side by side on a labelled set, what is noted, told and written of it."""

import csv
import hashlib
import json
import shutil
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from mlflow import MlflowClient
from packaged_support import register

from orchestrator.cli.evaluate import evaluate
from orchestrator.errors import BadInput
from orchestrator.home import Home
from orchestrator.test_ledger import count_in_words, read_ledger
from orchestrator.tracking.registry import find_model, load_model, predict
from trainables.data.phantom.stroke import write_stroke_phantom
from trainables.data.records import image_files
from trainables.data.views import View
from trainables.errors import ExplanationError
from trainables.explain.class_grid import grid_figure

LEFT_OUT = "deep/test/normalMR/torn.png"


@pytest.fixture(scope="module")
def client(store_home: Home, tmp_path_factory: pytest.TempPathFactory) -> MlflowClient:
    """Version 1 is challenger, 2 is nobody, 3 champion; the first and the last are the same network."""
    for number, seed in enumerate((0, 1, 0)):
        client, _ = register(store_home, tmp_path_factory.mktemp("registered"), f"sweep-{number}", seed)
    client.set_registered_model_alias("stroke", "challenger", "1")
    return client


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "set"
    folder.mkdir()
    write_stroke_phantom(folder, train_patients=8, test_patients=4, slices_per_modality=1, image_px=48)
    (folder / LEFT_OUT).write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    return folder


@pytest.fixture(autouse=True)
def sweep(store_home: Home, client: MlflowClient, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sweep is known, whose test side has three of the images."""
    monkeypatch.setenv("ORCHESTRATE_HOME", str(store_home.root))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    started, plan = SimpleNamespace(sweep_id="known"), SimpleNamespace(data=SimpleNamespace(test_digest="t"))
    known = [SimpleNamespace(started=started, plan=plan)]
    monkeypatch.setattr("orchestrator.test_predictions.all_sweeps", lambda home: (known, []))
    write_sha256s(store_home, "known", "test.csv", image_files(data / "deep" / "test")[:3])
    store_home.test_ledger.unlink(missing_ok=True)


def write_sha256s(home: Home, sweep_id: str, table: str, images: list[Path]) -> None:
    folder = home.sweeps / sweep_id
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"x,{hashlib.sha256(image.read_bytes()).hexdigest()}" for image in images]
    (folder / table).write_text("\n".join(["path,sha256", *lines, ""]))


def told(capsys: pytest.CaptureFixture[str], *about: object, **options: object) -> dict:
    evaluate(*about, as_json=True, **options)
    return json.loads(capsys.readouterr().out)


def test_champion_and_challenger_judge_every_readable_image(
    client: MlflowClient, data: Path, store_home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    shown = told(capsys, "stroke", data=str(data), out=out)
    assert (shown["name"], shown["task"], shown["metric"]) == ("stroke", "stroke", "auroc")
    assert (shown["images"], shown["groups"]) == (24, 12), "of both sides; patients.csv says whose they are"
    assert list(shown["left_out"]) == [LEFT_OUT]
    assert "git-LFS pointer" in shown["left_out"][LEFT_OUT]
    assert [row["version"] for row in shown["rows"]] == ["1", "3"], "equals: the older one stands first"
    assert [row["rank"] for row in shown["rows"]] == [1, 1]
    assert [row["aliases"] for row in shown["rows"]] == [["challenger"], ["champion"]]
    assert shown["rows"][0]["behind_first"] is None
    value, low, high = shown["rows"][1]["behind_first"]["difference"]
    assert value == 0 and low == -high < 0, "twelve groups cannot tell more"
    assert shown["rows"][1]["behind_first"]["p_adjusted"] == 1
    lines = read_ledger(store_home.test_ledger, "t")
    assert [(line.who, line.model, line.images) for line in lines] == [
        ("evaluate", "stroke v3", 3),
        ("evaluate", "stroke v1", 3),
    ]
    assert count_in_words(lines) == "2 evaluations by evaluate, 0 reads for preparation and audits"

    assert sorted(path.name for path in out.iterdir()) == ["version-1", "version-3"]
    table = list(csv.DictReader((out / "version-3" / "stroke_classification_results.csv").open()))
    assert len(table) == 24
    contents = [(data / row["path"]).read_bytes() for row in table]
    frame = predict(load_model(find_model(client, "stroke@3")), contents)
    assert np.allclose([float(row["p_stroke"]) for row in table], frame["p_stroke"], atol=1e-6), "temperature applied"
    metrics = json.loads((out / "version-3" / "metrics.json").read_text())
    assert metrics["test"]["overall"]["metrics"] == {
        name: value for name, (value, *_) in shown["rows"][1]["metrics"].items()
    }
    right = [row["true_label"] == row["predicted_label"] for row in table]
    assert metrics["test"]["overall"]["metrics"]["accuracy"] == np.mean(right)
    assert "validation" not in metrics and "uncalibrated" not in metrics["test"]
    assert metrics["operating_point"]["reason"] == "the version keeps no evidence that holds its threshold"
    figures = {path.name for path in (out / "version-3" / "test").iterdir()}
    assert {"confusion_matrix.png", "roc.png", "reliability.png", "most_wrong.png"} <= figures


def test_a_grid_shows_as_many_images_of_each_class_as_asked(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []

    def watched(tiles, classes, heading):
        drawn.append(([(tile.true, tile.predicted) for tile in tiles], heading))
        return grid_figure(tiles, classes, heading)

    monkeypatch.setattr("trainables.explain.class_grid.grid_figure", watched)
    shown = told(capsys, "stroke@2", data=str(data), out=tmp_path / "out", grid=3)
    table = list(csv.DictReader((tmp_path / "out" / "version-2" / "stroke_classification_results.csv").open()))
    wrong = Counter(row["true_label"] for row in table if row["true_label"] != row["predicted_label"])
    (random, heading), *mistakes = drawn
    assert Counter(true for true, _ in random) == {0: 3, 1: 3}
    assert heading.startswith("stroke version 2: random images of each class; ")
    assert ". Not known to be better than maps that know nothing of the model: " in heading, "it keeps no evidence"
    assert [Counter(true for true, _ in tiles) for tiles, _ in mistakes] == [
        {k: min(3, wrong[name]) for k, name in enumerate(("normal", "stroke")) if wrong[name]}
    ]
    assert all(true != predicted for tiles, _ in mistakes for true, predicted in tiles)
    files = {path.name for path in (tmp_path / "out" / "version-2" / "explanations").iterdir()}
    assert files == {"class_grid.png", "mistakes.png"}
    assert not any("no grid" in note for note in shown["notes"])


def test_versions_that_are_compared_show_the_same_images(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []

    def watched(tiles, classes, heading):
        drawn.append((heading, np.stack([tile.image_HW for tile in tiles])))
        return grid_figure(tiles, classes, heading)

    monkeypatch.setattr("trainables.explain.class_grid.grid_figure", watched)
    told(capsys, "stroke", data=str(data), versions="1,2", out=tmp_path / "out", grid=2)
    one, other = (images for heading, images in drawn if "random" in heading)
    assert np.array_equal(one, other)


def test_an_image_that_went_meanwhile_costs_the_grid_alone(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainables.explain.packaged.Packaged.answers", gone)
    shown = told(capsys, "stroke@2", data=str(data), out=tmp_path / "out", grid=2)
    assert any(note.endswith(": damaged since") and "no grid, deep/" in note for note in shown["notes"])
    assert (tmp_path / "out" / "version-2" / "metrics.json").is_file()


def gone(packaged: object, contents: list) -> SimpleNamespace:
    return SimpleNamespace(reasons=["damaged since"] * len(contents))


def test_a_version_that_cannot_be_explained_is_judged_all_the_same(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(folder: Path) -> None:
        raise ExplanationError("was registered before models could be explained; register it anew with a sweep")

    monkeypatch.setattr("trainables.explain.packaged.load_packaged", refused)
    shown = told(capsys, "stroke@2", data=str(data), out=tmp_path / "out", grid=3)
    assert (
        "stroke version 2: no grid, was registered before models could be explained; register it anew with a sweep"
        in (shown["notes"])
    )
    assert (tmp_path / "out" / "version-2" / "metrics.json").is_file()


def test_the_table_has_a_row_per_version_and_its_difference(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = told(capsys, "stroke", data=str(data), versions="all")
    assert {row["version"] for row in shown["rows"]} == {"1", "2", "3"}
    values = [row["metrics"]["auroc"][0] for row in shown["rows"]]
    assert values == sorted(values, reverse=True)
    evaluate("stroke", data=str(data), versions="2, 3")
    told_twice = capsys.readouterr()
    title, header, *rows = told_twice.out.splitlines()
    assert title == "stroke on 24 images of 12 patients"
    assert header.split("  ")[0].strip() == "rank" and "p (Holm)" in header
    assert {row.split()[1] for row in rows} == {"2", "3"}
    first = next(row for row in shown["rows"] if row["version"] == rows[0].split()[1])
    assert f"{first['metrics']['auroc'][0]:.4f} [" in rows[0]
    assert f"{LEFT_OUT}: left out, a git-LFS pointer" in told_twice.err
    assert "these are phantom images, stroke was trained on real ones" in told_twice.err


def test_one_version_alone_has_no_comparison(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate("stroke@challenger", data=str(data))
    shown = capsys.readouterr().out
    assert "behind the first" not in shown
    assert shown.splitlines()[2].split()[:3] == ["1", "1", "challenger"]


def test_images_that_a_version_has_seen_are_told(
    client: MlflowClient, data: Path, store_home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sha256s(
        store_home,
        "sweep-1",
        "development.csv",
        [path for path in image_files(data / "deep") if path.name != "torn.png"][:5],
    )
    shown = told(capsys, "stroke@2", data=str(data))
    assert shown["rows"][0]["seen_images"] == 5
    instead = "use the test scores of its sweep (orchestrate leaderboard sweep-1)"
    assert f"version 2: 5 of these 24 images are of its own training and validation; {instead}" in shown["notes"]
    client.set_model_version_tag("stroke", "2", "orchestrate.data_digest", shown["data_digest"])
    shown = told(capsys, "stroke@2", data=str(data))
    assert f"version 2: these are the images it was trained on; {instead}" in shown["notes"]


def test_the_digest_is_the_one_that_a_sweep_would_give(data: Path, tmp_path: Path, capsys) -> None:
    from trainables.catalog import TASKS
    from trainables.data.examine import examine_data

    (tmp_path / "staging").mkdir()
    examined = examine_data(TASKS["stroke"], data, (View(16),), tmp_path, tmp_path / "staging", lambda *about: None)
    assert told(capsys, "stroke", data=str(data))["data_digest"] == examined.digest


def test_a_manifest_without_patients_says_what_intervals_are_then(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ["path,label"]
    for number, image in enumerate(image_files(data / "deep" / "train")):
        (tmp_path / f"{number}.png").write_bytes(image.read_bytes())
        lines.append(f"{number}.png,{'stroke' if '1- Stroke' in image.as_posix() else 'normal'}")
    (tmp_path / "set.csv").write_text("\n".join([*lines, ""]))
    shown = told(capsys, "stroke", data=str(tmp_path / "set.csv"))
    assert (shown["images"], shown["groups"]) == (16, 16)
    assert any(note.startswith("no patients are known: each of these images counts as one") for note in shown["notes"])
    assert not any("phantom images" in note for note in shown["notes"]), "copies carry no mark"


def test_what_one_version_cannot_judge_is_left_out_for_all(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def numberless(model, contents):
        calls.append(model)
        frame = predict(model, contents)
        if len(calls) == 2:  # the challenger's only batch
            frame.loc[3, "p_stroke"] = np.nan
        return frame

    monkeypatch.setattr("orchestrator.tracking.answers.predict", numberless)
    shown = told(capsys, "stroke", data=str(data))
    assert (len(calls), shown["images"]) == (2, 23)
    assert "version 1 gives no number for it" in shown["left_out"].values()


def test_images_that_change_between_two_versions_are_no_comparison(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copytree(data, tmp_path / "set")

    def touching(model, contents):
        frame = predict(model, contents)
        first, second = image_files(copy)[:2]
        first.write_bytes(second.read_bytes())
        return frame

    monkeypatch.setattr("orchestrator.tracking.answers.predict", touching)
    with pytest.raises(BadInput, match="images changed while they were evaluated; run it again"):
        evaluate("stroke", data=str(copy))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("reference", "options", "words"),
    [
        ("strok", {}, "did you mean 'stroke'"),
        ("stroke@9", {}, "stroke@9: no version '9'; Known: 1, 2, 3"),
        ("stroke", {"versions": "1,9"}, "stroke@9: no version '9'"),
        ("stroke", {"versions": "1,,2"}, "--versions 1,,2: expected all, or numbers such as 1,3"),
        ("stroke@1", {"versions": "all"}, "--versions all: stroke@1 names one already; leave one of the two out"),
        ("stroke", {"data": "/no/where"}, "--data: /no/where: no such folder"),
        ("stroke", {"data": ""}, "--data: an empty path"),
        ("stroke", {"out": "set"}, "is not empty; name a new folder"),
        ("stroke", {"grid": 4}, "--grid 4: has nowhere to go; name a new folder with --out DIR"),
        ("stroke", {"grid": 0, "out": "set"}, "--grid 0: expected images of each class, 1 to 12"),
        ("stroke", {"grid": 13, "out": "set"}, "--grid 13: expected images of each class, 1 to 12"),
        ("tumor_binary", {"data": "set"}, "tumor_binary: no registered model"),
    ],
)
def test_what_cannot_be_evaluated_is_one_line(
    data: Path, reference: str, options: dict[str, str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"data": str(data), **options} | ({"out": data} if "out" in options else {})
    with pytest.raises(BadInput) as caught:
        evaluate(reference, **given)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capsys.readouterr().out == ""
