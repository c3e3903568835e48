"""Which sweeps are asked for, and several files as one sweep of a task."""

import math
from pathlib import Path

import pytest

from orchestrator.asked_sweeps import asked_sweeps
from orchestrator.chosen_architectures import Choice
from orchestrator.composition import Contents, compose
from orchestrator.errors import BadInput
from orchestrator.sweep_file import load_sweep_file, read_sweep
from orchestrator.sweep_files import find_sweep_file
from trainables.catalog import TASKS, Task

FIXED = """
task: stroke
architectures: {baseline_cnn: {image_px: 64}}
search: {algorithm: fixed}
"""
OTHER = """
task: stroke
architectures:
  baseline_cnn: {image_px: 64, lr: {float: [1e-4, 1e-2], log: true, default: 1e-3}}
  gpt_cnn: {image_px: 64}
budget: {trials: 9, epochs: 50, finalists: 1}
search: {enqueue: {baseline_cnn: [{lr: 2e-3}]}}
"""


def written(folder: Path, name: str, text: str) -> str:
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return str(path)


def test_one_name_is_one_sweep_as_its_file_has_it() -> None:
    (asked,) = asked_sweeps(["stroke_hybrid"], None, False)
    assert asked.load("quick") == load_sweep_file(find_sweep_file("stroke_hybrid"), "quick")


def test_names_of_one_task_are_one_sweep_and_those_of_others_are_others(tmp_path: Path) -> None:
    own = written(tmp_path, "mine", OTHER)
    together, alone, single = asked_sweeps(
        ["stroke_hybrid", "tumor_vit", own, written(tmp_path, "table", FIXED), "tumor_vit"], None, False
    )
    assert (together.name, together.task, together.files) == ("stroke_hybrid-mine", "stroke", ("stroke_hybrid", own))
    assert (alone.name, alone.files, single.files) == ("tumor_vit", (), ())
    assert Path(single.name).stem == "table", "what repeats a table searches nothing, and stays by itself"
    whole = together.load("full")
    hybrid, mine = load_sweep_file(find_sweep_file("stroke_hybrid"), "full"), load_sweep_file(Path(own), "full")
    assert whole.architectures == hybrid.architectures | mine.architectures
    assert whole.budget.trials == hybrid.budget.trials + 9
    assert (whole.budget.epochs, whole.budget.finalists) == (50, 3), "the most of both"
    assert whole.budget.checkpoint_every_epochs == hybrid.budget.checkpoint_every_epochs
    assert whole.search.enqueue == mine.search.enqueue
    assert whole.scheduler == hybrid.scheduler


@pytest.mark.parametrize("preset", ["quick", "full"])
def test_a_task_is_every_architecture_that_fits_it_its_own_files_first(preset: str) -> None:
    (asked,) = asked_sweeps([], "alzheimer", False)
    whole = asked.load(preset)
    own = load_sweep_file(find_sweep_file("alzheimer_cnn"), preset)
    assert (whole.name, whole.task) == ("alzheimer", "alzheimer")
    assert list(whole.architectures)[: len(own.architectures)] == list(own.architectures)
    assert {name: whole.architectures[name] for name in own.architectures} == own.architectures
    assert {"resnet_vit", "vit", "attention_cnn", "timm/resnet18"} <= set(whole.architectures)
    assert not {"cross_modal", "ct_only"} & set(whole.architectures), "of two images"
    vit = load_sweep_file(find_sweep_file("tumor_vit"), preset)
    assert whole.architectures["vit"] == vit.architectures["vit"]
    assert (whole.budget.epochs, whole.budget.finalists) == (own.budget.epochs, own.budget.finalists)
    assert "alzheimer_published" not in asked.files
    assert not whole.published.scores


def test_all_is_every_task_and_published_scores_stay_with_their_file() -> None:
    asked = {one.name: one.load("quick") for one in asked_sweeps([], None, True)}
    assert list(asked) == list(TASKS)
    assert set(asked["tumor_ct_mri"].architectures) == {"cross_modal", "late_fusion", "ct_only", "mri_only"}
    assert [score.name for score in asked["tumor_binary"].published.scores] == ["ViT"]
    assert not asked["tumor_4class"].published.scores


def test_a_setting_is_fixed_in_all_that_have_it() -> None:
    (asked,) = asked_sweeps([], "stroke", False)
    whole = asked.load("quick", {"image_px": "96", "attention_cnn.lr": "0.01", "budget.trials": "7"})
    assert {space["image_px"].default for space in whole.architectures.values()} == {96}
    assert whole.architectures["attention_cnn"]["lr"].default == 0.01
    assert whole.budget.trials == 7
    with pytest.raises(BadInput, match="--set lrr: no hyperparameter 'lrr'; did you mean 'lr'"):
        asked.load("quick", {"lrr": "1"})


def test_of_the_chosen_architectures_alone_settings_are_asked_for_and_trials_counted() -> None:
    (asked,) = asked_sweeps([], "stroke", False)
    every, few = asked.load("quick"), asked.load("quick", {"image_px": "32"}, Choice(("vit", "resnet_vit")))
    assert list(few.architectures) == ["vit", "resnet_vit"], "32 px are too few for some of the others"
    assert few.budget.trials == math.ceil(every.budget.trials / len(every.architectures) * 2)
    with pytest.raises(BadInput, match="--set reduction: no hyperparameter 'reduction'"):
        asked.load("quick", {"reduction": "8"}, Choice(without=("attention_cnn",)))
    with pytest.raises(BadInput, match=r"--exclude: no architecture of this sweep 'vitt'; did you mean 'vit'\?"):
        asked.load("quick", {}, Choice(without=("vitt",)))


def test_timm_models_that_a_task_names_are_tried_once_each_beside_the_others() -> None:
    task = Task("mine", "Mine", ("a", "b"), "x:read", timm_models=("timm/convnext_atto", "timm/resnet18"))
    files = [Contents(name, read_sweep(find_sweep_file(name), "full")) for name in ("stroke_timm", "tumor_vit")]
    whole = compose(task, files, Choice())
    assert list(whole["architectures"]) == ["timm/resnet18", "timm/vit_tiny_patch16_224", "vit", "timm/convnext_atto"]
    assert whole["budget"]["trials"] == 40 + 40 + 1
    assert whole["budget"]["epochs"] == 50, "no file is its own: the most of all"


def test_nothing_that_fits_is_told() -> None:
    task = Task("mine", "Mine", ("a", "b"), "x:read", image_names=("a", "b", "c"))
    with pytest.raises(BadInput, match="task mine: no architecture of tumor_vit fits it"):
        compose(task, [Contents("tumor_vit", read_sweep(find_sweep_file("tumor_vit"), "full"))], Choice())


@pytest.mark.parametrize(
    ("names", "task", "every", "words"),
    [
        ([], None, False, "sweep: say which: one or more names (orchestrate list sweeps), --task TASK, or --all"),
        (["stroke_hybrid"], "stroke", False, "sweep: say one of: one or more names"),
        ([], "stroke", True, "sweep: say one of: one or more names"),
        ([], "strok", False, "--task: no task 'strok'; did you mean 'stroke'?"),
        (["stroke_hybrid", "tumor_vitt"], None, False, "no sweep 'tumor_vitt'; did you mean 'tumor_vit'?"),
    ],
)
def test_what_is_no_sweep_is_one_line(names: list[str], task: str | None, every: bool, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        asked_sweeps(names, task, every)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
