"""README's notebook-sized example, as it stands there, and what its parts refuse."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import orchestrator
from orchestrator import leaderboard, load_model, run_sweep
from orchestrator.errors import BadInput
from orchestrator.sweep_files import find_sweep_file
from orchestrator.sweep_request import SweepRequest

README = Path(__file__).parents[2] / "README.md"
SMALLER = 'preset="quick", '  # what the test adds to README's call: networks of a few thousand weights
TINY = (
    'preset="quick", slots=1, settings={"resnet": "test_resnet", "vit": "test_vit", "image_px": 32, "hidden": 32, '
    '"budget.finalists": 1}, '
)


@pytest.mark.sweep
@pytest.mark.faults
def test_the_example_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", README.read_text(), re.S) if "run_sweep" in block)
    assert SMALLER in code
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(compile(code.replace(SMALLER, TINY), "README.md", "exec"), names)
    trials = names["trials"]
    assert {"validation_auroc", "test_auroc", "lr", "architecture"} <= set(trials.columns)
    assert len(trials) == names["result"].to_json()["trials"]
    assert trials["is_winner"].sum() == 1
    assert leaderboard("stroke_phantom").equals(trials), "of the task, from its name"
    frame = names["answers"]
    assert list(frame.columns) == ["predicted", "p_normal", "p_stroke", "error"]
    assert (frame[["p_normal", "p_stroke"]].sum(axis=1) - 1).abs().max() < 1e-5


def test_what_is_refused_is_the_command_lines_line(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with pytest.raises(BadInput, match="did you mean 'stroke_hybrid'"):
        run_sweep("stroke_hibrid", home=home)
    with pytest.raises(BadInput, match="are of several tasks; run one sweep for each"):
        run_sweep("stroke_hybrid", "tumor_vit", home=home)
    with pytest.raises(BadInput, match="sweep: say which"):
        run_sweep(home=home)
    with pytest.raises(BadInput, match="stroke: no sweep has been run yet"):
        leaderboard("stroke", home=home)
    with pytest.raises(BadInput, match="stroke: no registered model"):
        load_model("stroke", home=home)
    with pytest.raises(BadInput, match="home=3: expected text or a path"):
        leaderboard("stroke", home=3)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=r"reference=\['stroke'\]: expected text"):
        leaderboard(["stroke"])  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="reference=None: expected text"):
        leaderboard(None)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="tracking_uri=5: expected text"):
        load_model("stroke", tracking_uri=5)  # type: ignore[arg-type]
    paths = "expected text; only names of sweeps, home, data and task may be paths"
    with pytest.raises(BadInput, match=paths):
        leaderboard(Path("stroke"))  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=paths):
        load_model(Path("stroke"), home=home)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=paths):
        load_model("stroke", home=home, tracking_uri=home)  # type: ignore[arg-type]
    assert not hasattr(orchestrator, "no_such_name")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"trials": "3"}, "trials='3': expected a whole number"),
        ({"trials": 1.5}, "trials=1.5: expected a whole number"),
        ({"trials": True}, "trials=True: expected a whole number"),
        ({"seed": None}, "seed=None: expected a whole number"),
        ({"seed": -1}, "seed=-1: expected at least 0"),
        ({"max_disk_bytes": "1GiB"}, "max_disk_bytes='1GiB': expected a whole number"),
        ({"time_budget_s": "60"}, "time_budget_s='60': expected a number of seconds above 0"),
        ({"time_budget_s": float("nan")}, "time_budget_s=nan: expected a number of seconds above 0"),
        ({"architectures": None}, "architectures=None: expected a list of names"),
        ({"architectures": "resnet_vit"}, "architectures='resnet_vit': expected a list of names"),
        ({"architectures": [3]}, "architectures=3: expected text"),
        ({"exclude": {3, "vit"}}, "exclude=3: expected text"),
        ({"settings": "lr=1"}, "settings='lr=1': expected a dict of names and values"),
        ({"settings": {3: 1}}, "settings={3: 1}: expected a dict of names and values"),
        ({"sweep_id": 5}, "sweep_id=5: expected text"),
        ({"metric": 5}, "metric=5: expected text"),
        ({"allocation": "fair"}, "allocation: no value 'fair'"),
        ({"data": []}, "data=[]: expected text or a path"),
        ({"home": None}, "home=None: expected text or a path"),
        ({"task": 3}, "task=3: expected text or a path"),
        ({"tracking_uri": Path("x")}, "expected text; only names of sweeps, home, data and task may be paths"),
    ],
)
def test_a_wrong_type_is_told_by_its_argument(given: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=re.escape(words)):
        run_sweep("stroke_hybrid", **{"home": tmp_path / "home", **given})
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("name", [3, ["stroke_hybrid"], None])
def test_a_name_that_is_neither_text_nor_a_path_is_told(name: Any, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"^names=.*: expected text"):
        run_sweep(name, home=tmp_path / "home")


def test_numbers_of_numpy_are_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[SweepRequest] = []
    monkeypatch.setattr("orchestrator.sweep.run_sweep", lambda request, *_: asked.append(request))
    counts = {"trials": np.int64(3), "seed": np.int64(4), "slots": np.uint8(1), "max_disk_bytes": np.int64(5)}
    run_sweep("stroke_hybrid", home=tmp_path / "home", time_budget_s=np.float32(60), **counts)  # type: ignore[arg-type]
    (request,) = asked
    given = (request.trials, request.seed, request.slots, request.max_disk_bytes, request.time_budget_s)
    assert given == (3, 4, 1, 5, 60.0)
    assert {type(number) for number in given} == {int, float}, "as they go into JSON"


def test_names_may_be_paths_and_those_of_architectures_any_collection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[SweepRequest] = []
    monkeypatch.setattr("orchestrator.sweep.run_sweep", lambda request, *_: asked.append(request))
    home, file = tmp_path / "home", tmp_path / "mine.yaml"
    file.write_bytes(find_sweep_file("stroke_hybrid").read_bytes())
    run_sweep(file, home=home, architectures={"vit", "resnet_vit"}, exclude=np.array(["vit"]))
    run_sweep(str(file), file, home=home, architectures=(name for name in ["vit", "resnet_vit"]))
    assert [(one.name, one.architectures, one.exclude) for one in asked] == [
        (str(file), ("resnet_vit", "vit"), ("vit",)),
        (str(file), ("vit", "resnet_vit"), ()),
    ]
    assert {type(name) for one in asked for name in one.architectures + one.exclude} == {str}, "as they go into JSON"
