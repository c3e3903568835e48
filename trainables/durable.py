"""Files that are whole or not there, also after the machine went off."""

import os
from contextlib import suppress
from pathlib import Path


def put_in_place(part: Path, path: Path) -> None:
    """Put a file that was written aside in the place of another one once its content is on disk.

    Without that a power cut may leave an empty file under the final name.
    """
    with part.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(part, path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring to disk which files a folder has: a new one's own content does not."""
    with suppress(OSError):  # some file systems take it for files only
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
