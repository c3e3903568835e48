"""A folder in the place of a file, or a file in that of a folder: a line that says what, where, and the way out."""

from pathlib import Path

import pytest
from sweep_support import open_sweep

from orchestrator.cli import environment
from orchestrator.cli import report as command
from orchestrator.errors import BadInput
from orchestrator.history import all_sweeps
from orchestrator.home import Home, open_home
from orchestrator.inspecting.new_folder import whole_folder
from orchestrator.new_folder import check_new_folder, new_folder
from orchestrator.sweep_lock import owned


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home with one sweep."""
    monkeypatch.setenv("ORCHESTRATE_HOME", str(tmp_path / "home"))
    home = open_home(tmp_path / "home")
    home.sweeps.mkdir()
    with open_sweep(home.sweeps / "s"):
        pass
    return home


@pytest.mark.parametrize("name", ["lock", "owner.json", "stop_requested", "request.json", "sync-1234abcd.lock"])
def test_a_folder_in_the_place_of_a_sweeps_file_is_told(home: Home, name: str) -> None:
    folder = home.sweeps / "s"
    (folder / name).unlink(missing_ok=True)
    (folder / name).mkdir()
    with pytest.raises(BadInput, match=rf"s/{name}: is a folder, and a sweep has a file of that name; move it away"):
        with owned(folder):
            pass
    assert (folder / name).is_dir()


def test_a_file_in_the_place_of_a_sweeps_folder_is_told(home: Home) -> None:
    (home.sweeps / "s" / "trials").write_text("")
    with pytest.raises(BadInput, match="s/trials: is no folder"), owned(home.sweeps / "s"):
        pass


def test_a_journal_that_is_a_folder_is_told(home: Home) -> None:
    journal = home.sweeps / "s" / "journal.jsonl"
    journal.unlink()
    journal.mkdir()
    with pytest.raises(BadInput, match=r"s/journal\.jsonl: is no file; put back the journal of the sweep"):
        home.sweep_folder("s")
    assert all_sweeps(home) == ([], ["sweep s is left out, its journal cannot be read: Is a directory"])


@pytest.mark.parametrize("name", ["cache", "mlflow", "phantoms", "data_checks", "trainings"])
def test_a_file_in_the_place_of_a_folder_of_the_home_is_told(home: Home, name: str) -> None:
    (home.root / name).write_text("")
    for opened in (lambda: open_home(home.root), environment.home_to_read):
        with pytest.raises(BadInput, match=rf"^ORCHESTRATE_HOME=.*: {name} in it is no folder; move it away"):
            opened()


def test_a_folder_in_the_place_of_the_ledger_is_told(home: Home) -> None:
    home.test_ledger.mkdir()
    with pytest.raises(BadInput, match=r"test_reads\.jsonl in it is a folder; move it away"):
        environment.home_to_read()


def test_a_report_that_cannot_be_written_says_where(home: Home, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    for out, words in {"link": "is a link to nowhere", "file": "is a file", "file/in": "Not a directory"}.items():
        with pytest.raises(BadInput, match=rf"--out .*{out}: .*{words}.*; name "):
            command.report("s", tmp_path / out)
    (home.sweeps / "s" / "report").write_text("")
    with pytest.raises(BadInput, match=r"s/report: cannot be written \(File exists\); move it away, or name .* --out"):
        command.report("s")


def test_a_new_folder_is_not_made_in_the_place_of_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(BadInput, match="link: is a link to nowhere; name a new folder"):
        with whole_folder(tmp_path / "link"):
            pass


def test_a_new_folder_is_not_made_in_place_of_the_one_the_user_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=r"^--out \.: is the folder that you are in"):
        check_new_folder("--out", Path())


def test_a_new_folder_may_have_any_name_that_a_file_system_takes(tmp_path: Path) -> None:
    for name in ("n" * 255, "脑" * 85):
        with new_folder(tmp_path / name) as part:
            (part / "file").touch()
        assert (tmp_path / name / "file").is_file()
    assert len(list(tmp_path.iterdir())) == 2
