"""Finding a set's root, and the images below a folder."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from trainables.data.layouts.pairs_table import TABLE as PAIRS
from trainables.data.layouts.patients import TABLE as PATIENTS
from trainables.data.records import image_files, is_image, visible_files
from trainables.errors import DataError

LITTER = {"thumbs.db", "desktop.ini"}  # what file managers leave behind, besides hidden files


def find_root(
    data: Path, is_root: Callable[[Path], bool], is_part: Callable[[Path], bool], expected: str
) -> tuple[Path, tuple[str, ...]]:
    """Return the set's root, and a note where the given folder is only a part of it.

    The root is `data`, its parent where `is_part` finds `data` to be a part of the layout, or the only one among its
    subfolders. `expected` describes the layout in half a sentence. Raises DataError, also for patients.csv or pairs.csv
    that lies where it would not be read.
    """
    root, notes = _find_root(data, is_root, is_part, expected)
    refuse_misplaced_tables(data, root)
    return root, notes


def _find_root(
    data: Path, is_root: Callable[[Path], bool], is_part: Callable[[Path], bool], expected: str
) -> tuple[Path, tuple[str, ...]]:
    if not data.exists():
        raise DataError(f"{data}: no such folder; expected {expected}")
    if not data.is_dir():
        raise DataError(f"{data}: is a file; expected {expected}")
    given = data.absolute()  # so that "." has a name and a parent
    if is_part(given) and is_root(given.parent):
        root = data.parent if data.name else given.parent
        if is_part(given.parent) and is_root(given.parent.parent):  # a class folder of one side
            root = given.parent.parent
        return root, (f"{given.name}/ is a part of a set: the whole set is read",)
    if is_root(data):
        return data, ()
    below = [child for child in visible_folders(data) if is_root(child)]
    if len(below) == 1:
        return below[0], ()
    if below:
        raise DataError(f"{data}: {len(below)} data sets below ({', '.join(path.name for path in below)}); name one")
    what = "is empty" if not any(data.iterdir()) else "holds no such set"
    raise DataError(f"{data}: {what}; expected {expected}")


def refuse_misplaced_tables(data: Path, root: Path) -> None:
    """Raise DataError for a table in `data` or beside: passed over in silence, it would take its groups with it."""
    of_root = tables_in(root)
    for folder in (data, *visible_folders(root)):
        for name, table in tables_in(folder).items():
            if not folder.samefile(root) and (folder == data or name not in of_root):
                raise _misplaced(table, root)


def _misplaced(table: Path, root: Path) -> DataError:
    to = root / table.name.casefold()
    return DataError(f"{table}: is not read there; move it to {to}, with paths relative to {root}, or remove it")


def tables_in(folder: Path) -> dict[str, Path]:
    """Return the folder's own patients.csv and pairs.csv, by these names whatever their case."""
    with suppress(PermissionError):  # lost+found beside the set is nobody's business
        return {name: path for path in folder.iterdir() if (name := path.name.casefold()) in (PATIENTS, PAIRS)}
    return {}


def visible_folders(folder: Path) -> list[Path]:
    """Return the subfolders that are not hidden, sorted; links to folders are among them."""
    if not folder.is_dir():
        return []
    return sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))


def images_below(folder: Path, root: Path) -> list[tuple[Path, str]]:
    """Return the images below a folder, each with its posix path from the root.

    Raises DataError for names that are no printable text: tables and messages could not carry them.
    """
    found = []
    for path in image_files(folder):
        name = path.relative_to(root).as_posix()
        check_printable(name, path.parent)
        found.append((path, name))
    return found


def other_files_note(folders: Iterable[Path], root: Path) -> tuple[str, ...]:
    """Return a note on files among the images that their suffix does not call images, if there are such.

    Raises DataError for patients.csv or pairs.csv among them, unless the root has it, too.
    """
    others = [
        path
        for folder in folders
        for path in visible_files(folder)
        if not is_image(path) and path.name.casefold() not in LITTER
    ]
    for path in others:
        if path.name.casefold() in {PATIENTS, PAIRS} - tables_in(root).keys():
            raise _misplaced(path, root)
    examples = ", ".join(repr(name) for name in sorted(path.relative_to(root).as_posix() for path in others)[:3])
    return (f"{len(others)} files with other suffixes are passed over (e.g. {examples})",) if others else ()


def check_printable(name: str, where: object) -> None:
    """Raise DataError for a file name that holds control characters or bytes that are no text."""
    if not name.isprintable():
        raise DataError(f"{where}: a file name holds characters that are no text ({name!r}); rename it")
