import time

import pytest

from orchestrator.space import Choice, Fixed, FloatRange, IntRange, SpaceFaults, defaults, is_active, parse_space
from trainables.configs.resnet_vit import ResNetViTConfig


def parse(**raw):
    return parse_space(raw, ResNetViTConfig)


def faults(**raw) -> dict[str, str]:
    with pytest.raises(SpaceFaults) as caught:
        parse(**raw)
    return dict(caught.value.faults)


def test_every_kind_of_parameter_is_read() -> None:
    space = parse(
        lr={"float": [1e-6, 1e-3], "log": True, "default": 3e-4},
        hidden={"int": [128, 1024], "log": True, "default": 512},
        batch_size={"choice": [16, 32], "default": 32},
        image_px=64,
    )
    assert space["lr"] == FloatRange(low=1e-6, high=1e-3, log=True, default=3e-4)
    assert space["hidden"] == IntRange(low=128, high=1024, log=True, default=512)
    assert space["batch_size"] == Choice(choices=(16, 32), default=32)
    assert space["image_px"] == Fixed(default=64)


def test_numbers_that_yaml_reads_as_text_are_numbers() -> None:
    space = parse(lr={"float": ["1e-6", "1e-3"], "default": "3e-4"}, weight_decay="1e-4")
    assert space["lr"].low == 1e-6
    assert space["lr"].default == 3e-4
    assert space["weight_decay"].default == 1e-4


@pytest.mark.parametrize(
    ("raw", "key", "words"),
    [
        ({"lrr": 1e-4}, "lrr", "did you mean 'lr'"),
        ({"lr": {"float": [1e-3, 1e-6], "default": 1e-4}}, "lr.float", "empty range"),
        ({"lr": {"float": [1e-4, 1e-4], "default": 1e-4}}, "lr.float", "empty range"),
        ({"lr": {"float": [1e-6, 1e-3], "default": 1e-2}}, "lr.default", "outside"),
        ({"lr": {"float": [1e-6, 1e-3]}}, "lr", "default is missing"),
        ({"lr": {"float": ["fast", 1e-3], "default": 1e-3}}, "lr.float.0", "valid number"),
        ({"lr": {"float": [1e-6], "default": 1e-6}}, "lr.float", "[low, high]"),
        ({"lr": {"float": [1e-6, 7], "default": 1e-6}}, "lr.float.1", "less than or equal to 1"),
        ({"weight_decay": {"float": [0, 0.1], "log": True, "default": 0.01}}, "weight_decay.float", "above 0"),
        ({"lr": {"floot": [1e-6, 1e-3], "default": 1e-4}}, "lr", "exactly one of"),
        ({"lr": {"float": [1e-6, 1e-3], "defualt": 1e-4}}, "lr.defualt", "did you mean 'default'"),
        ({"lr": None}, "lr", "expected one value"),
        ({"lr": float("nan")}, "lr", "got nan"),
        ({"hidden": 12.5}, "hidden", "valid integer"),
        ({"hidden": True}, "hidden", "a whole number"),
        ({"hidden": {"float": [1, 5], "default": 2}}, "hidden.float.0", "use int"),
        ({"hflip": "yes"}, "hflip", "true or false"),
        ({"resnet": {"int": [1, 2], "default": 1}}, "resnet.int.0", "use choice"),
        ({"batch_size": {"choice": [], "default": 1}}, "batch_size.choice", "at least one"),
        ({"batch_size": {"choice": [8, 8], "default": 8}}, "batch_size.choice", "twice"),
        ({"batch_size": {"choice": [8, 16], "default": 32}}, "batch_size.default", "not one of"),
        ({"lr": {"fixed": 1e-4, "when": {"optimizer": "sgd"}}}, "lr.when.optimizer", "unknown parameter"),
        ({"image_px": {"choice": [64, 100], "default": 64}}, "image_px.choice", "100 does not fit"),
    ],
)
def test_a_fault_names_its_key_and_rule(raw, key: str, words: str) -> None:
    found = faults(**raw)
    assert words in found[key]
    assert "\n" not in found[key]


def test_every_fault_is_told_at_once() -> None:
    assert set(faults(lrr=1, hidden="x", dropout=3)) == {"lrr", "hidden", "dropout"}


def test_a_condition_on_an_unknown_sibling_is_a_fault() -> None:
    assert "unknown parameter" in faults(lrr=3, lr={"fixed": 1e-4, "when": {"lrr": 3}})["lr.when.lrr"]


