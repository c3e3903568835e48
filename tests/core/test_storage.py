"""A sweep whose folder is elsewhere, on a disk that other machines share."""

from pathlib import Path

import pytest
from sweep_support import begin, open_sweep

from orchestrator.cli import remove
from orchestrator.cli.sweep_flags import storage_of
from orchestrator.errors import BadInput
from orchestrator.home import Home
from orchestrator.shared_path import network_type


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    folder = tmp_path / "shared"
    folder.mkdir()
    return folder


def test_a_sweep_in_a_storage_is_known_by_its_place_there(tmp_path: Path, storage: Path) -> None:
    home = Home(tmp_path / "home")
    folder = home.new_sweep("stroke", "one", storage)
    assert folder == storage / "one"
    with open_sweep(folder) as sweep:
        begin(sweep, 0)
    assert home.sweep_folder("one") == folder
    assert [found.name for found in home.sweep_folders()] == ["one"]
    with pytest.raises(BadInput, match="there is a sweep of that id"):
        Home(tmp_path / "another").new_sweep("stroke", "one", storage)


def test_another_machine_goes_on_with_it(tmp_path: Path, storage: Path) -> None:
    folder = Home(tmp_path / "home").new_sweep("stroke", "one", storage)
    with open_sweep(folder) as sweep:
        begin(sweep, 0)
    other = Home(tmp_path / "other")
    for _ in range(2):
        other.adopt_sweep("one", storage)
    assert other.sweep_folder("one") == folder


def test_two_sweeps_of_one_id_are_not_mixed(tmp_path: Path, storage: Path) -> None:
    folder = Home(tmp_path / "home").new_sweep("stroke", "one", storage)
    (folder / "journal.jsonl").touch()
    other = Home(tmp_path / "other")
    other.new_sweep("stroke", "one")
    with pytest.raises(BadInput, match="has a sweep one, and so has"):
        other.adopt_sweep("one", storage)


def test_removing_it_removes_the_folder_and_the_link(
    tmp_path: Path, storage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path / "home")
    with open_sweep(home.new_sweep("stroke", "one", storage)) as sweep:
        begin(sweep, 0)
    monkeypatch.setenv("ORCHESTRATE_HOME", str(home.root))
    remove.remove(["one"], yes=True)
    assert not list(storage.iterdir())
    assert not list(home.sweeps.iterdir())


def test_a_disk_that_is_away_is_told_with_the_place_of_the_sweep(tmp_path: Path, storage: Path) -> None:
    home = Home(tmp_path / "home")
    with open_sweep(home.new_sweep("stroke", "one", storage)) as sweep:
        begin(sweep, 0)
    storage.rename(tmp_path / "unmounted")
    with pytest.raises(BadInput, match=f"^one: its folder {storage}/one is not there; mount its disk again, or remove"):
        home.sweep_folder("one")
    (tmp_path / "unmounted").rename(storage)
    assert home.sweep_folder("one") == storage / "one"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("memory://bucket/sweeps", "memory:// is no store for sweeps"),
        ("/not/here", "no such folder"),
    ],
)
def test_a_storage_that_cannot_be_is_refused(value: str, words: str) -> None:
    with pytest.raises(BadInput, match=f"--storage {value}: {words}"):
        storage_of(value)


MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:40 / /data/with\\040blank rw,relatime shared:2 - nfs4 server:/export rw,vers=4.2
31 30 254:1 / /data/with\\040blank/local rw,relatime shared:3 - xfs /dev/vdb rw
"""


def test_folders_on_a_network_file_system_are_known(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert network_type(Path("/data/with blank/home/mlflow"), mounts) == "nfs4"
    assert network_type(Path("/data/with blank/local/home"), mounts) == ""
    assert network_type(Path("/data/other"), mounts) == ""
    assert network_type(Path("/data/with blank"), tmp_path / "not there") == ""
