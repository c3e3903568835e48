"""Download a task's public set from its host into a folder that appears whole or not at all, and goes on if broken off.

Which bytes are asked for and how an archive is unpacked are the hosts' libraries' business, not known here.
"""

import errno
import fcntl
import os
import shlex
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from orchestrator.errors import BadInput, Interrupted
from orchestrator.inspecting.fetch_errors import NotFetched, Spoiled
from orchestrator.inspecting.from_huggingface import from_huggingface
from orchestrator.inspecting.from_kaggle import from_kaggle
from orchestrator.inspecting.new_folder import require_replaceable
from trainables.catalog import Task
from trainables.data.sources import SOURCES, Source
from trainables.errors import DataError

MARK = "SOURCE"  # in a begun download: which set it is, and the lock of who goes on with it
MOST_NAME_BYTES = 255  # of one file, on all common file systems
AGAIN = "what has come is kept, run the same command again and it goes on where it stopped"


def fetch_data(task: Task, target: Path, say: Callable[[str], None]) -> None:
    """Download the task's set into `target`, after saying where it comes from and under which licence.

    Raises BadInput with the way out where it cannot be had, holds more than files and folders, or has another layout,
    and Interrupted.
    """
    if task.name not in SOURCES:
        raise BadInput(f"{task.name}: is your own task; known sets: {', '.join(SOURCES)}")
    source = SOURCES[task.name]
    require_replaceable(target)
    if target.exists() and any(target.iterdir()):
        raise BadInput(f"{target}: exists already; remove it, or use it: --data {shlex.quote(str(target))}")
    say(f"{source.page}; licence: {source.licence}")
    place = target.resolve()  # a folder takes an empty one's place, not that of a link to one
    with _begun(place, source) as kept:
        if _has_come(kept):
            say(f"goes on with what is kept in {kept.name}, unless the set was changed there meanwhile")
        try:
            fetched = _download(source, kept)
        except NotFetched as error:
            hint = f"; {AGAIN}" if _has_come(kept) and not isinstance(error, Spoiled) else ""
            raise BadInput(
                f"{task.name}: {error}{hint}; by hand: download {source.page}, unpack it to {target}, then: "
                f"{_check(task, target)}"
            ) from error
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            if any(len(os.fsencode(part)) > MOST_NAME_BYTES for part in Path(error.filename or "").parts):
                raise BadInput(
                    f"{task.name}: a file name in the set is longer than file systems hold: the archive is no set; "
                    f"what has come can go: rm -r {shlex.quote(str(kept))}"
                ) from error
            hint = f"; what has come is kept, for --out DIR/NAME: mv {shlex.quote(str(kept))} DIR/.NAME.download"
            raise BadInput(
                f"{target}: a path in the set is too long to stand there; name a shorter --out"
                f"{hint if _has_come(kept) else ''}"
            ) from error
        except KeyboardInterrupt:
            raise Interrupted(f"interrupted; {AGAIN}" if _has_come(kept) else "interrupted") from None
        try:
            fetched.rename(place)
        except OSError as error:
            raise BadInput(
                f"{target}: the set cannot be put there ({error.strerror}); all of it has come and is kept in "
                f"{fetched}: move it where you want it, then: orchestrate data check {task.name} --data DIR"
            ) from error
    _require_layout(task, target)


def _download(source: Source, kept: Path) -> Path:
    """Return the folder of the whole set below `kept`. Raises NotFetched."""
    with redirect_stdout(sys.stderr):  # the libraries talk; stdout is for the folder alone
        fetched = (from_kaggle if source.host == "kaggle" else from_huggingface)(source.name, kept)
    for entry in fetched.rglob("*"):
        mode = entry.lstat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise Spoiled(f"{entry.relative_to(fetched)} in the set is a link or a device, so it is not taken")
    return fetched


@contextmanager
def _begun(place: Path, source: Source) -> Iterator[Path]:
    """Yield the folder of the begun download beside `place`; it stays where the block fails and there is a use for it.

    Raises BadInput where it is another set's or nobody's download, and while another process goes on with it.
    """
    kept = place.with_name(f".{place.name}.download")
    try:
        kept.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{place}: cannot be made ({error.strerror or error}); name another folder") from error
    mark = kept / MARK
    ended = f"{place}: another data fetch has just ended; run the same command again"
    try:
        if any(kept.iterdir()) and not (mark.is_file() and mark.read_text(encoding="utf-8") in (source.page, "")):
            raise BadInput(f"{kept}: is not a begun download of {source.page}; move it away, or name another folder")
        file = mark.open("a", encoding="utf-8")
    except FileNotFoundError as error:
        raise BadInput(ended) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BadInput(f"{place}: another data fetch downloads it; wait for that one") from error
        if os.fstat(file.fileno()).st_nlink == 0:  # its owner removed it between our opening and locking it
            raise BadInput(ended)
        mark.write_text(source.page, encoding="utf-8")
        is_of_use = False
        try:
            yield kept
        except BaseException as error:
            is_of_use = _has_come(kept) and not isinstance(error.__cause__, Spoiled)
            raise
        finally:
            if not is_of_use:
                shutil.rmtree(kept, ignore_errors=True)


def _has_come(kept: Path) -> bool:
    """Tell whether a begun download holds more than notes: the mark, and those of Hugging Face's client."""
    files = (file for file in kept.rglob("*") if file.name != MARK and ".cache" not in file.relative_to(kept).parts)
    return any(file.is_file() and file.stat().st_size > 0 for file in files)


def _require_layout(task: Task, target: Path) -> None:
    from trainables.data.read import read_data_set

    try:
        read_data_set(task, target)
    except DataError as error:
        raise BadInput(
            f"{task.name}: was fetched to {target}, but is not in the layout that is expected: "
            f"{' '.join(str(error).splitlines())}; its files stay: put them in order, or list them in a manifest, "
            f"then: {_check(task, target)}"
        ) from error


def _check(task: Task, target: Path) -> str:
    return f"orchestrate data check {task.name} --data {shlex.quote(str(target))}"
