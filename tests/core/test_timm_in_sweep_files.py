from pathlib import Path

import pytest

from orchestrator.errors import BadInput
from orchestrator.generic_space import generic_space
from orchestrator.space import Choice, Fixed, FloatRange, defaults, parse_space
from orchestrator.sweep_file import load_sweep_file
from orchestrator.sweep_files import find_sweep_file, sweep_names
from trainables.catalog import architecture

VIT, TAGGED = "timm/vit_tiny_patch16_224", "timm/vit_tiny_patch16_224.augreg_in21k"
TEXT = f"""
task: stroke
architectures:
  timm/resnet18:
  {VIT}: {{}}
  {TAGGED}: {{image_px: 64, lr: {{float: [1e-5, 1e-3], default: 1e-4}}}}
presets:
  quick: {{architectures: {{timm/resnet18: {{image_px: 96}}, timm/resnet34: }}}}
"""


def load(tmp_path: Path, text: str = TEXT, preset="full", overrides=None):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return load_sweep_file(path, preset, overrides)


def fault(tmp_path: Path, text: str = TEXT, overrides=None) -> str:
    with pytest.raises(BadInput) as caught:
        load(tmp_path, text, overrides=overrides)
    return str(caught.value)


def test_a_name_alone_has_the_generic_space_and_keys_replace_single_ones(tmp_path: Path) -> None:
    spaces = load(tmp_path).architectures
    generic = parse_space(generic_space(), architecture(VIT).config)
    assert spaces["timm/resnet18"] == spaces[VIT] == generic
    assert spaces[TAGGED] == generic | {
        "image_px": Fixed(default=64),
        "lr": FloatRange(low=1e-5, high=1e-3, default=1e-4),
    }


def test_a_preset_changes_and_adds_timm_architectures(tmp_path: Path) -> None:
    quick, full = load(tmp_path, preset="quick").architectures, load(tmp_path).architectures
    assert quick["timm/resnet18"] == full["timm/resnet18"] | {"image_px": Fixed(default=96)}
    assert quick["timm/resnet34"] == full[VIT]
    assert quick.keys() - full.keys() == {"timm/resnet34"}


def test_the_generic_space_is_one_but_no_sweep() -> None:
    assert not [name for name in sweep_names() if "generic" in name or name == "timm"]
    space = parse_space(generic_space(), architecture(VIT).config)
    chosen = defaults(space)
    assert (chosen["optimizer"], chosen["lr_schedule"], chosen["warmup_fraction"]) == ("adamw", "cosine", 0.05)
    assert "momentum" not in chosen
    assert {"lr", "weight_decay", "batch_size", "dropout", "drop_path", "layer_decay"} <= space.keys()


def test_the_example_sweep_searches_two_of_them() -> None:
    full = load_sweep_file(find_sweep_file("stroke_timm"), "full")
    assert list(full.architectures) == ["timm/resnet18", VIT]
    assert all(space["image_px"] == Fixed(default=0) for space in full.architectures.values())
    assert full.architectures[VIT]["lr"].high == 1e-3
    quick = load_sweep_file(find_sweep_file("stroke_timm"), "quick")
    assert all(space["image_px"] == Fixed(default=64) for space in quick.architectures.values())


def test_set_reaches_names_with_slashes_and_dots(tmp_path: Path) -> None:
    overrides = {"timm/resnet18.lr": "1e-3", f"{TAGGED}.lr": "2e-3", f"{VIT}.lr": "3e-3", "hflip": "false"}
    spaces = load(tmp_path, overrides=overrides).architectures
    assert [spaces[name]["lr"] for name in ("timm/resnet18", TAGGED, VIT)] == [
        Fixed(default=1e-3), Fixed(default=2e-3), Fixed(default=3e-3),
    ]  # fmt: skip
    assert [space["hflip"] for space in spaces.values()] == [Fixed(default=False)] * 3
    assert isinstance(load(tmp_path).architectures[VIT]["hflip"], Choice)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        (f"{TAGGED}.lr", "9", f"--set: architectures.{TAGGED}.lr: "),
        (f"{VIT}.lrr", "1", f"--set: architectures.{VIT}.lrr: no hyperparameter 'lrr'; did you mean 'lr'"),
        ("timm/resnet19.lr", "1", "--set timm/resnet19.lr: no section 'timm/resnet19'; did you mean 'timm/resnet18'"),
        (f"{VIT}.timm_name", "resnet18", "must be 'vit_tiny_patch16_224'"),
        (f"{VIT}.image_px", "8", "must be at least 16, or 0 for the model's own size, got 8"),
    ],
)
def test_a_fault_of_set_names_the_architecture(tmp_path: Path, key: str, value: str, words: str) -> None:
    message = fault(tmp_path, overrides={key: value})
    assert words in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("timm/resnet18:", "tim/resnet18:"), "no architecture 'tim/resnet18'"),
        (("timm/resnet18:\n", "timm/: {}\n"), "no architecture 'timm/'"),
        (("timm/resnet18:\n", "timm/resnet18: 5\n"), "architectures.timm/resnet18: expected hyperparameters, got 5"),
        (("image_px: 64", "image_px: big"), f"mine.yaml: architectures.{TAGGED}.image_px: "),
        (("image_px: 96", "image_px: big"), "mine.yaml: presets.quick.architectures.timm/resnet18.image_px: "),
        (("timm/resnet34: ", "timm/resnet34: {hidden: 5}"), "presets.quick.architectures.timm/resnet34.hidden: "),
    ],
)
def test_a_fault_of_the_file_names_the_architecture(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    text = TEXT.replace(*change, 1)
    assert text != TEXT
    message = fault(tmp_path, text)
    assert words in message
    assert len(message.splitlines()) == 1
