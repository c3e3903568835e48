from pathlib import Path

import pytest

from orchestrator.errors import BadInput
from orchestrator.space import defaults
from orchestrator.sweep_file import load_sweep_file
from orchestrator.sweep_files import find_sweep_file, sweep_names
from trainables.catalog import default_hyperparameters

GOOD = """
task: stroke
architectures:
  resnet_vit:
    lr: {float: [1e-6, 1e-3], log: true, default: 3e-4}
    image_px: 64
budget: {trials: 8, epochs: 4}
presets:
  quick: {budget: {trials: 2}, architectures: {resnet_vit: {image_px: 32}}}
"""


def load(tmp_path: Path, text: str, preset="full", overrides=None):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return load_sweep_file(path, preset, overrides)


def fault(tmp_path: Path, text: str, overrides=None) -> str:
    with pytest.raises(BadInput) as caught:
        load(tmp_path, text, overrides=overrides)
    assert caught.value.exit_code == 2
    return str(caught.value)


@pytest.mark.parametrize("name", sweep_names())
@pytest.mark.parametrize("preset", ["quick", "full"])
def test_every_packaged_sweep_loads(name: str, preset) -> None:
    assert load_sweep_file(find_sweep_file(name), preset).name == name


def test_stroke_hybrid_publishes_the_seed_configuration() -> None:
    full = load_sweep_file(find_sweep_file("stroke_hybrid"), "full")
    chosen = {name: parameter.default for name, parameter in full.architectures["resnet_vit"].items()}
    assert chosen["resnet"] == "resnet50"
    assert chosen["vit"] == "vit_base_patch16_224"
    assert (chosen["lr"], chosen["weight_decay"], chosen["batch_size"]) == (3e-4, 1e-4, 32)
    assert (chosen["hidden"], chosen["dropout"], chosen["image_px"]) == (512, 0.3, 224)
    assert full.budget.epochs == 35
    assert chosen == {name: default_hyperparameters("resnet_vit")[name] for name in chosen}


def test_alzheimer_cnn_publishes_every_seed_configuration() -> None:
    full = load_sweep_file(find_sweep_file("alzheimer_cnn"), "full")
    for name, space in full.architectures.items():
        published = default_hyperparameters(name)
        assert defaults(space) == {key: published[key] for key in defaults(space)}, name
    assert (full.task, len(full.architectures), full.budget.trials % len(full.architectures)) == ("alzheimer", 16, 0)
    quick = load_sweep_file(find_sweep_file("alzheimer_cnn"), "quick")
    assert quick.budget.trials == len(quick.architectures), "each is tried once"
    assert {space["image_px"].default for space in quick.architectures.values()} == {64}


