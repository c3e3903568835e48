from pathlib import Path

import pytest
from mlflow.utils.validation import _validate_logged_model_name

from orchestrator.errors import BadInput
from orchestrator.home import Home
from orchestrator.inspecting.timm_models import resolve_timm
from orchestrator.space import Choice, Fixed, FloatRange, parse_space
from orchestrator.sweep_planning import SweepRequest, plan_sweep
from orchestrator.tracking.logged_model import _logged_model_name
from trainables.catalog import architecture
from trainables.data.phantom import write_stroke_phantom


def resolved(name: str, **raw):
    return resolve_timm({name: parse_space(raw, architecture(name).config)})[name]


def fault(name: str, **raw) -> str:
    with pytest.raises(BadInput) as caught:
        resolved(name, **raw)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_models_own_size_becomes_a_number() -> None:
    assert resolved("timm/test_resnet")["image_px"] == Fixed(default=160)
    assert resolved("timm/test_resnet", image_px=96)["image_px"] == Fixed(default=96)
    sizes = {"choice": [0, 64, 160], "default": 0}
    assert resolved("timm/test_vit", image_px=sizes)["image_px"] == Choice(choices=(160, 64), default=160)
    other = {"resnet_vit": parse_space({}, architecture("resnet_vit").config)}
    assert resolve_timm(other) == other


def test_what_the_generic_space_asks_for_in_vain_is_left_out_and_what_a_file_asks_for_is_refused() -> None:
    generic = {"drop_path": {"float": [0.0, 0.3], "default": 0.0}, "dropout": {"float": [0.0, 0.5], "default": 0.0}}
    space = resolved("timm/densenet121", image_px=32, **generic)
    assert space["drop_path"] == Fixed(default=0.0)
    assert space["dropout"] == FloatRange(low=0, high=0.5, default=0), "it has that"
    assert isinstance(resolved("timm/test_resnet", **generic)["drop_path"], FloatRange)
    for own in (0.1, {"choice": [0.0, 0.1], "default": 0.0}, {"float": [0.0, 0.1], "default": 0.0}):
        assert "densenet121.drop_path: densenet121 has no drop_path" in fault("timm/densenet121", drop_path=own)
    assert resolved("timm/densenet121", image_px=32, drop_path=0.0)


@pytest.mark.parametrize(
    ("name", "raw", "words"),
    [
        ("timm/resnet81", {}, "architectures.timm/resnet81: timm has no model 'resnet81'; near it: resnet"),
        ("timm/mobilenetv5_300m_enc", {}, "no classifier"),
        ("timm/test_vit", {"image_px": {"choice": [64, 100], "default": 64}}, "images of 100 px (no multiple of 16"),
        (
            "timm/test_vit",
            {"hflip": True, "image_px": {"fixed": 64, "when": {"hflip": True}}},
            "timm/test_vit.image_px: cannot have a condition",
        ),
    ],
)
def test_what_cannot_be_is_one_line_with_its_key(name: str, raw: dict, words: str) -> None:
    assert words in fault(name, **raw)


def test_a_plan_holds_the_size_and_nothing_is_decoded_for_a_wrong_name(tmp_path: Path) -> None:
    write_stroke_phantom(tmp_path / "set", train_patients=8, test_patients=4, slices_per_modality=1, image_px=64)
    file = tmp_path / "mine.yaml"
    file.write_text("task: stroke\narchitectures: {timm/test_resnet: , timm/test_vit: {image_px: 32}}\n")
    request = SweepRequest(name=str(file), home=Home(tmp_path / "home"), data=str(tmp_path / "set"), preset="quick")
    planned = plan_sweep(request, lambda what, done, of: None)
    sizes = {name: space["image_px"].default for name, space in planned.plan.architectures.items()}
    assert sizes == {"timm/test_resnet": 160, "timm/test_vit": 32}
    assert set(planned.data.development.arrays) == {"32", "160"}
    assert planned.plan.published == {"timm/test_resnet": False, "timm/test_vit": False}, "no project published them"
    file.write_text("task: stroke\narchitectures: {timm/test_resnett: }\n")
    other = Home(tmp_path / "other")
    with pytest.raises(BadInput, match="near it: test_resnet"):
        plan_sweep(SweepRequest(name=str(file), home=other, data=str(tmp_path / "set")), lambda what, done, of: None)
    assert not other.cache.exists()


def test_mlflow_takes_the_name_of_every_logged_model() -> None:
    name = _logged_model_name("stroke", "timm/vit_tiny_patch16_224.augreg_in21k")
    assert name == "stroke-timm_vit_tiny_patch16_224_augreg_in21k"
    _validate_logged_model_name(name)
    assert _logged_model_name("stroke", "resnet_vit") == "stroke-resnet_vit"
