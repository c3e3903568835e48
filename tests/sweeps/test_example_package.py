"""Somebody else's package brings an architecture and a sweep: they are swept, explained and registered as our own."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tests_support import Finished, clean_environment, command, run_here, with_store

from trainables import catalog
from trainables.data.phantom import write_tumor_4class_phantom

pytestmark = pytest.mark.sweep
PACKAGE = Path(__file__).parents[1] / "example_package"


def install(folder: Path, **entry_points: dict[str, str]) -> None:
    """Put the package where Python finds it, with the metadata that pip would write."""
    declared = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    shutil.copytree(PACKAGE / "tiny_net", folder / "tiny_net")
    about = folder / "tiny_net-0.1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.4\nName: tiny-net\nVersion: 0.1.0\n")
    groups = entry_points or declared["entry-points"]
    lines = [f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in points.items()) for group, points in groups.items()]
    (about / "entry_points.txt").write_text("\n".join(lines))


def run(home: Path, packages: Path, *arguments: str | Path) -> Finished:
    done = subprocess.run(
        command(*arguments), env=clean_environment(home, PYTHONPATH=str(packages)), cwd=home.parent,
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    return Finished(done.returncode, done.stdout, done.stderr)


@pytest.mark.faults  # minutes: each of its commands is a process of its own
def test_it_is_swept_explained_and_registered(tmp_path: Path) -> None:
    home, packages = tmp_path / "home", tmp_path / "packages"
    with_store(home)
    packages.mkdir()
    install(packages)
    phantom = tmp_path / "phantom"
    write_tumor_4class_phantom(phantom, train_patients=24, test_patients=8, slices=2, image_px=64)
    listed = run(home, packages, "list", "architectures")
    assert "tiny_net" in listed.stdout and "an example" in listed.stdout
    small = ("--preset", "quick", "--slots", "1", "--trials", "1", "--epochs", "1", "--data", phantom)
    swept = run(home, packages, "sweep", "tiny_sweep", *small, "--json")
    assert swept.exit_code == 0, swept.stderr
    assert swept.json["registered"]["name"] == "tumor_4class_phantom"
    image = next((phantom / "Testing").rglob("*.jpg"))
    explained = run(home, packages, "explain", "tumor_4class_phantom", image, "--json", "--out", tmp_path / "why")
    assert explained.exit_code == 0, explained.stderr
    assert [Path(one["panel"]).is_file() for one in explained.json["panels"]] == [True]
    shutil.rmtree(packages)
    packages.mkdir()
    board = run(home, packages, "leaderboard", swept.json["sweep_id"])
    assert board.exit_code == 0 and "tiny_net" in board.stdout, "old sweeps are read without the package"
    predicted = run(home, packages, "predict", "tumor_4class_phantom", image)
    assert predicted.exit_code == 0, "a registered model carries the code"
    gone = run(home, packages, "resume", swept.json["sweep_id"], "--trials", "5")
    assert gone.exit_code == 2 and "Traceback" not in gone.stderr, gone.stderr


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("tiny_net.nothing:RECORD", "cannot be loaded: No module named 'tiny_net.nothing'"),
        ("tiny_net.record:TinyNetConfig", "is not an Architecture (CONTRIBUTING.md says how)"),
    ],
)
def test_a_package_that_is_wrong_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, told: str
) -> None:
    home, packages = tmp_path / "home", tmp_path / "packages"
    packages.mkdir()
    sweeps = {"x": "gone_for_good", "tiny_net": "tiny_net"}
    install(packages, **{"orchestrator.architectures": {"tiny_net": value}, "orchestrator.search_spaces": sweeps})
    monkeypatch.syspath_prepend(packages)
    catalog._entry_points.cache_clear()
    try:
        done = run_here(home, "train", "tiny_net", "--task", "tumor_4class")
        assert done.exit_code == 2 and told in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
        for what, other in (("architectures", "resnet_vit"), ("sweeps", "stroke_hybrid")):
            listed = run_here(home, "list", what)
            assert listed.exit_code == 0 and other in listed.stdout and told in listed.stderr, "others are not harmed"
        assert "sweeps of x: no package 'gone_for_good'" in listed.stderr
    finally:
        catalog._entry_points.cache_clear()
        for name in [name for name in sys.modules if name.partition(".")[0] == "tiny_net"]:
            del sys.modules[name]
