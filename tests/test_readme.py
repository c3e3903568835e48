"""README's commands are the ones that CI runs, and its map is the tree."""

import re
from pathlib import Path

import pytest

from trainables.explain.explainers import METHODS
from trainables.model_card import plain_pytorch

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SETUP = "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt -e '.[test]' && "


def test_readme_has_one_line_for_the_main_job_and_one_for_the_tests() -> None:
    commands = [line for line in README.splitlines() if line.startswith("python3 -m venv")]
    assert commands == [SETUP + ".venv/bin/orchestrate sweep stroke_hybrid", SETUP + ".venv/bin/pytest"]


def test_ci_runs_readmes_test_command_then_style_and_types() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert "set -euo pipefail" in lines
    assert SETUP + ".venv/bin/pytest" in lines
    assert [line for line in lines if "ruff check" in line or "mypy" in line] == [
        ".venv/bin/ruff check .",
        ".venv/bin/mypy",
    ]


def test_every_file_that_readme_maps_exists() -> None:
    tree = README.partition("## Map")[2].partition("## Licence")[0]
    named = re.findall(r"^ {4}(\S+/)|^ {6}([\w*]+(?:\.py|/))", tree, flags=re.MULTILINE)
    top = ""
    assert len(named) > 10
    for folder, below in named:
        top = folder or top
        assert list(ROOT.glob((top + below).rstrip("/"))), top + below


def test_readme_shows_the_model_cards_plain_pytorch() -> None:
    assert f"```python\n{plain_pytorch(['image'])}\n```" in README


def test_readmes_explanation_of_any_module_runs_and_its_methods_are_those_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = README.partition("## Why did it say so")[2].partition("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(code, names)
    assert (tmp_path / "panel.png").read_bytes().startswith(b"\x89PNG")
    assert names["found"].grid == (14, 14)  # type: ignore[attr-defined]
    listed = section.partition("Methods: ")[2]
    assert re.findall(r"`([^`]+)`", listed) == list(METHODS)


def test_every_link_of_the_documents_exists() -> None:
    for document in ("README.md", "CONTRIBUTING.md", "mlflow/README.md"):
        text = (ROOT / document).read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            if not target.startswith("http"):
                assert (ROOT / document).parent.joinpath(target).exists(), f"{document}: {target}"


def test_constraints_pin_every_dependency_and_name_no_index() -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pinned = set(re.findall(r"^([\w.-]+)==", text, flags=re.MULTILINE))
    normal = {name.lower().replace("_", "-").replace(".", "-") for name in pinned}
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    wanted = re.findall(r'^ {4}"([\w.-]+)(?:\[[\w,]+\])?[><="]', project, flags=re.MULTILINE)
    assert len(wanted) > 20
    assert not {name.lower() for name in wanted} - normal
    assert "://" not in text
    assert "index" not in text
