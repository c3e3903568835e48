"""A folder that a command writes for the user: it appears whole, or not at all, and never over something else."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.errors import BadInput

MOST_NAME_CHARACTERS = 40  # of up to 4 bytes each


def check_new_folder(flag: str, folder: Path) -> None:
    """Raise BadInput for a folder that holds something, is a file, or whose parent does not exist."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise BadInput(f"{flag} {folder}: is a file or a link; name a new folder")
    if folder.is_dir() and any(folder.iterdir()):
        raise BadInput(f"{flag} {folder}: is not empty; name a new folder")
    if folder.is_dir() and folder.samefile(Path.cwd()):  # a shell would stand in one that is gone
        raise BadInput(f"{flag} {folder}: is the folder that you are in; name a new one")
    if not folder.absolute().parent.is_dir():
        raise BadInput(f"{flag} {folder}: the folder that it would stand in does not exist")


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Yield a folder to write to; it takes its place when the block ends well and leaves nothing where it does not."""
    folder = folder.absolute()
    part_of = folder.name[:MOST_NAME_CHARACTERS]  # a name that may stand there may be as long as any
    with tempfile.TemporaryDirectory(prefix=f".{part_of}.part-", dir=folder.parent) as beside:
        part = Path(beside) / folder.name
        part.mkdir()
        yield part
        os.replace(part, folder)
