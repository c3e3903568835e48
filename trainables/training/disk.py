"""A disk that is full, whatever the library calls it that finds out."""

import errno
import shutil
from pathlib import Path

from safetensors import SafetensorError

WRITING_FAULTS = (OSError, RuntimeError, SafetensorError)  # what writers of weights and states raise
NEARLY_NOTHING_BYTES = 2**20


def is_disk_full(error: BaseException, folder: Path) -> bool:
    """Tell whether a fault in writing to a folder is that of a full disk."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return shutil.disk_usage(folder).free < NEARLY_NOTHING_BYTES
