"""Fixtures of tests that run whole commands."""

import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests_support import AS_ON_TWO_CORES, REAL_DATA, Finished, Orchestrate, all_cores, run_command, run_here


def pytest_configure(config: pytest.Config) -> None:
    """Give each process of tests a core of its own: threads that wait for each other on shared ones crawl.

    All but `-m gpu` is as on a machine without a GPU: there the presets, and so what sweeps print, are others.
    """
    if config.option.markexpr != "gpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker and sys.platform == "linux":
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""
    items.sort(key=lambda item: item.get_closest_marker("sweep") is None)


@pytest.fixture
def orchestrate(tmp_path: Path) -> Orchestrate:
    """Run a command in a home of its own."""

    def run(*arguments: str | Path, **options: Any) -> Finished:
        return run_command(tmp_path / "home", *arguments, **options)

    return run


@pytest.fixture
def orchestrate_here(tmp_path: Path) -> Orchestrate:
    """Run a command in a home of its own and in this process: for all that is not about processes."""
    return partial(run_here, tmp_path / "home")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real sets (brain_mri_binary/, stroke_multimodal/, ...); tests skip where there is none."""
    if not (REAL_DATA / "stroke_multimodal").is_dir():
        pytest.skip(
            f"no real images at {REAL_DATA}; set ORCHESTRATE_REAL_DATA to a folder that holds stroke_multimodal/"
        )
    return REAL_DATA


@pytest.fixture(scope="session")
def real_stroke(real_data: Path) -> Path:
    return real_data / "stroke_multimodal"


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Finished]:
    """README's main job as it stands, once for the whole session: its home and what it printed."""
    home = tmp_path_factory.mktemp("demo") / "home"
    with all_cores():  # it trains longer than all others together
        finished = run_command(home, "sweep", "stroke_hybrid", "--json", *AS_ON_TWO_CORES, timeout_s=900)
    assert finished.exit_code == 0, finished.stderr
    return home, finished
