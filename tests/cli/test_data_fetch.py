"""`orchestrate data fetch` from stubs of its hosts, with their own libraries in between."""

import fcntl
import io
import os
import random
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stub_hosts import Stub, hosts
from tests_support import Finished, Orchestrate

from trainables.catalog import TASKS
from trainables.data.phantom import write_alzheimer_phantom, write_stroke_phantom
from trainables.data.read import read_data_set
from trainables.data.sources import SOURCES

TOKEN = "token-that-nobody-may-read"
Fetch = Callable[..., Finished]


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    from huggingface_hub import constants
    from kagglesdk import kaggle_env

    with hosts() as one:
        monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.LOCAL, one.url)
        monkeypatch.setattr(constants, "ENDPOINT", one.url)
        template = f"{one.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield one


@pytest.fixture
def fetch(orchestrate_here: Orchestrate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stub: Stub) -> Fetch:
    """Fetch into tmp_path/sets/<task> with no account but the one that is given."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "sets").mkdir()

    def run(task: str = "stroke", **environment: str) -> Finished:
        alone = {"HOME": str(tmp_path), "KAGGLE_CONFIG_DIR": str(tmp_path), "KAGGLE_API_TOKEN": "", "KAGGLE_KEY": ""}
        alone |= {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        root = {"ORCHESTRATE_DATA": str(tmp_path / "sets"), "KAGGLE_API_ENVIRONMENT": "LOCALHOST"}
        return orchestrate_here("data", "fetch", task, **{**alone, **root, **environment})

    return run


@pytest.fixture(scope="module")
def stroke_zip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The stroke task's layout in an archive of which kagglehub's chunk of 1 MiB is a part."""
    folder = tmp_path_factory.mktemp("stroke") / "set"
    write_stroke_phantom(folder, train_patients=4, test_patients=4, slices_per_modality=1, image_px=48)
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return _zip({**files, "notes.bin": random.Random(0).randbytes(3 * 2**20)})


def _zip(files: dict[str, bytes]) -> bytes:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return into.getvalue()


def _tar(*entries: tarfile.TarInfo) -> bytes:
    into = io.BytesIO()
    with tarfile.open(fileobj=into, mode="w") as archive:
        for entry in entries:
            archive.addfile(entry, io.BytesIO(b"x" * entry.size))
    return into.getvalue()


def _entry(name: str, link_to: str | None = None) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    if link_to is None:
        entry.size = 1
    else:
        entry.type, entry.linkname = tarfile.SYMTYPE, link_to
    return entry


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


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
    assert _names(tmp_path / "sets") == {"stroke"}
    assert not {".complete", ".cache"} & _names(target)
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
    assert _names(tmp_path / "sets") == {".stroke.download"}
    stub.cut_at = None
    done = fetch()
    assert done.exit_code == 0, done.stderr
    begin = stub.downloads()[-1].range
    assert begin is not None and int(begin.removeprefix("bytes=").removesuffix("-")) >= 2**20
    target = tmp_path / "sets" / "stroke"
    assert (target / "notes.bin").read_bytes() == random.Random(0).randbytes(3 * 2**20)
    assert len(read_data_set(TASKS["stroke"], target).records) == 16
    assert _names(tmp_path / "sets") == {"stroke"}


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
    assert _names(tmp_path / "sets") == {".stroke.download"}


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
    assert not _names(tmp_path / "sets")


def test_without_a_network_or_the_library_there_is_a_way_out(
    fetch: Fetch, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kagglesdk import kaggle_env

    monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.LOCAL, "http://127.0.0.1:9")
    nobody = fetch()
    assert nobody.exit_code == 2 and "Kaggle cannot be reached (ConnectionError); by hand: " in nobody.stderr
    (tmp_path / "kaggle.json").write_text(TOKEN)
    unreadable = fetch()
    assert unreadable.exit_code == 2 and "the kaggle.json that is here cannot be read" in unreadable.stderr
    assert TOKEN not in unreadable.stderr
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    lacking = fetch()
    assert lacking.exit_code == 2 and "pip install -c constraints.txt -e '.[kaggle]'; by hand: " in lacking.stderr
    for done in (nobody, unreadable, lacking):
        assert done.stderr.count("\n") == 2 and "Traceback" not in done.stderr
    assert not _names(tmp_path / "sets")