@pytest.mark.parametrize("preset", ["quick", "full"])
def test_the_published_table_is_tried_row_by_row(preset) -> None:
    """The table of the dementia project's README, rank 1 to 19."""
    table = load_sweep_file(find_sweep_file("alzheimer_published"), preset)
    scores = table.published.scores
    assert [round(100 * score.score, 2) for score in scores] == [
        99.97, 98.05, 97.81, 97.58, 97.34, 97.19, 97.11, 96.56, 96.25, 94.84, 94.69, 94.53, 94.14, 92.97, 92.42, 89.53,
        84.45, 48.83, 13.44,
    ]  # fmt: skip
    tried = [(name, tuple(point.items())) for name, points in table.search.enqueue.items() for point in points]
    assert len(set(tried)) == len(tried) == len(scores) == table.budget.trials == table.budget.finalists
    left = {name: iter(points) for name, points in table.search.enqueue.items()}
    rows = {score.name: (score.architecture, next(left[score.architecture])) for score in scores}
    told = {name: (own.removeprefix("baseline_cnn"), point["most_epochs"]) for name, (own, point) in rows.items()}
    assert told == {
        "ResNet_10epochs": ("advanced_resnet50", 10),
        "BaselineCNN_HEM_20epochs_16batch": ("_hem", 20),
        "BaselineCNN_HEM_20epochs": ("_hem", 20),
        "BaselineCNN_CrossEntropyLoss_AddedConvMinusDropout": ("_ce_convadd_dropminus", 32),
        "BaselineCNN_CrossEntropyLoss_Dropout_10": ("_ce_drop01", 32),
        "BaselineCNN": ("", 10),
        "BaselineCNN_CrossEntropyLoss_AddedConv": ("_ce_convadd", 32),
        "BaselineCNN_CrossEntropyLoss_Reduced_Drop": ("_ce_dropped", 32),
        "BaselineCNN_WeightedRandomSampler": ("_weighted_sampler", 10),
        "BaselineCNN_CrossEntropyLoss": ("_ce", 32),
        "KerasModel": ("keras_like_cnn", 10),
        "EfficientNet-B3_50_epochs": ("efficientnet_b3", 50),
        "BaselineCNN_CrossEntropyLoss_50epochs": ("_ce", 50),
        "ResNet_20epochs": ("advanced_resnet50", 20),
        "BaselineCNN_HEM_20epochs_64batch_lrate": ("_hem", 20),
        "ModelByGPT": ("gpt_cnn", 10),
        "StudyModel_Halved": ("study_model_halved", 10),
        "BaselineCNN_HEM_15epochs": ("_hem", 15),
        "BaselineCNN_HEM_20epochs_32batch_lrate": ("_hem", 20),
    }
    hem = {name: (point["batch_size"], point["lr"]) for name, (own, point) in rows.items() if own.endswith("hem")}
    assert list(hem.values()) == [(16, 1e-3), (32, 1e-3), (64, 1e-4), (32, 1e-3), (32, 1e-4)]


@pytest.mark.parametrize(
    ("name", "asked", "words"),
    [
        ("baseline_cnn", "conv_blocks: 3", "conv_blocks: must be 2, got 3"),
        (
            "baseline_cnn_ce",
            "conv_blocks: {int: [2, 4], default: 2}",
            "conv_blocks.int.0: conv_blocks is always 2, leave it out",
        ),
        ("baseline_cnn_hem", "imbalance: focal", "imbalance: must be 'hem', got 'focal'"),
        (
            "baseline_cnn_ce_convadd",
            "normed_blocks: {choice: [all, all_but_last]}",
            "must be 'all', got 'all_but_last'",
        ),
        ("different_cnn", "norm: after_pool", "norm: must be 'none', got 'after_pool'"),
        ("study_model_halved", "base_width: 16", "base_width: must be 8, got 16"),
        ("keras_like_cnn", "conv_blocks: 5", "conv_blocks: no hyperparameter 'conv_blocks'"),
        ("generic_cnn", "norm: none, normed_blocks: all", "normed_blocks: has no effect with norm=none"),
    ],
)
def test_a_published_cnn_has_no_other_structure(tmp_path: Path, name: str, asked: str, words: str) -> None:
    text = f"task: alzheimer\narchitectures: {{{name}: {{{asked}}}}}\nbudget: {{trials: 2, epochs: 1}}\n"
    message = fault(tmp_path, text)
    assert words in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize("overrides", [None, {"lr": "1e-4"}])
def test_an_architecture_takes_as_many_images_as_a_case_has(tmp_path: Path, overrides: dict[str, str] | None) -> None:
    message = fault(tmp_path, GOOD.replace("task: stroke", "task: tumor_ct_mri"), overrides)
    told = "mine.yaml: architectures.resnet_vit: takes one image per case, task tumor_ct_mri has two; known for it: "
    assert told + "cross_modal, late_fusion, ct_only, mri_only" in message
    assert len(message.splitlines()) == 1


def test_a_preset_replaces_parameters_and_budget(tmp_path: Path) -> None:
    quick = load(tmp_path, GOOD, "quick")
    assert quick.architectures["resnet_vit"]["image_px"].default == 32
    assert (quick.budget.trials, quick.budget.epochs) == (2, 4)


