"""The layers of the house, held by walking every import; see the map in README.md."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ONLY_IN = {
    "ray": ["orchestrator/tuning/"],
    "optuna": ["orchestrator/tuning/"],
    "mlflow": ["orchestrator/tracking/"],
    "torch": ["trainables/", "orchestrator/tuning/", "orchestrator/inspecting/"],
    "torchvision": ["trainables/", "orchestrator/inspecting/"],
    **{
        name: ["trainables/"]
        for name in ("timm", "cv2", "sklearn", "PIL", "matplotlib", "pytorch_grad_cam", "safetensors", "onnxruntime")
    },
    "typer": ["orchestrator/cli/"],
    "rich": ["orchestrator/cli/"],
}
# A module's layer is that of the longest prefix here; a layer imports from itself and from lower ones only.
LAYERS = {
    "orchestrator.cli": 4,
    "orchestrator.sweep": 3,
    "orchestrator.sweep_planning": 3,
    "orchestrator.cluster_sweep": 3,
    "orchestrator.preflight": 3,
    "orchestrator.sweeps_together": 3,
    "orchestrator.init_task": 3,
    "orchestrator.api": 3,
    "orchestrator.sweep_report": 3,
    "orchestrator.late_registration": 3,
    "orchestrator.removal": 3,
    "orchestrator.resume": 3,
    "orchestrator.same_id": 3,
    "orchestrator.replay": 3,
    "orchestrator.train": 3,
    "orchestrator.evaluate": 3,
    "orchestrator.explain": 3,
    "orchestrator.version_grids": 3,
    "orchestrator.train_planning": 3,
    "orchestrator.tuning": 2,
    "orchestrator.tracking": 2,
    "orchestrator.inspecting": 2,
    "orchestrator": 1,
    "trainables": 0,
    "search_spaces": 0,
}
ADAPTERS = ("orchestrator.tuning", "orchestrator.tracking", "orchestrator.inspecting")
CORE_MAY_READ = (
    "trainables.catalog", "trainables.configs", "trainables.data.records", "trainables.data.sources",
    "trainables.durable", "trainables.errors", "trainables.evaluation", "trainables.explain.map_warnings",
    "search_spaces",
)  # fmt: skip


def _files() -> list[Path]:
    return sorted(
        path for name in ("orchestrator", "trainables", "search_spaces") for path in (ROOT / name).rglob("*.py")
    )


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _owner(module: str, prefixes: tuple[str, ...] | list[str]) -> str:
    own = [prefix for prefix in prefixes if module == prefix or module.startswith(prefix + ".")]
    return max(own, key=len, default="")


@pytest.mark.parametrize("path", _files(), ids=_module)
def test_a_module_imports_only_what_its_layer_may(path: Path) -> None:
    module = _module(path)
    own = _owner(module, list(LAYERS))
    for name in _imports(path):
        top = name.partition(".")[0]
        if top in ONLY_IN:
            where = path.relative_to(ROOT).as_posix()
            assert any(where.startswith(allowed) for allowed in ONLY_IN[top]), f"{where} imports {name}"
        target = _owner(name, list(LAYERS))
        if not target:
            continue
        assert LAYERS[target] <= LAYERS[own], f"{module} imports {name} from a layer above"
        if LAYERS[own] == 1:
            allowed = name.startswith("orchestrator") or _owner(name, CORE_MAY_READ) or name == "trainables"
            assert allowed, f"core module {module} imports {name}"
        if own in ADAPTERS and target in ADAPTERS:
            assert own == target, f"adapter {module} imports adapter {name}"


def test_the_walk_sees_an_import_inside_a_function(tmp_path: Path) -> None:
    path = tmp_path / "late.py"
    path.write_text("def f():\n    import mlflow\n    from ray import tune\n")
    assert {"mlflow", "ray", "ray.tune"} <= _imports(path)


@pytest.mark.parametrize(
    "modules",
    [
        "orchestrator.cli.main",
        "orchestrator.sweep_file, orchestrator.plan, orchestrator.journal, orchestrator.ranking",
        "trainables.catalog, trainables.evaluation.metrics, trainables.evaluation.figures",
        "trainables.evaluation.evaluation_files, trainables.evaluation.named_metrics",
        "orchestrator.tracking.process, orchestrator.tracking.outcome",
    ],
)
def test_light_modules_load_without_the_heavy_packages(modules: str) -> None:
    heavy = "{'torch', 'ray', 'mlflow', 'optuna', 'timm'}"
    code = f"import sys, {modules}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_operators_folder_holds_no_python() -> None:
    assert not list((ROOT / "mlflow").rglob("*.py")), "a module in mlflow/ would shadow the real package"
    assert not list((ROOT / "tests").rglob("__init__.py"))
