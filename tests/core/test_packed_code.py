"""What a cluster is sent: small, the same for the same code, code and sweep files alone, and it runs there."""

import random
import runpy
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from orchestrator import packed_code
from orchestrator.errors import BadInput
from orchestrator.inspecting.machine import git_state, packed_from
from orchestrator.packed_code import pack_code


def test_code_and_a_sweeps_own_files_are_packed_the_same_every_time(tmp_path: Path) -> None:
    own = {"sweeps/0/mine.yaml": b"task: stroke\n"}
    packed = pack_code(tmp_path / "a" / "code.zip", own)
    again = pack_code(tmp_path / "b.zip", own)
    assert packed.path.read_bytes() == again.path.read_bytes()
    assert packed.size_bytes == packed.path.stat().st_size < 2 * 2**20
    with ZipFile(packed.path) as archive:
        names = archive.namelist()
        assert archive.read("sweeps/0/mine.yaml") == b"task: stroke\n"
    assert packed.files == len(names)
    assert {"orchestrator/cli/main.py", "trainables/catalog.py", "search_spaces/stroke_hybrid.yaml"} <= set(names)
    assert {name.partition("/")[0] for name in names} == {"orchestrator", "trainables", "search_spaces", "sweeps"}
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc") or "/." in name]
    assert not list(tmp_path.rglob("*.part"))


def test_what_is_packed_runs_and_knows_its_commit(tmp_path: Path) -> None:
    name, content = packed_from()
    with ZipFile(pack_code(tmp_path / "code.zip", {name: content}).path) as archive:
        archive.extractall(tmp_path / "there")
    code = "from orchestrator.inspecting import machine; print(machine.__file__, machine.git_state())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "there", capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[0] == str(tmp_path / "there" / "orchestrator" / "inspecting" / "machine.py")
    assert done.stdout.partition(" ")[2].strip() == str(git_state())


def test_an_older_python_on_a_cluster_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    with pytest.raises(ImportError, match=r"orchestrate needs Python 3\.11 or newer, .* is "):
        runpy.run_path(str(Path(packed_code.__file__).with_name("__init__.py")))


def test_more_than_code_is_refused_by_its_largest_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed_code, "MOST_BYTES", 2**20 + 2**19)
    large = random.Random(0).randbytes(2**20)
    with pytest.raises(BadInput, match=r"are \d\.\d MiB packed, .*; largest: sweeps/0/images.yaml \(1\.0 MiB\), "):
        pack_code(tmp_path / "code.zip", {"sweeps/0/images.yaml": large})
    assert not list(tmp_path.iterdir())
