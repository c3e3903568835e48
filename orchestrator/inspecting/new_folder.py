"""A folder that a command makes for the user: it appears whole or not at all."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.errors import BadInput

_OF_DISKS = {"lost+found"}  # what an empty one holds


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes `target` when all went well and is gone otherwise. Raises BadInput."""
    require_replaceable(target)
    part = target.with_name(f"{target.name}.part-{os.getpid()}-{secrets.token_hex(2)}")
    part.mkdir(parents=True)
    try:
        yield part
        part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def require_replaceable(target: Path) -> None:
    """Raise BadInput for what is no folder or cannot be one, for an empty mount point, and for the user's own folder.

    In its place a shell would stand in one that is gone.
    """
    try:
        if target.exists() and not target.is_dir():
            raise BadInput(f"{target}: is a file; name a new folder")
        if target.is_symlink() and not target.exists():
            raise BadInput(f"{target}: is a link to nowhere; name a new folder")
        if target.exists() and target.samefile(Path.cwd()):
            raise BadInput(f"{target}: is the folder that you are in; name a new one")
        if os.path.ismount(target.resolve()) and {child.name for child in target.iterdir()} <= _OF_DISKS:
            raise BadInput(
                f"{target}: is where a disk is mounted, which no folder can replace; name a new folder in it"
            )
    except OSError as error:
        raise BadInput(f"{target}: cannot be a folder ({error.strerror or error}); name another one") from error