def test_defaults_that_do_not_fit_together_are_a_fault() -> None:
    assert "multiple of 16" in faults(image_px=50)[""]


def test_conditions_in_a_circle_are_a_fault() -> None:
    found = faults(
        hidden={"fixed": 64, "when": {"dropout": 0.1}},
        dropout={"fixed": 0.1, "when": {"hidden": 64}},
    )
    assert "circle" in next(iter(found.values()))


def test_a_condition_decides_whether_a_parameter_is_there() -> None:
    space = parse(
        rotation_deg={"float": [0, 30], "default": 10, "when": {"hflip": True}},
        hflip={"choice": [True, False], "default": False},
    )
    assert list(space) == ["hflip", "rotation_deg"], "parents come first"
    assert defaults(space) == {"hflip": False}
    assert is_active(space["rotation_deg"], {"hflip": True})


def test_two_values_that_no_trial_may_have_together_are_refused() -> None:
    both = {"imbalance": {"choice": ["none", "focal"], "default": "none"},
            "label_smoothing": {"float": [0, 0.2], "default": 0}}  # fmt: skip
    assert "label_smoothing is not defined for imbalance=focal" in str(faults(**both))
    apart = both | {"label_smoothing": {**both["label_smoothing"], "when": {"imbalance": "none"}}}
    assert parse_space(apart, ResNetViTConfig)["label_smoothing"].when == {"imbalance": ("none",)}
    mode = {"choice": ["reforward", "reuse_loss"], "default": "reforward", "when": {"imbalance": "hem"}}
    three = {"imbalance": {"choice": ["none", "hem"], "default": "none"}, "hem_mode": mode,
             "micro_batch_size": {"choice": [0, 8], "default": 0}}  # fmt: skip
    assert "reuse_loss needs the whole batch" in str(faults(**three)), "a condition is met before two values are tried"
    batches = {"batch_size": {"choice": [8, 32], "default": 32}, "micro_batch_size": 16}
    assert "micro_batch_size=16 must not be more than batch_size=8" in faults(**batches)["batch_size.choice"]


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"focal_gamma": 3.0}, "focal_gamma"),
        ({"momentum": {"float": [0.8, 0.99], "default": 0.9}}, "momentum"),
        ({"hem_fraction": 0.3, "imbalance": {"choice": ["none", "hem"], "default": "hem"}}, "hem_fraction"),
        ({"unfreeze_epoch": 3}, "unfreeze_epoch"),
        ({"warmup_fraction": 0.1, "lr_schedule": "none"}, "warmup_fraction"),
        ({"freeze_batchnorm": False}, "freeze_batchnorm"),
    ],
)
def test_a_setting_without_effect_is_refused(values: dict, key: str) -> None:
    assert "has no effect with" in faults(**values)[key]


def test_the_sampler_and_class_weights_exclude_each_other() -> None:
    assert "class_weight" in str(faults(imbalance="sampler"))


def test_thousands_of_numbers_are_checked_at_once() -> None:
    many = {"choice": [number / 5000 for number in range(1, 3001)], "default": 0.2}
    began_s = time.monotonic()
    parse(weight_decay=many, dropout=many, zoom_fraction={"float": [0, 0.5], "default": 0.1})
    assert time.monotonic() - began_s < 5
    batches = {"batch_size": {"choice": list(range(8, 4000)), "default": 32}, "micro_batch_size": 16}
    assert "must not be more than batch_size=8" in faults(**batches)["batch_size.choice"]
    odd = {"batch_size": {"choice": list(range(8, 3000)), "default": 2000}, "micro_batch_size":
           {"choice": list(range(0, 3000, 16)), "default": 0}}  # fmt: skip
    assert "does not fit" in faults(**odd)["batch_size.choice"]


def test_more_names_than_can_be_held_against_each_other_are_refused() -> None:
    names = {"choice": [f"resnet{number}" for number in range(300)], "default": "resnet0"}
    found = faults(resnet=names, vit={"choice": [f"vit{number}" for number in range(200)], "default": "vit0"})
    assert found == {
        "resnet.choice": "has 300 values, which makes 60,000 pairs with those of the others; at most 20,000 are "
        "checked, give fewer"
    }


def test_a_long_list_is_not_shown_whole() -> None:
    found = faults(batch_size={"choice": [*range(1, 4000), 8], "default": 8})
    assert len(found["batch_size.choice"]) < 250
    assert len(faults(batch_size={"choice": list(range(1, 4000)), "default": 4000})["batch_size.default"]) < 250
