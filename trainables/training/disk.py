"""A disk that is full, whatever the library calls it that finds out."""

import errno
import os
import tempfile
from pathlib import Path

from safetensors import SafetensorError

WRITING_FAULTS = (OSError, RuntimeError, SafetensorError)  # what writers of weights and states raise
ROOM_BYTES = 2**20  # a disk without that much is full
_NUMBERS = (errno.ENOSPC, errno.EDQUOT)
# "unexpected pos" is what torch.save says of a write that was cut off
_WORDS = (*map(os.strerror, _NUMBERS), *(f"os error {number})" for number in _NUMBERS), "unexpected pos")


def is_disk_full(error: BaseException, folder: Path) -> bool:
    """Tell whether a fault in writing to a folder is that of a full disk: by its number, its words, or by trying."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _NUMBERS
    return says_disk_full(str(error)) or not _has_room(folder)


def says_disk_full(text: str) -> bool:
    """Tell whether the words of a fault, or the traceback that it stands in, are those of a full disk."""
    return any(words in text for words in _WORDS)


def _has_room(folder: Path) -> bool:
    """Tell whether a folder takes another file; what a disk says is free may be kept from this user."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, ROOM_BYTES)
    except OSError as error:
        return error.errno not in _NUMBERS
    return True
