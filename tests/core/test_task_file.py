"""Task files of users: what three lines give, what is wrong with others in one line, and the copy that a home keeps."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sweep_support import make_plan, started

from orchestrator import own_tasks
from orchestrator.errors import BadInput
from orchestrator.home import Home
from orchestrator.own_tasks import keep_task, load_own_tasks, own_task, task_named
from orchestrator.sweep_state import replay
from orchestrator.task_file import read_task_file
from orchestrator.tuning.trial_setup import TrialSetup
from orchestrator.tuning.trial_setup import own_task as own_task_of
from trainables import catalog

THREE = """
task: lesions
layout: folders
classes: [benign, malignant]
"""


@pytest.fixture(autouse=True)
def only_here() -> Iterator[None]:
    yield
    for name in set(catalog.TASKS) - set(catalog.SHIPPED_TASKS):
        del catalog._TASKS[name]


def written(folder: Path, text: str, name: str = "lesions.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def kept(home: Home, file: Path) -> None:
    task, text = own_task(home, file)
    keep_task(home, task.name, text)


def test_three_lines_are_a_task(tmp_path: Path) -> None:
    task = read_task_file(written(tmp_path, THREE))
    assert (task.name, task.classes, task.layout) == (
        "lesions", ("benign", "malignant"), "trainables.data.layouts.class_folders:read"
    )  # fmt: skip
    assert (task.primary_metric, task.image_names, task.data) == ("auroc", ("image",), "")
    assert task.title == "benign or malignant, from lesions.yaml"


def test_everything_that_a_file_may_say(tmp_path: Path) -> None:
    text = """
