"""What an archive that a host sends may hold, and what becomes of one that is damaged."""

import errno
import io
import lzma
import os
import random
import tarfile
from pathlib import Path

import pytest
from stub_hosts import Fetch, Stub, names_in, zip_of
from tests_support import Finished


def _tar(*entries: tarfile.TarInfo) -> bytes:
    into = io.BytesIO()
    with tarfile.open(fileobj=into, mode="w") as archive:
        for entry in entries:
            archive.addfile(entry, io.BytesIO(b"x" * entry.size))
    return into.getvalue()


def _entry(name: str, link_to: str = "", kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname, entry.size = kind, link_to, int(kind == tarfile.REGTYPE)
    return entry


@pytest.mark.parametrize("up", ["../evil", "../../../../../../evil", "/evil-at-the-root"])
def test_an_archive_writes_nothing_outside_of_its_set(up: str, fetch: Fetch, stub: Stub, tmp_path: Path) -> None:
    for stub.archive in (zip_of({up: b"x"}), _tar(_entry(up))):
        assert fetch().exit_code == 2
        found = [path.relative_to(tmp_path) for path in tmp_path.rglob("*evil*")]
        assert all(path.parts[:2] == ("sets", "stroke") for path in found), found
        assert not Path("/evil-at-the-root").exists()
        for path in found:
            (tmp_path / path).unlink()


def test_a_set_with_links_is_not_taken(fetch: Fetch, stub: Stub, tmp_path: Path) -> None:
    stub.archive = _tar(_entry("deep/a.png"), _entry("deep/b.png", "a.png", tarfile.SYMTYPE))
    done = fetch()
    assert done.exit_code == 2 and "deep/b.png in the set is a link or a device" in done.stderr
    assert not names_in(tmp_path / "sets")


@pytest.mark.parametrize(
    "entry",
    [
        _entry("b.png", "../../../../../../outside", tarfile.LNKTYPE),
        _entry("b.png", kind=tarfile.FIFOTYPE),
        _entry("b.png", kind=tarfile.CHRTYPE),
    ],
    ids=["hard link", "fifo", "device"],
)
def test_an_archive_with_devices_or_links_to_outside_is_not_taken(
    entry: tarfile.TarInfo, fetch: Fetch, stub: Stub, tmp_path: Path
) -> None:
    (tmp_path / "outside").write_text("x")
    stub.archive = _tar(_entry("a.png"), entry)
    done = fetch()
    assert done.exit_code == 2 and "the archive that came from Kaggle is damaged" in done.stderr
    assert not names_in(tmp_path / "sets")
    assert (tmp_path / "outside").stat().st_nlink == 1


def _broken_bz2() -> bytes:
    """Return a tar whose stream breaks while it is unpacked: its first block, of 100 kB, is whole."""
    large = tarfile.TarInfo("large.bin")
    large.size = 3 * 10**5
    into = io.BytesIO()
    with tarfile.open(fileobj=into, mode="w:bz2", compresslevel=1) as archive:
        archive.addfile(large, io.BytesIO(random.Random(0).randbytes(large.size)))
    whole = into.getvalue()
    return whole[: len(whole) // 2] + bytes(99) + whole[len(whole) // 2 + 99 :]


@pytest.mark.parametrize(
    ("archive", "md5"),
    [
        (b"no archive" * 99, "AAAAAAAAAAAAAAAAAAAAAA=="),
        (b"no archive" * 99, None),
        (_broken_bz2(), None),
        (zip_of({"a": b"x", "a/b": b"x"}), None),
        (zip_of({"a/b": b"x", "a": b"x"}), None),
    ],
    ids=["another md5", "no archive", "bz2", "a folder in a file", "a file for a folder"],
)
def test_a_damaged_archive_is_not_gone_on_with(
    archive: bytes, md5: str | None, fetch: Fetch, stub: Stub, tmp_path: Path
) -> None:
    stub.archive, stub.md5 = archive, md5
    done = fetch()
    assert (
        done.exit_code == 2
        and "the archive that came from Kaggle is damaged" in done.stderr
        and "same command" not in done.stderr
    )
    assert "stroke: the archive" in done.stderr and "by hand: " in done.stderr
    assert not names_in(tmp_path / "sets")


def test_a_damaged_stream_is_not_gone_on_with_but_a_full_disk_is_no_fault_of_the_archive(
    fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ends_with(error: Exception) -> Finished:
        def download(name: str) -> str:
            (Path(os.environ["KAGGLEHUB_CACHE"]) / "3.archive").write_text("a part")
            raise error

        monkeypatch.setattr("kagglehub.dataset_download", download)
        return fetch()

    damaged = ends_with(lzma.LZMAError("Corrupt input data"))
    assert "the archive that came from Kaggle is damaged (LZMAError); by hand: " in damaged.stderr
    assert not names_in(tmp_path / "sets")
    full = ends_with(OSError(errno.ENOSPC, "No space left on device"))
    assert "disk is full" in full.stderr and "damaged" not in full.stderr
    assert names_in(tmp_path / "sets") == {".stroke.download"}


def test_a_set_whose_paths_are_too_long_for_their_place_is_kept(fetch: Fetch, stub: Stub, tmp_path: Path) -> None:
    stub.archive = zip_of({"/".join(["deep" * 50] * 24): b"x"})
    done = fetch()
    kept = tmp_path / "sets" / ".stroke.download"
    assert done.exit_code == 2 and "is too long to stand there; name a shorter --out" in done.stderr
    assert "damaged" not in done.stderr and f"mv {kept} DIR/.NAME.download\n" in done.stderr
    assert list(kept.rglob("*.archive"))


def test_a_name_that_no_file_system_holds_is_not_blamed_on_the_place(fetch: Fetch, stub: Stub) -> None:
    stub.archive = zip_of({"a" * 300: b"x"})
    done = fetch()
    assert done.exit_code == 2 and "longer than file systems hold" in done.stderr and "--out" not in done.stderr
