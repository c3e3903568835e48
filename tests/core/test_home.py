import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from orchestrator.errors import BadInput
from orchestrator.home import open_home


def test_a_new_home_is_made(tmp_path: Path) -> None:
    home = open_home(tmp_path / "a" / "b")
    assert home.root.is_dir()
    assert list(home.root.iterdir()) == [], "the probe is gone"


def test_a_home_that_cannot_be_written_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=r"ORCHESTRATE_HOME=.*cannot be written"):
        open_home(tmp_path / "file" / "home")
    with pytest.raises(BadInput, match="cannot be written"):
        open_home(Path("/proc/orchestrate"))


def test_a_home_whose_name_is_no_text_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="its name is no UTF-8 text; name another folder"):
        open_home(tmp_path / "caf\udce9")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(2**40, 2**40, 100 * 2**20))
    with pytest.raises(BadInput, match="100 MiB free"):
        open_home(tmp_path)


def test_sweep_ids_are_unique_within_one_second(tmp_path: Path) -> None:
    home = open_home(tmp_path)
    assert len({home.new_sweep("x").name for _ in range(20)}) == 20