task: lesions
layout: manifest
classes: [none, mild, severe]
data: scans/list.csv
title: How bad it is
images: [FLAIR, T1]
aliases: {healthy: none}
modality: MR
columns: {label: dx, patient_id: subject}
patient_id_pattern: '/(P\\d+)_'
primary_metric: quadratic_kappa
severity: [none, mild, severe]
split_fractions: [0.5, 0.2, 0.3]
timm_models: [timm/resnet18]
ct_window_hu: [-600, 1500]
"""
    task = read_task_file(written(tmp_path, text))
    assert task.data == str(tmp_path / "scans/list.csv"), "relative to the file"
    assert (task.image_names, task.images_per_case, task.modality) == (("FLAIR", "T1"), 2, "MR")
    assert (task.columns, task.patient_id_pattern) == ({"label": "dx", "patient_id": "subject"}, "/(P\\d+)_")
    assert (task.severity_K, task.split_fractions) == ((0, 1, 2), (0.5, 0.2, 0.3))
    assert (task.aliases, task.timm_models, task.title) == ({"healthy": "none"}, ("timm/resnet18",), "How bad it is")
    assert (task.primary_metric, task.ct_window_hu) == ("quadratic_kappa", (-600, 1500))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("layout: folders\nclasses: [a, b]", "task: missing; a task file needs task, layout and classes"),
        (THREE + "clases: [a]", "clases: no key 'clases'; did you mean 'classes'?"),
        (THREE.replace("lesions", "stroke"), "task: 'stroke' is a task of this project; give yours another name"),
        (THREE.replace("lesions", "My Task"), "task: 'My Task': expected up to 40 small letters"),
        (THREE.replace("lesions", "x_phantom"), "and no _phantom at the end"),
        (THREE.replace("folders", "foldrs"), "layout: no layout 'foldrs'; did you mean 'folders'?"),
        (THREE.replace("[benign, malignant]", "[benign]"), "classes: expected 2 to 100 names, got 1"),
        (THREE.replace("[benign, malignant]", "[1, 2]"), "classes.0: "),
        (THREE.replace("[benign, malignant]", "['1', '2']"), "classes.0: '1': expected up to 40 letters"),
        (THREE.replace("[benign, malignant]", "[no_tumor, No Tumor]"), "'No Tumor' is read as 'no_tumor' is"),
        (THREE.replace("[benign, malignant]", "['a\\nb', c]"), "classes.0: 'a\\\\nb': expected up to 40 letters"),
        (THREE + "aliases: {good: bening}", "aliases.good: no class 'bening'; did you mean 'benign'?"),
        (THREE + "severity: [benign]", "severity: expected every class once, the least severe first"),
        (THREE + "primary_metric: accurcy", "primary_metric: no metric 'accurcy'; did you mean 'accuracy'?"),
        (THREE + "primary_metric: quadratic_kappa", "is of classes in an order; say it: severity: [...]"),
        (THREE + "split_fractions: [0.5, 0.5]", "split_fractions: expected three shares above 0"),
        (THREE + "split_fractions: [0.5, 0.5, 0.5]", "split_fractions: expected three shares above 0"),
        (THREE + "columns: {labl: dx}", "columns.labl: no column 'labl'; did you mean 'label'?"),
        (THREE + "patient_id_pattern: '(P'", "patient_id_pattern: is no regular expression"),
        (THREE + "split_fractions: [.nan, 0.5, 0.5]", "split_fractions: expected three shares above 0"),
        (THREE + "data: ~no_such_user_here/x", "data: ~no_such_user_here/x: "),
        (THREE + "patient_id_pattern: '(a{99999999999999})'", "patient_id_pattern: is no regular expression"),
        (THREE + "patient_id_pattern: 'P1'", "patient_id_pattern: expected one group (...)"),
        (THREE + "images: [CT, MRI]", "images: layout folders has one image per case; list pairs in a manifest"),
        (THREE + "timm_models: [resnet18]", "timm_models: expected names such as timm/resnet18, got 'resnet18'"),
        (THREE + "ct_window_hu: [40]", "ct_window_hu: expected level and width in HU, the width above 0"),
        (THREE + "ct_window_hu: [40, 0]", "ct_window_hu: expected level and width in HU, the width above 0"),
        (THREE + "ct_window_hu: [.nan, 80]", "ct_window_hu: expected level and width in HU, the width above 0"),
        (THREE + "ct_window_hu: brain", "ct_window_hu: "),
        ("[1, 2]", "expected keys such as task, layout and classes"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_key(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_task_file(written(tmp_path, text))
    assert words in str(caught.value)
    assert all(line.startswith("lesions.yaml: ") for line in str(caught.value).splitlines())


def test_a_home_keeps_a_copy_that_later_commands_know_by_name(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    file = written(tmp_path, THREE + "data: scans")
    name, text = task_named(home, str(file))
    assert name == "lesions"
    assert load_own_tasks(home) == [] and not home.tasks.exists(), "not before its images were read"
    file.write_text("task: [an edit, half done")  # while images were read
    keep_task(home, name, text)
    assert catalog.TASKS["lesions"].data == str(tmp_path / "scans")
    del catalog._TASKS["lesions"]
    assert load_own_tasks(home) == []
    assert catalog.TASKS["lesions"].data == str(tmp_path / "scans"), "whole, wherever the command is given"
    assert task_named(home, "lesions") == ("lesions", "")


def test_a_name_stands_for_the_same_classes_once_it_was_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path / "home")
    kept(home, written(tmp_path, THREE + "ct_window_hu: [-600, 1500]"))
    kept(home, written(tmp_path, THREE.replace("malignant", "bad")))
    swept = replay([started(make_plan().model_copy(update={"task": "lesions"}))])
    monkeypatch.setattr(own_tasks, "all_sweeps", lambda home: ([swept], []))
    with pytest.raises(BadInput, match="task: 'lesions' has sweeps with another classes and ct_window_hu"):
        own_task(home, written(tmp_path, THREE + "ct_window_hu: [-600, 1500]"))
    (home.tasks / "lesions.yaml").unlink()
    kept(home, written(tmp_path, THREE))
    kept(home, written(tmp_path, THREE + "title: Another word for it"))
    assert catalog.TASKS["lesions"].title == "Another word for it"
    with pytest.raises(BadInput, match="task: 'lesions' has sweeps with another classes"):
        own_task(home, written(tmp_path, THREE.replace("benign, malignant", "malignant, benign")))
    assert catalog.TASKS["lesions"].classes == ("benign", "malignant")


def test_a_damaged_copy_harms_no_other(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    kept(home, written(tmp_path, THREE))
    (home.tasks / "broken.yaml").write_text("task: broken")
    del catalog._TASKS["lesions"]
    (fault,) = load_own_tasks(home)
    assert fault.startswith("own task broken: broken.yaml: layout: missing")
    assert "lesions" in catalog.TASKS


def test_a_task_of_the_project_is_never_replaced() -> None:
    with pytest.raises(ValueError, match="stroke: is a task of this project"):
        catalog.add_task(catalog.TASKS["stroke"])


def test_a_process_that_knows_no_home_is_told_of_an_own_task(tmp_path: Path) -> None:
    text = THREE + "aliases: {good: benign}\nseverity: [benign, malignant]\ndata: scans"
    task, _ = own_task(Home(tmp_path / "home"), written(tmp_path, text))
    setup = TrialSetup(
        task="lesions", own_task=own_task_of("lesions"), development=tmp_path, development_digest="", arrays={},
        pretrained=False, epochs=1, metric="auroc", device="cpu", threads=1, trials=tmp_path,
    )  # fmt: skip
    del catalog._TASKS["lesions"]
    assert TrialSetup.model_validate_json(setup.model_dump_json()).task_record == task
    assert own_task_of("stroke") is None, "of the project's tasks the name is enough"
