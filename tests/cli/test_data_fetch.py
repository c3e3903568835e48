"""`orchestrate data fetch` from stubs of its hosts, with their own libraries in between."""

import errno
import fcntl
import os
import random
import shutil
import sys
from pathlib import Path

import pytest
from stub_hosts import Fetch, Stub, names_in, zip_of
from tests_support import Orchestrate

from orchestrator.inspecting import fetching, from_huggingface, from_kaggle
from trainables.catalog import TASKS
from trainables.data.phantom import write_alzheimer_phantom, write_stroke_phantom
from trainables.data.read import read_data_set
from trainables.data.sources import SOURCES

TOKEN = "token-that-nobody-may-read"


@pytest.fixture(scope="module")
def stroke_zip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The stroke task's layout in an archive of which kagglehub's chunk of 1 MiB is a part."""
    folder = tmp_path_factory.mktemp("stroke") / "set"
    write_stroke_phantom(folder, train_patients=4, test_patients=4, slices_per_modality=1, image_px=48)
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return zip_of({**files, "notes.bin": random.Random(0).randbytes(3 * 2**20)})


def test_a_kaggle_set_is_fetched_whole_and_its_licence_said_first(
    fetch: Fetch, stub: Stub, stroke_zip: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kagglehub.clients.already_printed_version_warning", False)
    stub.archive = stroke_zip
    done = fetch(KAGGLE_API_TOKEN=TOKEN)
    assert done.exit_code == 0, done.stderr
    target = tmp_path / "sets" / "stroke"
    assert done.stdout == f"{target}\n"
    assert "an outdated `kagglehub`" in done.stderr
    assert done.stderr.splitlines()[0] == f"{SOURCES['stroke'].page}; licence: not stated"
    assert len(read_data_set(TASKS["stroke"], target).records) == 16
    assert names_in(tmp_path / "sets") == {"stroke"}
    assert not {".complete", ".cache"} & names_in(target)
    assert "KAGGLEHUB_CACHE" not in os.environ
    again = fetch()
    assert again.exit_code == 2 and "exists already" in again.stderr and again.stderr.count("\n") == 1


def test_a_download_that_broke_off_goes_on_where_it_stopped(
    fetch: Fetch, stub: Stub, stroke_zip: bytes, tmp_path: Path
) -> None:
    stub.archive, stub.cut_at = stroke_zip, 2 * 2**20
    broken = fetch()
    assert broken.exit_code == 2
    assert "broke off" in broken.stderr and "run the same command again" in broken.stderr
    assert "Traceback" not in broken.stderr and broken.stdout == ""
    assert names_in(tmp_path / "sets") == {".stroke.download"}
    stub.cut_at = None
    done = fetch()
    assert done.exit_code == 0, done.stderr
    begin = stub.downloads()[-1].range
    assert begin is not None and int(begin.removeprefix("bytes=").removesuffix("-")) >= 2**20
    target = tmp_path / "sets" / "stroke"
    assert (target / "notes.bin").read_bytes() == random.Random(0).randbytes(3 * 2**20)
    assert len(read_data_set(TASKS["stroke"], target).records) == 16
    assert names_in(tmp_path / "sets") == {"stroke"}


def test_an_interrupted_download_says_that_it_goes_on(
    fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(name: str) -> str:
        (Path(os.environ["KAGGLEHUB_CACHE"]) / "3.archive").write_text("a part")
        raise KeyboardInterrupt

    monkeypatch.setattr("kagglehub.dataset_download", interrupted)
    done = fetch()
    assert done.exit_code == 130 and "interrupted; what has come is kept, run the same command" in done.stderr
    assert "KAGGLEHUB_CACHE" not in os.environ
    assert names_in(tmp_path / "sets") == {".stroke.download"}


@pytest.mark.parametrize(
    ("status", "token", "words"),
    [
        (401, "", "Kaggle wants an account (401); make a token (kaggle.com -> Settings -> API)"),
        (403, TOKEN, "Kaggle refused the account whose credentials are here (403); make a token"),
        (404, TOKEN, "Kaggle has no set turkertuncer/multimodal-stroke-image-dataset (404)"),
        (503, TOKEN, "Kaggle answered 503; try again later"),
    ],
)
def test_what_kaggle_refuses_is_one_line_with_the_way_out(
    status: int, token: str, words: str, fetch: Fetch, stub: Stub, tmp_path: Path
) -> None:
    stub.status = status
    done = fetch(KAGGLE_API_TOKEN=token)
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 2, "the licence and the reason"
    assert words in done.stderr and f"by hand: download {SOURCES['stroke'].page}" in done.stderr
    assert TOKEN not in done.stderr
    assert not names_in(tmp_path / "sets")


def test_without_a_network_or_the_library_there_is_a_way_out(
    fetch: Fetch, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kagglesdk import kaggle_env

    monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.LOCAL, "http://127.0.0.1:9")
    nobody = fetch()
    assert nobody.exit_code == 2 and "Kaggle cannot be reached (ConnectionError); by hand: " in nobody.stderr
    for content in (TOKEN, "null", f'["username", "key", "{TOKEN}"]'):
        (tmp_path / "kaggle.json").write_text(content)
        unreadable = fetch()
        assert unreadable.exit_code == 2 and "the kaggle.json that is here cannot be read" in unreadable.stderr
        assert TOKEN not in unreadable.stderr
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    lacking = fetch()
    assert lacking.exit_code == 2 and "pip install -c constraints.txt -e '.[kaggle]'; by hand: " in lacking.stderr
    for done in (nobody, unreadable, lacking):
        assert done.stderr.count("\n") == 2 and "Traceback" not in done.stderr
    assert not names_in(tmp_path / "sets")


def test_no_folder_of_a_notebooks_machine_is_taken(fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    from kagglehub import config

    disabled = []

    def download(name: str) -> str:
        disabled.extend([config.is_kaggle_cache_disabled(), config.is_colab_cache_disabled()])
        raise ValueError

    monkeypatch.setattr("kagglehub.dataset_download", download)
    fetch()
    assert disabled == [True, True]
    assert not config.is_kaggle_cache_disabled()


@pytest.mark.parametrize("task", ["stroke", "alzheimer"])
def test_a_host_that_says_nothing_is_not_waited_for_for_ever(
    task: str, fetch: Fetch, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(from_kaggle, "READ_TIMEOUT_S", 0.05)
    monkeypatch.setattr(from_huggingface, "HOST_TIMEOUT_S", 0.05)
    stub.is_silent = True
    done = fetch(task)
    assert done.exit_code == 2 and "(ReadTimeout)" in done.stderr and "by hand: " in done.stderr
    assert not names_in(tmp_path / "sets")


def test_a_set_of_another_layout_stays_and_says_what_to_do(fetch: Fetch, stub: Stub, tmp_path: Path) -> None:
    stub.archive = zip_of({"pictures/one.png": b"x"})
    done = fetch()
    target = tmp_path / "sets" / "stroke"
    assert done.exit_code == 2 and done.stdout == ""
    assert f"was fetched to {target}, but is not in the layout that is expected: " in done.stderr
    assert f"then: orchestrate data check stroke --data {target}" in done.stderr
    assert (target / "pictures" / "one.png").is_file()


def test_a_begun_download_is_one_sets_and_one_commands(
    fetch: Fetch, stub: Stub, stroke_zip: bytes, tmp_path: Path
) -> None:
    stub.archive = stroke_zip
    precious = tmp_path / "sets" / ".stroke.download" / "precious"
    precious.parent.mkdir(parents=True)
    precious.write_text("x")
    foreign = fetch()
    assert foreign.exit_code == 2 and "is not a begun download of" in foreign.stderr
    assert precious.read_text() == "x"
    mark = precious.with_name("SOURCE")
    mark.write_text(SOURCES["stroke"].page)
    with mark.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        busy = fetch()
    assert busy.exit_code == 2 and "another data fetch downloads it" in busy.stderr
    assert not stub.asked
    assert fetch().exit_code == 0


def test_a_download_that_ends_while_another_begins_is_told(
    fetch: Fetch, stub: Stub, stroke_zip: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.archive = stroke_zip
    with monkeypatch.context() as patch:
        patch.setattr(fetching.fcntl, "flock", lambda *_: shutil.rmtree(tmp_path / "sets" / ".stroke.download"))
        late = fetch()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", lambda *_, **__: None)  # as if it were removed at once
        later = fetch()
    for done in (late, later):
        assert done.exit_code == 2 and "another data fetch has just ended; run the same command again" in done.stderr
    assert fetch().exit_code == 0


def test_where_the_whole_set_cannot_be_put_it_is_kept_and_named(
    fetch: Fetch, stub: Stub, stroke_zip: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(self: Path, target: Path) -> None:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    stub.archive = stroke_zip
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", busy)
        done = fetch()
    target = tmp_path / "sets" / "stroke"
    assert done.exit_code == 2 and f"{target}: the set cannot be put there (Device or resource busy)" in done.stderr
    kept = Path(done.stderr.partition("is kept in ")[2].partition(": ")[0])
    assert len(read_data_set(TASKS["stroke"], kept).records) == 16
    assert fetch().exit_code == 0 and len(read_data_set(TASKS["stroke"], target).records) == 16
    assert len(stub.downloads()) == 1


def test_parquet_from_hugging_face_comes_whole_and_goes_on(
    fetch: Fetch, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, target = tmp_path / "made", tmp_path / "sets" / "alzheimer"
    write_alzheimer_phantom(made, train_patients=8, test_patients=4, slices=1, image_px=48)
    parquet = {f"data/{path.name}": path.read_bytes() for path in sorted((made / "data").glob("*.parquet"))}
    stub.files = {**parquet, "README.md": b"a card", "other.bin": b"not asked for"}
    test, train = sorted(parquet)
    stub.refused = train
    broken = fetch("alzheimer")
    assert broken.exit_code == 2 and "Hugging Face answered 500" in broken.stderr, broken.stderr
    assert "run the same command again" in broken.stderr
    with monkeypatch.context() as patch:
        patch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
        offline = fetch("alzheimer")
    assert offline.exit_code == 2 and "Hugging Face cannot be reached, or broke off (ConnectError)" in offline.stderr
    assert not target.exists(), "half a set is not taken for whole"
    stub.refused, num_before = None, len(stub.downloads())
    done = fetch("alzheimer")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == f"{target}\n" and "licence: Apache-2.0 by its card" in done.stderr
    assert not [one for one in stub.downloads()[num_before:] if one.path.endswith(test)]
    there = sorted(str(path.relative_to(target)) for path in target.rglob("*") if path.is_file())
    assert there == ["README.md", test, train]
    assert len(read_data_set(TASKS["alzheimer"], target).records) == 12
    assert names_in(tmp_path / "sets") == {"alzheimer"}


def test_a_set_that_was_cut_otherwise_meanwhile_has_each_row_once(fetch: Fetch, stub: Stub, tmp_path: Path) -> None:
    write_alzheimer_phantom(tmp_path / "made", train_patients=8, test_patients=4, slices=1, image_px=48)
    test, train = (path.read_bytes() for path in sorted((tmp_path / "made" / "data").glob("*.parquet")))
    stub.files, stub.refused = (
        {"data/train-0-of-1.parquet": train, "data/test-0-of-1.parquet": test},
        "data/test-0-of-1.parquet",
    )
    assert "run the same command again" in fetch("alzheimer").stderr
    stub.files, stub.revision = {"data/train-00.parquet": train, "data/test-00.parquet": test}, "6" * 40
    stub.refused = "data/test-00.parquet"
    assert "run the same command again" in fetch("alzheimer").stderr
    assert names_in(tmp_path / "sets" / ".alzheimer.download") == {"SOURCE", stub.revision}, "not the disk of two sets"
    stub.refused = None
    done = fetch("alzheimer")
    assert done.exit_code == 0, done.stderr
    target = tmp_path / "sets" / "alzheimer"
    assert len(read_data_set(TASKS["alzheimer"], target).records) == 12
    assert names_in(target / "data") == {"train-00.parquet", "test-00.parquet"}
    assert "goes on with what is kept in .alzheimer.download, unless the set was changed there meanwhile" in done.stderr
    assert names_in(tmp_path / "sets") == {"alzheimer"}


@pytest.mark.parametrize(("status", "words"), [(401, "set HF_TOKEN"), (404, "Hugging Face has no set Falah/Alzh")])
def test_what_hugging_face_refuses_is_told(status: int, words: str, fetch: Fetch, stub: Stub, tmp_path: Path) -> None:
    stub.status = status
    done = fetch("alzheimer")
    assert done.exit_code == 2 and words in done.stderr and "Traceback" not in done.stderr
    assert not names_in(tmp_path / "sets")


def test_where_a_set_cannot_be_put_is_told(orchestrate_here: Orchestrate, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "fifo")
    for out, words in (
        (tmp_path / "file", "is a file; name a new folder"),
        (tmp_path / "fifo", "is a file; name a new folder"),
        ("/dev/null", "/dev/null: is a file; name a new folder"),
        (tmp_path / ("x" * 300), "cannot be a folder (File name too long); name another one"),
        (tmp_path / ("x" * 250), "cannot be made (File name too long); name another folder"),
        ("/proc/x", "/proc/x: cannot be made"),
    ):
        refused = orchestrate_here("data", "fetch", "stroke", "--out", out)
        assert refused.exit_code == 2
        assert words in refused.stderr
        assert refused.stderr.count("\n") <= 2, "what it would fetch, and the reason"
    long = orchestrate_here("data", "phantom", "stroke", tmp_path / ("x" * 300))
    assert long.exit_code == 2 and "cannot be a folder (File name too long); name another one" in long.stderr
    assert "is the folder that you are in" in orchestrate_here("data", "fetch", "stroke", "--out", "").stderr


def test_an_empty_mount_point_is_refused_before_anything_is_fetched(
    fetch: Fetch, orchestrate_here: Orchestrate, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    monkeypatch.setattr("os.path.ismount", lambda path: Path(path) == disk)
    refused = orchestrate_here("data", "fetch", "stroke", "--out", disk)
    assert refused.exit_code == 2 and f"{disk}: is where a disk is mounted" in refused.stderr
    (disk / "lost+found").mkdir()
    assert "is where a disk is mounted" in orchestrate_here("data", "fetch", "stroke", "--out", disk).stderr
    (disk / "train").mkdir()
    there = orchestrate_here("data", "fetch", "stroke", "--out", disk)
    assert there.exit_code == 2 and f"exists already; remove it, or use it: --data {disk}\n" in there.stderr
    assert not stub.asked


def test_a_command_for_the_shell_quotes_the_folder(orchestrate_here: Orchestrate, tmp_path: Path) -> None:
    (tmp_path / "my sets" / "x").mkdir(parents=True)
    refused = orchestrate_here("data", "fetch", "stroke", "--out", tmp_path / "my sets")
    assert f"or use it: --data '{tmp_path / 'my sets'}'\n" in refused.stderr


def test_a_folder_of_sets_that_is_not_there_yet_is_made_and_not_asked_for_in_vain(
    fetch: Fetch, orchestrate_here: Orchestrate, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    beside = orchestrate_here("data", "fetch", "stroke", "--out", tmp_path / "file", ORCHESTRATE_DATA="/no/such/folder")
    assert "is a file; name a new folder" in beside.stderr, "--out needs no other folder"
    below_a_file = fetch(ORCHESTRATE_DATA=str(tmp_path / "file"))
    assert below_a_file.exit_code == 2 and "cannot be made" in below_a_file.stderr
