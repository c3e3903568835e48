"""A user's images -> what a task file would say of them, guessed from names alone; no image is decoded."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.errors import BadInput
from trainables.catalog import folded_class

COLUMN_NAMES: Mapping[str, tuple[str, ...]] = {  # known column -> what others call it
    "path": ("path", "image", "image_path", "file", "filename", "file_name", "filepath", "img"),
    "label": ("label", "class", "diagnosis", "dx", "target", "category", "y"),
    "patient_id": ("patient_id", "patient", "patientid", "subject", "subject_id", "case_id", "mrn"),
}
CLASS_DEPTH: Mapping[str, int] = {
    "folders": 1,
    "split folders": 2,
    "pairs": 2,
}  # folders above an image, its class's too
FOLDER_PATTERN = "^(?:[^/]+/){%d}([^/]+)/"  # the folder below that of the class
# a word that means a person, then a number: a folder's name, or how a file's begins
WORD_PATTERN = r"(?i)(?:^|/)((?:patient|pat|subject|subj|sub|case|id|p|s)[-_ ]?\d+)(?=[/_. -])"
MOST_LABELS = 100
MOST_DEPTH = 2  # of the set below the given folder
SHOWN = 6


@dataclass(frozen=True)
class GuessedTask:
    """What a task file may say: `aliases` what the data call its classes, `columns` what tables call the known ones.

    `patients` is how many the pattern finds or, without one, the headers of DICOM files; 0 where nothing tells.
    """

    layout: str
    data: Path
    classes: list[str]
    aliases: dict[str, str]
    images: int
    columns: dict[str, str] = field(default_factory=dict)
    patient_id_pattern: str = ""
    patients: int = 0
    has_dicom: bool = False


def guess_task(data: Path) -> GuessedTask:
    """Return the layout, the classes and how patients are told. Raises BadInput with what was found instead."""
    from trainables.errors import DataError

    if not data.exists():
        raise BadInput(f"{data}: no such folder or file")
    try:
        found = _of_file(data) if data.is_file() else _of_folder(data, 0)
    except DataError as error:
        raise BadInput(str(error)) from error
    if found is None:
        raise BadInput(
            f"{data}: {_what_is_there(data)}; expected a folder for each class, folders train and test of such, "
            "parquet files with a column image, two trees named CT and MRI, or a CSV file with columns path and label"
        )
    return found


def _of_folder(folder: Path, depth: int) -> GuessedTask | None:
    from trainables.data.layouts.folders import visible_folders

    below = visible_folders(folder)
    tables = sorted(path for place in (folder, folder / "data") for path in place.glob("*.parquet"))
    if tables:
        return _of_parquet(tables, folder)
    found = _of_trees(folder, below) or _of_sides(folder, below) or _of_classes(folder, below)
    if found is not None:
        return found
    lists = [path for path in sorted(folder.glob("*.csv")) if path.name.casefold() not in ("patients.csv", "pairs.csv")]
    if len(lists) == 1:
        return _of_file(lists[0])
    inside = [guess for child in below if depth < MOST_DEPTH and (guess := _of_folder(child, depth + 1))]
    return inside[0] if len(inside) == 1 else None


def _of_sides(folder: Path, below: Sequence[Path]) -> GuessedTask | None:
    from trainables.data.layouts.folders import visible_folders
    from trainables.data.layouts.sides import side_named

    sides = [child for child in below if side_named(child.name)]
    found = [_classes_in(visible_folders(side)) for side in sides]
    if not sides or not all(len(own) > 1 for own in found):
        return None
    return _named("split folders", folder, [name for own in found for name in own], sides)


def _of_classes(folder: Path, below: Sequence[Path]) -> GuessedTask | None:
    classes = _classes_in(below)
    return _named("folders", folder, classes, [folder / name for name in classes]) if len(classes) > 1 else None


def _of_trees(folder: Path, below: Sequence[Path]) -> GuessedTask | None:
    from trainables.data.layouts.folders import visible_folders

    words = {child: set(re.split(r"[^a-z]+", child.name.casefold())) for child in below}
    ct = [child for child in below if "ct" in words[child]]
    mr = [child for child in below if words[child] & {"mr", "mri"}]
    if len(ct) != 1 or len(mr) != 1 or ct == mr:
        return None
    own, others = (_classes_in(visible_folders(tree)) for tree in (*ct, *mr))
    both = [name for name in own if name in others]
    return _named("pairs", folder, both, [*ct, *mr]) if len(both) > 1 else None


def _classes_in(folders: Iterable[Path]) -> list[str]:
    """Return the names of folders that hold images, sides and masks aside."""
    from trainables.data.layouts.sides import side_named
    from trainables.data.records import image_files

    named = [one for one in folders if side_named(one.name) is None and one.name.casefold() != "masks"]
    return [one.name for one in named if image_files(one)]


def _named(layout: str, data: Path, spellings: Sequence[str], places: Sequence[Path]) -> GuessedTask:
    from trainables.data.records import image_files

    classes, aliases = class_names(spellings)
    paths = [path.relative_to(data).as_posix() for place in places for path in image_files(place)]
    has_dicom = _has_dicom(data, paths)
    pattern, patients = _patients_of(data, paths, has_dicom, FOLDER_PATTERN % CLASS_DEPTH[layout], WORD_PATTERN)
    return GuessedTask(layout, data, classes, aliases, len(paths), {}, pattern, patients, has_dicom)


def _of_parquet(files: Sequence[Path], root: Path) -> GuessedTask | None:
    from trainables.data.dicom import is_dicom
    from trainables.data.layouts.parquet_files import first_value, is_image_table, open_parquet, read_column
    from trainables.data.layouts.parquet_rows import class_names_of

    if not is_image_table(files[0]):
        return _of_file(files[0])
    with open_parquet(files[0]) as table:
        schema = table.schema_arrow
    columns = _columns([name for name in schema.names if name != "image"], ("label", "patient_id"))
    label = columns.get("label", "label")
    if label not in schema.names:
        return None
    values = [value for file in files for value in read_column(file, label)]
    classes, aliases = class_names(class_names_of(schema, label) or _labels_of(values))
    image = first_value(files[0], "image")
    has_dicom = isinstance(image, dict) and is_dicom(image.get("bytes") or b"")
    return GuessedTask("parquet", root, classes, aliases, len(values), columns, has_dicom=has_dicom)


def _of_file(file: Path) -> GuessedTask | None:
    from trainables.data.layouts.manifest_table import header_of, read_rows
    from trainables.data.layouts.parquet_files import is_image_table

    suffix = file.suffix.lower()
    if suffix == ".parquet" and is_image_table(file):
        return _of_parquet([file], file)
    if suffix not in (".csv", ".parquet"):
        return None
    columns = _columns(header_of(file), tuple(COLUMN_NAMES))
    rows = read_rows(file, columns)
    classes, aliases = class_names(_labels_of([row.text("label") for row in rows]))
    has_patients = any(row.text("patient_id") for row in rows)
    paths = [row.text("path") for row in rows]
    has_dicom = _has_dicom(file.parent, paths)
    pattern, patients = ("", 0) if has_patients else _patients_of(file.parent, paths, has_dicom, WORD_PATTERN)
    return GuessedTask("manifest", file, classes, aliases, len(rows), columns, pattern, patients, has_dicom)


def _columns(header: Sequence[str], wanted: Sequence[str]) -> dict[str, str]:
    """Return what a table calls the known columns, where that is another name."""
    from trainables.data.layouts.manifest_table import spelled_column

    spelled = {spelled_column(name): name for name in header}
    found = {}
    for known in wanted:
        theirs = [name for name in COLUMN_NAMES[known] if name in spelled]
        if theirs and theirs[0] != known:
            found[known] = spelled[theirs[0]]
    return found


def _labels_of(values: Iterable[object]) -> list[str]:
    """Return the different labels, numbers in their order; 1.0 is 1, as readers take it."""
    texts = {str(value) for value in values if value is not None and str(value)}
    labels = {re.sub(r"^(\d{1,9})\.0*$", r"\1", text) for text in texts}
    if len(labels) > MOST_LABELS:
        raise BadInput(f"the column of labels has {len(labels)} values, e.g. {min(labels)!r}: are these classes?")
    return sorted(labels, key=lambda label: (int(label) if label.isdecimal() else -1, label))


def class_names(spellings: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return the classes of folders or labels, as a task file may call them, and what is spelled otherwise.

    Spellings that differ in case and punctuation alone are one class. Numbers before a name go where it is the only one
    of that name; what is but a number becomes class_1. Raises BadInput for names that no letters tell apart.
    """
    different = {folded_class(spelling): spelling for spelling in reversed(spellings)}
    for named in (_without_number, _with_number):
        names = {fold: named(spelling) for fold, spelling in different.items()}
        if len({folded_class(name) for name in names.values()}) == len(names) and "" not in different:
            break
    else:
        raise BadInput(f"{', '.join(map(repr, spellings))}: are no names of classes; write a task file with aliases")
    order = list(dict.fromkeys(names[folded_class(spelling)] for spelling in spellings))
    aliases = {
        one: names[folded_class(one)]
        for one in spellings
        if folded_class(one) != folded_class(names[folded_class(one)])
    }
    return order, aliases


