"""README's notebook-sized example, as it stands there, and what its parts refuse."""

import re
from pathlib import Path

import pytest

import orchestrator
from orchestrator import leaderboard, load_model, run_sweep
from orchestrator.errors import BadInput

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
    with pytest.raises(BadInput, match="trials='3': expected a whole number"):
        run_sweep("stroke_hybrid", home=home, trials="3")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=r"trials=1\.5: expected a whole number"):
        run_sweep("stroke_hybrid", home=home, trials=1.5)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="home=3: expected text or a path"):
        leaderboard("stroke", home=3)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=r"reference=\['stroke'\]: expected text"):
        leaderboard(["stroke"])  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="reference=None: expected text"):
        leaderboard(None)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="tracking_uri=5: expected text"):
        load_model("stroke", tracking_uri=5)  # type: ignore[arg-type]
    assert not hasattr(orchestrator, "no_such_name")