@pytest.mark.parametrize("up", ["../evil", "../../../../../../evil", "/evil-at-the-root"])
def test_an_archive_writes_nothing_outside_of_its_set(up: str, fetch: Fetch, stub: Stub, tmp_path: Path) -> None:
    for stub.archive in (_zip({up: b"x"}), _tar(_entry(up))):
        assert fetch().exit_code == 2
        found = [path.relative_to(tmp_path) for path in tmp_path.rglob("*evil*")]
        assert all(path.parts[:2] == ("sets", "stroke") for path in found), found
        assert not Path("/evil-at-the-root").exists()
        for path in found:
            (tmp_path / path).unlink()


def test_a_set_with_links_is_not_taken(fetch: Fetch, stub: Stub, tmp_path: Path) -> None:
    stub.archive = _tar(_entry("deep/a.png"), _entry("deep/b.png", link_to="a.png"))
    done = fetch()
    assert done.exit_code == 2 and "deep/b.png in the set is a link or a device" in done.stderr
    assert not _names(tmp_path / "sets")


@pytest.mark.parametrize("md5", ["AAAAAAAAAAAAAAAAAAAAAA==", None])
def test_a_damaged_archive_is_not_gone_on_with(md5: str | None, fetch: Fetch, stub: Stub, tmp_path: Path) -> None:
    stub.archive, stub.md5 = b"no archive" * 99, md5
    done = fetch()
    assert (
        done.exit_code == 2
        and "the archive that came from Kaggle is damaged" in done.stderr
        and "same command" not in done.stderr
    )
    assert not _names(tmp_path / "sets")


def test_a_set_of_another_layout_stays_and_says_what_to_do(fetch: Fetch, stub: Stub, tmp_path: Path) -> None:
    stub.archive = _zip({"pictures/one.png": b"x"})
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
    precious.parent.mkdir()
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


def test_parquet_from_hugging_face_comes_whole_and_goes_on(
    fetch: Fetch, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, target = tmp_path / "made", tmp_path / "sets" / "alzheimer"
    write_alzheimer_phantom(made, train_patients=8, test_patients=4, slices=1, image_px=48)
    parquet = {f"data/{path.name}": path.read_bytes() for path in sorted((made / "data").glob("*.parquet"))}
    stub.files = {**parquet, "README.md": b"a card", "other.bin": b"not asked for"}
    test, train = sorted(parquet)
    stub.refused = test
    broken = fetch("alzheimer")
    assert broken.exit_code == 2 and "Hugging Face answered 500" in broken.stderr, broken.stderr
    assert "run the same command again" in broken.stderr
    with monkeypatch.context() as patch:
        patch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
        offline = fetch("alzheimer")
    assert offline.exit_code == 2 and "Hugging Face cannot be reached, or broke off (ConnectError)" in offline.stderr
    with monkeypatch.context() as patch:  # as where the client loses the network and takes what is there for the set
        patch.setattr("huggingface_hub.snapshot_download", lambda name, **options: options["local_dir"])
        lost = fetch("alzheimer")
    assert lost.exit_code == 2 and "the connection to Hugging Face broke off" in lost.stderr
    assert not target.exists(), "half a set is not taken for whole"
    stub.refused, num_before = None, len(stub.downloads())
    done = fetch("alzheimer")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == f"{target}\n" and "licence: Apache-2.0 by its card" in done.stderr
    assert not [one for one in stub.downloads()[num_before:] if one.path.endswith(train)]
    there = sorted(str(path.relative_to(target)) for path in target.rglob("*") if path.is_file())
    assert there == ["README.md", test, train]
    assert len(read_data_set(TASKS["alzheimer"], target).records) == 12
    assert _names(tmp_path / "sets") == {"alzheimer"}


@pytest.mark.parametrize(("status", "words"), [(401, "set HF_TOKEN"), (404, "Hugging Face has no set Falah/Alzh")])
def test_what_hugging_face_refuses_is_told(status: int, words: str, fetch: Fetch, stub: Stub, tmp_path: Path) -> None:
    stub.status = status
    done = fetch("alzheimer")
    assert done.exit_code == 2 and words in done.stderr and "Traceback" not in done.stderr
    assert not _names(tmp_path / "sets")


def test_where_a_set_cannot_be_put_is_told(orchestrate_here: Orchestrate, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out, words in ((tmp_path / "file", "is a file; name a new folder"), ("/proc/x", "/proc/x: cannot be made")):
        refused = orchestrate_here("data", "fetch", "stroke", "--out", out)
        assert refused.exit_code == 2
        assert words in refused.stderr
    assert "is the folder that you are in" in orchestrate_here("data", "fetch", "stroke", "--out", "").stderr