def _without_number(spelling: str) -> str:
    name = re.sub(r"^[\d_]+", "", _word(spelling))
    return name or _with_number(spelling)


def _with_number(spelling: str) -> str:
    word = _word(spelling)
    return word if word[:1].isalpha() else f"class_{word}"


def _word(spelling: str) -> str:
    return re.sub(r"\W+", "_", spelling.strip()).strip("_").lower()


def _has_dicom(root: Path, paths: Iterable[str]) -> bool:
    from trainables.data.records import has_dicom_mark

    return any(has_dicom_mark(root / path) for path in paths)


def _patients_of(root: Path, paths: Sequence[str], has_dicom: bool, *patterns: str) -> tuple[str, int]:
    """Return the pattern that finds patients, and how many; none where DICOM's headers tell them, which know better."""
    from trainables.data.layouts.dicom_files import patients_told

    told = patients_told(root, paths) if has_dicom else 0
    return ("", told) if told else _pattern_of(paths, *patterns)


def _pattern_of(paths: Sequence[str], *patterns: str) -> tuple[str, int]:
    """Return the first pattern that finds a patient in every path, several images of one among them; and how many."""
    for pattern in patterns:
        found = [match[1] for path in paths if (match := re.search(pattern, path))]
        if len(found) == len(paths) and 2 <= len(set(found)) < len(paths):
            return pattern, len(set(found))
    return "", 0


def _what_is_there(folder: Path) -> str:
    if folder.is_file():
        return "is no table of images"
    return "holds " + (", ".join(_shown(folder)) or "nothing")


def _shown(folder: Path) -> Iterator[str]:
    from trainables.data.records import image_files

    for child in sorted(folder.iterdir())[:SHOWN]:
        yield f"{child.name}/ ({len(image_files(child))} images)" if child.is_dir() else child.name