def test_set_changes_hyperparameters_and_settings(tmp_path: Path) -> None:
    file = load(tmp_path, GOOD, overrides={"lr": "1e-5", "resnet_vit.hidden": "64", "scheduler.name": "none"})
    assert file.architectures["resnet_vit"]["lr"].default == 1e-5
    assert file.architectures["resnet_vit"]["hidden"].default == 64
    assert file.scheduler.name == "none"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("task: stroke", "task: strok"), ["mine.yaml: task: no task 'strok'; did you mean 'stroke'"]),
        (("task: stroke", "tusk: stroke"), ["tusk: no key 'tusk'; did you mean 'task'", "task: missing"]),
        (("resnet_vit:\n", "resnet_vti:\n"), ["architectures.resnet_vti", "did you mean 'resnet_vit'"]),
        (("image_px: 64", "image_px: big"), ["architectures.resnet_vit.image_px", "valid integer", "'big'"]),
        (("1e-3]", "1e-9]"), ["architectures.resnet_vit.lr.float: empty range"]),
        (("default: 3e-4", "default: 0.5"), ["architectures.resnet_vit.lr.default", "outside"]),
        (("default: 3e-4", "default: 3e-4, when: {optimizer: sgd}"), ["lr.when.optimizer", "unknown parameter"]),
        (("trials: 8", "trials: many"), ["budget.trials", "integer", "'many'"]),
        (("trials: 8", "trials: 0"), ["budget.trials", "greater than or equal to 1"]),
        (("trials: 8", "trails: 8"), ["budget.trails", "did you mean 'trials'"]),
        (("{trials: 8, epochs: 4}", "7"), ["budget: expected keys"]),
        (("trials: 2}", "trials: no}"), ["presets.quick.budget.trials"]),
        (("image_px: 32", "image_pix: 32"), ["presets.quick.architectures.resnet_vit.image_pix"]),
        (("  quick:", "  quik:"), ["presets.quik", "did you mean 'quick'"]),
        (("task: stroke", "task: stroke\ntask: stroke"), ["line 3", "'task' stands twice"]),
        (("task: stroke", "task: [stroke"), ["mine.yaml: line"]),
        (("task: stroke", "task: !!python/object/apply:os.system [ls]"), ["line 2", "not allowed"]),
        (("budget: {", "budget: &b {loop: *b, "), ["contains itself"]),
        (("task: stroke", "task: [stroke]"), ["mine.yaml: task: no task"]),
        (("image_px: 64", "image_px: 2021-99-99"), ["cannot read"]),
        (("image_px: 64", "image_px: !!int foo"), ["cannot read"]),
        (("image_px: 64", "image_px: !!bool foo"), ["cannot read"]),
        (("image_px: 64", "image_px: " + "9" * 5000), ["cannot read"]),
        (("image_px: 64", "image_px: " + "[" * 3000), ["nested too deeply"]),
        (("image_px: 64", '"image\\npx": 64'), ["line 6", "the key 'image\\npx' holds a line break"]),
        (
            ("image_px: 64", "lr_schedule: off"),
            ["one of none, cosine, onecycle, plateau, got False; YAML reads"],
        ),
        (("image_px: 64", "resnet: {choice: [no, resnet18], default: resnet18}"), ["resnet.choice.0: expected text"]),
        (("image_px: 64", "image_px: 0100"), ["line 6", "0100 would be read as 64"]),
        (("epochs: 4}", "epochs: 4, time_s: 1:30}"), ["line 7", "1:30 would be read as 90"]),
        (("epochs: 4}", "epochs: 4, time_s: 1:30.5}"), ["line 7", "1:30.5 would be read as 90.5"]),
    ],
)
def test_a_fault_is_one_line_with_file_and_key(tmp_path: Path, change, words: list[str]) -> None:
    text = GOOD.replace(*change, 1)
    assert text != GOOD
    message = fault(tmp_path, text)
    assert all(line.startswith("mine.yaml: ") for line in message.splitlines())
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("point", "key", "words"),
    [
        ("{lr: [1]}", ".0.lr", "expected one value, got [1]"),
        ("{lr: }", ".0.lr", "expected one value, got nothing"),
        ("{lr: 2021-01-01}", ".0.lr", "expected one value"),
        ("{image_px: 32}", ".0.image_px", "32 is not one of [64]"),
        ("3", ".0", "got 3"),
        ("{1: 3}", ".0.1", "must be a valid string"),
    ],
)
def test_a_faulty_point_is_one_line_with_its_key(tmp_path: Path, point: str, key: str, words: str) -> None:
    message = fault(tmp_path, f"{GOOD}search: {{enqueue: {{resnet_vit: [{point}]}}}}\n")
    assert message.startswith(f"mine.yaml: search.enqueue.resnet_vit{key}")
    assert words in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize(("written", "meant"), [("1e3", 1e3), ("1.5e3", 1.5e3), ("1E+3", 1e3), ("600", 600.0)])
