"""The dementia project's small CNNs: layers in their order, sizes, what each name fixes, and that they learn."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from training_support import blobs, run_of

from trainables.catalog import ARCHITECTURES, architecture, default_hyperparameters
from trainables.configs.generic_cnn import GenericCNNConfig
from trainables.configs.raw_grey_cnn import RawGreyCNNConfig
from trainables.configs.training import TrainingConfig
from trainables.explain.components import branch_shares
from trainables.explain.layers import full_path
from trainables.models import build_model, count_parameters
from trainables.training.loop import train

# C kernel/width, R ReLU, P pool, N batch norm, D dropout, F flatten, L linear; design facts
BASELINE = "C3/32 R P N C3/64 R P F L128 R L4"
LAYERS = {
    "generic_cnn": BASELINE,
    "baseline_cnn": BASELINE,
    "baseline_cnn_weighted_sampler": BASELINE,
    "baseline_cnn_hem": BASELINE,
    "baseline_cnn_ce": "C3/32 R P N D0.3 C3/64 R P N D0.4 F L128 R D0.5 L4",
    "baseline_cnn_ce_dropped": "C3/32 R P N C3/64 R P N D0.2 F L128 R D0.3 L4",
    "baseline_cnn_ce_drop01": "C3/32 R P N C3/64 R P N F L128 R D0.1 L4",
    "baseline_cnn_ce_convadd": "C3/32 R P N C3/64 R P N C3/128 R P N F L128 R D0.1 L4",
    "baseline_cnn_ce_convadd_dropminus": "C3/32 R P N C3/64 R P N C3/128 R P N F L128 R L4",
    "different_cnn": "C5/16 R P C5/32 R P F L64 R L4",
    "gpt_cnn": "C5/16 R N P D0.1 C5/32 R N P D0.1 C5/64 R N P D0.2 F L256 R L64 R L4",
    "keras_like_cnn": (
        "C3/16 R N P D0.05 C3/64 R N P D0.0 C3/128 R N P D0.2 C3/256 R N P D0.0 C3/512 R N P D0.2 "
        "F L128 R N L64 R D0.2 L4"
    ),
    "study_model": (
        "C3/16 R C3/16 R P C3/64 R C3/64 R P C3/256 R P N D0.2 F L128 R "
        "C5/32 R C5/32 R P C5/128 R C5/128 R P C5/512 R P N D0.2 F L128 R L128 R L4"
    ),
    "study_model_halved": (
        "C3/8 R C3/8 R P C3/32 R C3/32 R P C3/128 R P N D0.2 F L64 R "
        "C5/16 R C5/16 R P C5/64 R C5/64 R P C5/256 R P N D0.2 F L64 R L64 R L4"
    ),
}
HALVED_PATHS = (
    (8 * 9 + 8) + (8 * 8 * 9 + 8) + (8 * 32 * 9 + 32) + (32 * 32 * 9 + 32) + (32 * 128 * 9 + 128) + 2 * 128,
    (16 * 25 + 16) + (16 * 16 * 25 + 16) + (16 * 64 * 25 + 64) + (64 * 64 * 25 + 64) + (64 * 256 * 25 + 256) + 2 * 256,
)
HALVED = sum(HALVED_PATHS) + (128 + 256) * 16**2 * 64 + 2 * 64 + (128 * 64 + 64) + (64 * 4 + 4)
PARAMETERS = {
    **dict.fromkeys(["generic_cnn", "baseline_cnn", "baseline_cnn_weighted_sampler", "baseline_cnn_hem"], 8_408_132),
    **dict.fromkeys(["baseline_cnn_ce", "baseline_cnn_ce_dropped", "baseline_cnn_ce_drop01"], 8_408_260),
    **dict.fromkeys(["baseline_cnn_ce_convadd", "baseline_cnn_ce_convadd_dropminus"], 4_288_068),
    "different_cnn": 2_110_724,
    "gpt_cnn": 4_276_004,
    "keras_like_cnn": 2_618_052,
    "study_model": 27_575_060,
    "study_model_halved": HALVED,
}
EPOCHS = {name: 32 if "_ce" in name else 10 for name in PARAMETERS if name.startswith("baseline_")}
STRUCTURE = {  # beside which values, and another one
    "conv_blocks": ({}, 3),
    "base_width": ({}, 16),
    "kernel_size": ({}, 5),
    "norm": ({}, "after_relu"),
    "normed_blocks": ({}, "all"),
    "block_dropout": ({}, 0.1),
    "last_block_dropout": ({}, 0.1),
    "hidden": ({}, 64),
    "second_hidden": ({}, 32),
    "dropout": ({}, 0.1),
}


def on_meta(name: str, **changes: object) -> nn.Module:
    with torch.device("meta"):
        return build_model(name, changes, 4)


def told(model: nn.Module) -> str:
    """Return the layers in order, which is that in which they run."""
    leaves = [module for module in model.modules() if not list(module.children())]
    return " ".join(_letter(leaf) for leaf in leaves)


def _letter(leaf: nn.Module) -> str:
    match leaf:
        case nn.Conv2d():
            assert leaf.padding == (leaf.kernel_size[0] // 2,) * 2 and leaf.stride == (1, 1), "same size"
            return f"C{leaf.kernel_size[0]}/{leaf.out_channels}"
        case nn.Linear():
            return f"L{leaf.out_features}"
        case nn.Dropout():
            return f"D{leaf.p}"
        case nn.MaxPool2d():
            return "P" if leaf.kernel_size == 2 else f"P{leaf.kernel_size}"
        case nn.BatchNorm1d() | nn.BatchNorm2d():
            return "N"
    return {nn.ReLU: "R", nn.Flatten: "F"}.get(type(leaf), f"unknown {leaf}")


def test_the_tables_name_every_cnn_on_raw_grey() -> None:
    raw_grey = {name for name, record in ARCHITECTURES.items() if issubclass(record.config, RawGreyCNNConfig)}
    assert raw_grey == LAYERS.keys() == PARAMETERS.keys()


@pytest.mark.parametrize("name", LAYERS)
def test_layers_sizes_and_recipe_are_the_published_ones(name: str) -> None:
    model = on_meta(name)
    assert told(model) == LAYERS[name]
    assert count_parameters(model) == (PARAMETERS[name], PARAMETERS[name])
    assert ARCHITECTURES[name].published_epochs == (EPOCHS | {"baseline_cnn_hem": 20}).get(name)
    by = default_hyperparameters(name)
    recipe = {"optimizer": "adamw", "lr": 1e-3, "weight_decay": 1e-2, "batch_size": 32, "image_px": 128}
    plain = {"hflip": False, "rotation_deg": 0.0, "hem_fraction": 0.2, "hem_mode": "reforward", "lr_schedule": "none"}
    imbalance = name.removeprefix("baseline_cnn_")
    imbalance = imbalance if imbalance in ("weighted_sampler", "hem") else "none"
    assert by.items() >= (recipe | plain | {"imbalance": imbalance}).items()


def test_layers_run_in_the_order_in_which_they_stand() -> None:
    ran: list[nn.Module] = []
    for name in ("gpt_cnn", "keras_like_cnn", "study_model_halved"):
        model = on_meta(name)
        leaves = [module for module in model.modules() if not list(module.children())]
        for leaf in leaves:
            leaf.register_forward_hook(lambda module, *_: ran.append(module))
        model(torch.zeros(2, 1, 128, 128, device="meta"))
        assert ran == leaves
        ran.clear()


def test_every_part_of_a_generic_structure_reaches_the_model() -> None:
    own = GenericCNNConfig.model_fields.keys() - RawGreyCNNConfig.model_fields.keys()
    assert own == STRUCTURE.keys()
    for name, (beside, other) in STRUCTURE.items():
        assert told(on_meta("generic_cnn", **beside)) != told(on_meta("generic_cnn", **beside, **{name: other})), name
    no_norm = on_meta("generic_cnn", norm="none", normed_blocks="all")
    assert told(no_norm) == BASELINE.replace(" N", "")


@pytest.mark.parametrize(
    ("name", "rates", "expected"),
    [
        ("study_model", {"dropout": 0.3}, LAYERS["study_model"].replace("D0.2", "D0.3")),
        ("keras_like_cnn", {"dropout": 0.3}, LAYERS["keras_like_cnn"].replace("D0.2", "D0.3")),
        ("keras_like_cnn", {"first_dropout": 0.3}, LAYERS["keras_like_cnn"].replace("D0.05", "D0.3")),
    ],
)
def test_dropouts_of_the_others_reach_the_model(name: str, rates: dict, expected: str) -> None:
    assert told(on_meta(name, **rates)) == expected
    fields = ARCHITECTURES[name].config.model_fields.keys() - TrainingConfig.model_fields.keys()
    assert fields <= {"dropout", "first_dropout", "base_width"}


@pytest.mark.parametrize("name", sorted(LAYERS.keys() - {"generic_cnn"}))
def test_a_published_name_has_no_other_structure(name: str) -> None:
    fixed = default_hyperparameters(name)
    others = {"base_width": 64, "conv_blocks": 5, "hidden": 300, "second_hidden": 40, "norm": "none"}
    others["kernel_size"] = 3 if fixed.get("kernel_size") == 5 else 5
    for field, other in others.items():
        if fixed.get(field) == other:
            continue
        assert other == architecture("generic_cnn").config(**{field: other}).model_dump()[field], (
            "elsewhere it is valid"
        )
        with pytest.raises(ValidationError, match="1 validation error"):
            on_meta(name, **{field: other})


def test_images_of_which_too_little_would_be_left_are_refused() -> None:
    for name, changes, words in (
        ("generic_cnn", {"image_px": 32, "conv_blocks": 5}, "image_px=32 must be at least 64: each of 5 blocks halves"),
        ("keras_like_cnn", {"image_px": 16}, "greater than or equal to 32"),
    ):
        with pytest.raises(ValidationError, match=words):
            on_meta(name, **changes)


@pytest.mark.parametrize(
    ("name", "smallest_px", "changes"),
    [
        ("generic_cnn", 16, {"conv_blocks": 3, "base_width": 8, "normed_blocks": "all"}),
        ("keras_like_cnn", 32, {}),
        ("study_model_halved", 16, {}),
    ],
)
def test_a_batch_of_one_image_trains(name: str, smallest_px: int, changes: dict) -> None:
    """What is left over of a batch in parts, or mined, may be one image, which has no variance."""
    model = build_model(name, {"image_px": smallest_px} | changes, 4).train()
    assert model(torch.rand(1, 1, smallest_px, smallest_px)).isfinite().all()


@pytest.mark.parametrize("name", LAYERS)
def test_the_first_map_is_that_of_the_last_activations(name: str) -> None:
    model = on_meta(name)
    leaves = [path for path, module in model.named_modules() if not list(module.children())]
    for explainer in ARCHITECTURES[name].explainers:
        assert isinstance(model.get_submodule(full_path(model, explainer.layer)), nn.ReLU)
    first = full_path(model, ARCHITECTURES[name].explainers[0].layer)
    beside = "path_5x5" if first.startswith("path_3x3") else "nothing"
    after = [path for path in leaves[leaves.index(first) + 1 :] if not path.startswith(beside)]
    assert not any(isinstance(model.get_submodule(path), nn.Conv2d) for path in after)


def test_the_paths_of_a_study_model_share_its_answer() -> None:
    model = build_model("study_model_halved", {"image_px": 16}, 4).eval()
    pair = ARCHITECTURES["study_model_halved"].pair
    assert pair is not None
    for share in branch_shares(model, torch.rand(2, 1, 16, 16), [0, 3], torch.zeros(1, 1, 16, 16), pair.branches):
        assert sum(share.shapley) == pytest.approx(share.above_baseline, abs=1e-4)
        assert all(share.shapley)


@pytest.mark.parametrize(
    ("name", "side_px", "epochs", "changes"),
    [
        ("generic_cnn", 32, 5, {"base_width": 8, "conv_blocks": 3, "hidden": 32, "dropout": 0.2, "block_dropout": 0.1}),
        ("study_model", 16, 2, {}),
        ("keras_like_cnn", 32, 3, {}),
    ],
)
def test_a_planted_difference_is_learned(tmp_path: Path, name: str, side_px: int, epochs: int, changes: dict) -> None:
    data = blobs()
    step = data.images_NMHW.shape[-1] // side_px
    data = replace(data, images_NMHW=data.images_NMHW[..., ::step, ::step].contiguous())
    run = run_of(name, tmp_path, epochs, image_px=side_px, batch_size=8, **changes)
    assert max(record.metrics["val/auroc"] or 0 for record in train(run, data)) > 0.95
