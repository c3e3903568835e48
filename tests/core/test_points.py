import pytest

from orchestrator.errors import BadInput
from orchestrator.points import grid, parse_points
from orchestrator.space import IntRange, SpaceFaults, parse_space
from orchestrator.sweep_file import load_sweep_file
from orchestrator.sweep_files import find_sweep_file
from trainables.catalog import ARCHITECTURES

SCHEMA = ARCHITECTURES["resnet_vit"].config
SPACE = parse_space(
    {
        "lr": {"float": [1e-6, 1e-2], "log": True, "default": 3e-4},
        "hidden": {"int": [8, 64], "default": 32},
        "batch_size": {"choice": [8, 16], "default": 16},
        "imbalance": {"choice": ["none", "focal"], "default": "none"},
        "focal_gamma": {"choice": [1.0, 2.0, 3.0], "default": 2.0, "when": {"imbalance": "focal"}},
        "hflip": False,
    },
    SCHEMA,
)


def test_what_a_point_leaves_out_has_its_default() -> None:
    assert parse_points([{"lr": "1e-4", "hidden": 8}], SPACE, SCHEMA) == [
        {"lr": 1e-4, "hidden": 8, "batch_size": 16, "imbalance": "none", "hflip": False}
    ]
    (conditional,) = parse_points([{"imbalance": "focal", "focal_gamma": 3.0}], SPACE, SCHEMA)
    assert conditional["focal_gamma"] == 3.0


@pytest.mark.parametrize(
    ("point", "key", "words"),
    [
        ({"lrr": 1}, "0.lrr", "did you mean 'lr'"),
        ({"lr": 1.0}, "0.lr", "lies outside"),
        ({"lr": "fast"}, "0.lr", "expected a number"),
        ({"lr": True}, "0.lr", "expected a whole number"),
        ({"hidden": 8.5}, "0.hidden", "expected a whole number"),
        ({"batch_size": 32}, "0.batch_size", "32 is not one of [8, 16]"),
        ({"hflip": True}, "0.hflip", "True is not one of [False]"),
        ({"focal_gamma": 1.0}, "0.focal_gamma", "its condition does not hold with imbalance=none"),
    ],
)
def test_a_point_outside_the_space_is_told(point: dict, key: str, words: str) -> None:
    with pytest.raises(SpaceFaults) as caught:
        parse_points([point], SPACE, SCHEMA)
    ((where, message),) = caught.value.faults
    assert where == key
    assert words in message


def test_a_grid_holds_every_combination_whose_conditions_hold_once() -> None:
    space = {name: SPACE[name] for name in ("batch_size", "imbalance", "focal_gamma", "hflip")}
    points = list(grid(space))
    assert len(points) == 2 * (1 + 3)
    assert len({tuple(sorted(point.items(), key=str)) for point in points}) == len(points)
    assert all(("focal_gamma" in point) == (point["imbalance"] == "focal") for point in points)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("search.enqueue", "{resnet_vti: [{lr: 1e-4}]}", "did you mean 'resnet_vit'"),
        ("search.enqueue", "{resnet_vit: [{lr: 9}]}", "search.enqueue.resnet_vit.0.lr: 9 lies outside"),
        ("search.enqueue", "{resnet_vit: {lr: 9}}", "search.enqueue.resnet_vit: "),
        ("search.algorithm", "grid", "architectures.resnet_vit.lr: a grid has no ranges: use choice"),
        ("search.algorithm", "bohb", "search.algorithm: "),
        ("search.allocation", "fair", "search.allocation: "),
        ("scheduler.name", "pbt", "scheduler.name: "),
        ("budget.time_s", "-1", "budget.time_s: "),
        ("budget.checkpoint_every_epochs", "-1", "budget.checkpoint_every_epochs: "),
    ],
)
def test_a_sweep_file_that_asks_for_what_is_not_there_is_one_line(key: str, value: str, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        load_sweep_file(find_sweep_file("stroke_hybrid"), "quick", {key: value})
    assert words in str(caught.value)


def test_a_point_whose_values_do_not_fit_together_says_why() -> None:
    space = {name: IntRange(low=0, high=64, default=8) for name in ("batch_size", "micro_batch_size")}
    with pytest.raises(SpaceFaults) as caught:
        parse_points([{"micro_batch_size": 16}], space, SCHEMA)
    why = "micro_batch_size=16 must not be more than batch_size=8"
    assert caught.value.faults == [("0", f"does not fit together: {why}")]
