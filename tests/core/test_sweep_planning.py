import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.errors import BadInput
from orchestrator.home import Home
from orchestrator.inspecting.data import check_data, write_data_report
from orchestrator.sweep_planning import SweepRequest, plan_sweep
from trainables.catalog import TASKS
from trainables.data.phantom import write_stroke_phantom
from trainables.data.records import PHANTOM_MARK


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantom")
    write_stroke_phantom(folder, train_patients=8, test_patients=4, slices_per_modality=1, image_px=64)
    return folder


@pytest.fixture
def request_for(phantom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("orchestrator.inspecting.architectures.check_weights", lambda spaces, pretrained: None)

    def make(**changes) -> SweepRequest:
        request = SweepRequest(name="stroke_hybrid", home=Home(tmp_path), data=str(phantom), preset="full")
        return replace(request, **changes)

    return make


def plan(request: SweepRequest):
    return plan_sweep(request, lambda what, done, of: None).plan


def test_trial_0_is_published_only_where_nothing_was_changed(request_for) -> None:
    assert plan(request_for(weights="pretrained")).published == {"resnet_vit": True}
    for changes in (
        {"weights": "random"},
        {"weights": None},  # a phantom takes random ones
        {"preset": "quick"},
        {"epochs": 34},
        {"overrides": {"lr": "1e-4"}},
    ):
        assert plan(request_for(**{"weights": "pretrained", **changes})).published == {"resnet_vit": False}, changes


def test_a_search_space_that_keeps_the_defaults_is_still_published(request_for) -> None:
    narrower = {"lr": "{float: [1e-4, 1e-3], default: 3e-4}", "budget.trials": "3"}
    assert plan(request_for(weights="pretrained", overrides=narrower)).published == {"resnet_vit": True}


def test_a_phantom_is_a_phantom_whoever_names_it(request_for, phantom: Path) -> None:
    assert plan(request_for()).registered_name == "stroke_phantom"
    (phantom / PHANTOM_MARK).rename(phantom / "kept")
    try:
        assert plan(request_for()).registered_name == "stroke"
    finally:
        (phantom / "kept").rename(phantom / PHANTOM_MARK)


def test_a_manifest_beside_or_inside_a_phantom_names_a_phantom(request_for, phantom: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(phantom)
    names = sorted(path.relative_to(phantom).as_posix() for path in (phantom / "deep").rglob("*.*"))
    rows = [f'"linked/{name}",{"stroke" if "stroke" in name.lower() else "normal"}' for name in names]
    (tmp_path / "mine.csv").write_text("\n".join(["path,label", *rows]))
    assert plan(request_for(data=str(tmp_path / "mine.csv"))).registered_name == "stroke_phantom"


def test_every_size_that_a_trial_may_ask_for_is_decoded(request_for) -> None:
    overrides = {"image_px": "{choice: [32, 64], default: 64, when: {hflip: true}}", "vit": "test_vit"}
    planned = plan_sweep(request_for(overrides=overrides), lambda what, done, of: None)
    assert set(planned.data.development.arrays) == {"32", "64", "224"}, "224 where the condition does not hold"


def ledger(home: Path) -> list[tuple[str, int, str]]:
    """Return digest, images and reason of each noted read, and see that each has its reader."""
    lines = [json.loads(line) for line in (home / "test_reads.jsonl").read_text().splitlines()]
    assert all(line["who"] in ("sweep stroke_hybrid", "data check stroke") for line in lines)
    return [(line["test_digest"], line["images"], line["why"]) for line in lines]


USUAL = "hashed, decoded where new, audited for leaks"


@pytest.mark.parametrize("refused", [{"folds": 40}, {"weights": "pretrained"}])
def test_a_plan_that_is_refused_has_read_the_test_images_all_the_same(
    request_for, tmp_path: Path, refused: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_weights(spaces: object, pretrained: bool) -> None:
        if pretrained:
            raise BadInput("no weights")

    digest = plan(request_for()).data.test_digest
    (made,) = ledger(tmp_path)
    monkeypatch.setattr("orchestrator.inspecting.architectures.check_weights", no_weights)
    with pytest.raises(BadInput):
        plan(request_for(**refused))
    assert ledger(tmp_path) == [made, made] == [(digest, 8, USUAL)] * 2


def test_a_read_that_is_broken_off_is_noted_without_a_digest(request_for, phantom: Path, tmp_path: Path) -> None:
    data = shutil.copytree(phantom, tmp_path / "set")
    for image in sorted(data.rglob("deep/train/*/*/*"))[:6]:
        image.write_bytes(b"")
    with pytest.raises(BadInput, match="cannot be read, more than 5%"):
        plan(request_for(data=str(data)))
    assert ledger(tmp_path) == [("", 24, "the whole set, test images among it: broken off before it was audited")]


def test_a_layout_that_is_refused_has_read_no_image(request_for, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    with pytest.raises(BadInput):
        plan(request_for(data=str(tmp_path / "set")))
    assert ledger(tmp_path) == []


def test_another_test_side_than_the_shipped_one_is_noted_beside_it(request_for, tmp_path: Path) -> None:
    shipped = plan(request_for()).data.test_digest
    planned = plan(request_for(split="grouped"))
    assert planned.data.split == "grouped"
    assert [digest for digest, _, _ in ledger(tmp_path)] == [shipped, shipped, planned.data.test_digest]


def test_a_check_notes_the_test_side_that_a_sweep_will_draw(request_for, phantom: Path, tmp_path: Path) -> None:
    (phantom / "patients.csv").rename(phantom / "kept")  # another patient than the manifest gives
    manifest = phantom / "manifest.csv"
    names = [path.relative_to(phantom).as_posix() for path in sorted(phantom.glob("deep/*/*/*/*"))]
    names += [path.relative_to(phantom).as_posix() for path in sorted(phantom.glob("deep/test/*/*"))]
    lines = [f'"{name}",{"stroke" if "stroke" in Path(name).parent.name.lower() else "normal"}' for name in names]
    manifest.write_text("\n".join(["path,label", *lines]))
    try:
        check_data(TASKS["stroke"], manifest, "--data", Home(tmp_path), None, lambda what, done, of: None)
        digest = plan(request_for(data=str(manifest), seed=5)).data.test_digest
        ((checked, images, why), (planned, _, _)) = ledger(tmp_path)
        assert (checked, planned, why) == (digest, digest, "audited for leaks")
        assert 0 < images < len(names)
        manifest.write_text("\n".join(["path,label,patient_id", *(f"{line},one" for line in lines)]))
        check_data(TASKS["stroke"], manifest, "--data", Home(tmp_path), None, lambda what, done, of: None)
        unsplit = ("", len(names), "the whole set, test images among it: no test side can be drawn")
        assert ledger(tmp_path)[2:] == [unsplit]
    finally:
        manifest.unlink()
        (phantom / "kept").rename(phantom / "patients.csv")


def test_a_disk_without_room_for_the_images_is_told(request_for, monkeypatch: pytest.MonkeyPatch) -> None:
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("trainables.data.cache.shutil.disk_usage", lambda path: usage(0, 0, 1000))
    with pytest.raises(BadInput, match="decoded images need"):
        plan(request_for())


def test_the_sheets_show_the_strongest_augmentation_of_the_search(
    request_for, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = {
        "image_px": "32", "vit": "test_vit", "hflip": "{choice: [true, false], default: false}",
        "rotation_deg": "{float: [0, 25], default: 0}", "noise": "0.1",
    }  # fmt: skip
    planned = plan_sweep(request_for(overrides=overrides), lambda what, done, of: None)
    drawn = []
    monkeypatch.setattr("trainables.data.reporting.report_data", lambda *_: None)
    monkeypatch.setattr("trainables.data.reporting.draw_sheets", lambda *given: drawn.append(given))
    space = planned.plan.architectures["resnet_vit"]
    write_data_report(tmp_path, TASKS["stroke"], planned.data, "resnet_vit", space, seed=0)
    ((_, _, _, view, shown, _),) = drawn
    assert view.name == "32"
    assert (shown.hflip, shown.rotation_deg, shown.noise, shown.zoom_fraction) == (True, 25, 0.1, 0)
