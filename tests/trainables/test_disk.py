"""A full disk is known by its number, by a library's words, or by trying; other faults are none."""

import errno
import os
from pathlib import Path

import pytest
from safetensors import SafetensorError

from trainables.training.disk import is_disk_full


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
        SafetensorError("Error while serializing: I/O error: Disk quota exceeded (os error 122)"),
        SafetensorError("Error while serializing: I/O error: Auf dem Gerät ist kein Platz mehr (os error 28)"),
        RuntimeError("[enforce fail at inline_container.cc:671] . unexpected pos 576 vs 534"),
    ],
)
def test_a_full_disk_is_known_though_there_is_room_again(tmp_path: Path, error: Exception) -> None:
    assert is_disk_full(error, tmp_path)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EIO, os.strerror(errno.EIO)),
        OSError("512 requested and 0 written"),
        RuntimeError("(os error 283)"),
    ],
)
def test_other_faults_are_none_of_a_full_disk(tmp_path: Path, error: Exception) -> None:
    assert not is_disk_full(error, tmp_path)
    assert not is_disk_full(error, tmp_path / "gone"), "nor is a folder that is not there"
    assert not list(tmp_path.iterdir()), "the trial leaves nothing behind"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_words_that_nobody_knows_are_tried_on_the_disk(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "posix_fallocate", full)  # a quota leaves a disk's free space as it is
    assert is_disk_full(OSError("512 requested and 0 written"), tmp_path)
    assert is_disk_full(RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"), tmp_path)