def test_a_number_is_one_however_it_is_written(tmp_path: Path, written: str, meant: float) -> None:
    file = load(tmp_path, GOOD.replace("epochs: 4}", f"epochs: 4, time_s: {written}}}"))
    assert file.budget.time_s == meant


@pytest.mark.parametrize("text", ["", "just text", "- a\n- b", "a: b: c", "\t- x", "5"])
def test_a_file_that_is_no_sweep_is_one_line(tmp_path: Path, text: str) -> None:
    assert len(fault(tmp_path, text).splitlines()) == 1


def test_a_binary_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(BadInput, match="UTF-8"):
        load_sweep_file(path, "full")


def test_aliases_that_multiply_are_refused(tmp_path: Path) -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{name}: &{name} [{','.join(['*' + below] * 10)}]\n" for below, name in zip("abcdef", "bcdefg", strict=True)
    )
    assert "too deep or too large" in fault(tmp_path, bomb)
    levels = "- &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"- &{name} [{','.join(['*' + below] * 10)}]\n" for below, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert "too deep or too large" in fault(tmp_path, levels)


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("task: stroke", "task: nothing").replace("trials: 8", "trials: -1").replace("64", "x")
    assert len(fault(tmp_path, text).splitlines()) == 3


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("lrr", "1", "did you mean 'lr'"),
        ("lr", "fast", "architectures.resnet_vit.lr"),
        ("lr", "[", "--set lr: line 1"),
        ("lr", "2021-99-99", "cannot read"),
        ("resnet", "!!int x", "cannot read"),
        ("lr", "[" * 3000, "nested too deeply"),
        ("budgit.trials", "3", "did you mean 'budget'"),
        ("budget.trials", "x", "--set: budget.trials"),
    ],
)
def test_set_faults_name_the_flag(tmp_path: Path, key: str, value: str, words: str) -> None:
    message = fault(tmp_path, GOOD, {key: value})
    assert message.startswith("--set")
    assert words in message


def test_unknown_sweeps_suggest_the_nearest() -> None:
    with pytest.raises(BadInput, match="did you mean 'stroke_hybrid'"):
        find_sweep_file("stroke_hibrid")
    with pytest.raises(BadInput, match="no such file"):
        find_sweep_file("nowhere.yaml")


@pytest.mark.parametrize("name", ["my sweep", "caf\udce9", "-x", "x" * 90, "a:b", "line\nbreak"], ids=ascii)
def test_a_files_name_that_is_no_sweeps_id_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.yaml"
    path.write_text(GOOD)
    with pytest.raises(BadInput, match="becomes the sweep's: expected letters, digits") as caught:
        find_sweep_file(str(path))
    assert len(ascii(str(caught.value))) < 1000


def test_a_folder_is_no_sweep_file(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").mkdir()
    with pytest.raises(BadInput, match="is a folder; name a sweep file in it"):
        find_sweep_file(str(tmp_path / "mine.yaml"))
