"""Data before a sweep: found, decoded, audited, split; what was found as pages and pictures. Imports torch late."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import BadInput, unknown_name
from orchestrator.home import Home
from orchestrator.inspecting.new_folder import require_replaceable, whole_folder
from orchestrator.space import Choice, Fixed, Parameter, Scalar, Space, defaults
from orchestrator.test_ledger import note_preparation, require_ledger
from trainables.catalog import Task, default_hyperparameters
from trainables.errors import DataError

if TYPE_CHECKING:
    from trainables.audit.findings import AuditReport
    from trainables.data.decoding import Progress
    from trainables.data.examine import ExaminedData
    from trainables.data.prepare import PreparedData
    from trainables.data.sides import SplitRequest
    from trainables.data.views import View

PHANTOM_PATIENTS = 72
PHANTOM_SEED = 0
WHOLE_SET = "the whole set, test images among it"


@dataclass(frozen=True)
class CheckedData:
    """What was found in a data set, the page that shows it, and what its reader had to say."""

    report: "AuditReport"
    page: Path
    notes: tuple[str, ...]


def find_data(task: Task, given: str | None, data_root: Path | None, home: Home) -> tuple[Path, str]:
    """Return the folder of images and who named it.

    --data, else what the user's own task says, else ORCHESTRATE_DATA/<task>, else a phantom made here. Raises BadInput
    for a configured folder that does not exist: never a silent fallback.
    """
    if given is None and task.data:
        return Path(task.data), f"data of task {task.name}"
    if given == "phantom" or (given is None and data_root is None):
        return _phantom(task, home), "phantom"
    if given is not None:
        if not given:
            raise BadInput("--data: an empty path; name a folder of images or phantom")
        return Path(given), "--data"
    assert data_root is not None
    folder = data_root / task.name
    if not folder.is_dir():
        raise BadInput(
            f"ORCHESTRATE_DATA={data_root}: no folder {task.name!r} in it; put the {task.name} images there, "
            "name another folder with --data, or unset ORCHESTRATE_DATA for phantom data"
        )
    return folder, "ORCHESTRATE_DATA"


def prepare_data(
    task: Task,
    folder: Path,
    whence: str,
    views: "Sequence[View]",
    request: "SplitRequest",
    home: Home,
    who: str,
    progress: "Progress",
) -> "PreparedData":
    """Decode, audit and split; see trainables.data.prepare. The read of test images is noted as that of `who`.

    Raises BadInput that names who chose the folder.
    """
    from trainables.data.decoding import staging_folder
    from trainables.data.prepare import split_data

    why = "hashed, decoded where new, audited for leaks"
    with _faults_of(whence, home), staging_folder(home.cache) as staging:
        examined, noted = _examine(task, folder, views, home, staging, (who, why), progress)
        data = split_data(task, examined, views, request, home.cache, staging, progress)
    if data.test_digest != noted:  # another test side than the usual one was asked for
        note_preparation(home.test_ledger, data.test_digest, len(data.test.rows), who, why)
    return data


def _examine(
    task: Task,
    folder: Path,
    views: "Sequence[View]",
    home: Home,
    staging: Path,
    reader: tuple[str, str],
    progress: "Progress",
) -> "tuple[ExaminedData, str]":
    """Return data as they are, and the digest of the test images whose read is noted: `reader` is who and why.

    A read is noted whatever becomes of the work after it.
    """
    from trainables.data.examine import examine_data
    from trainables.data.sides import default_test_cases
    from trainables.data.split_rows import digest_test

    (who, why), ledger, images_read = reader, home.test_ledger, 0
    require_ledger(ledger)

    def heard(what: str, done: int, of: int) -> None:
        nonlocal images_read
        images_read = max(images_read, done if what == "hashing" else 0)
        progress(what, done, of)

    try:
        examined = examine_data(task, folder, views, home.cache, staging, heard)
    except BaseException:
        if images_read:
            note_preparation(ledger, "", images_read, who, f"{WHOLE_SET}: broken off before it was audited")
        raise
    test = [examined.cases[case].sha256 for case in default_test_cases(task, examined)]
    if test:
        note_preparation(ledger, digest_test(test), len(test), who, why)
        return examined, digest_test(test)
    note_preparation(ledger, "", len(examined.cases), who, f"{WHOLE_SET}: no test side can be drawn")
    return examined, ""


@contextmanager
def _faults_of(whence: str, home: Home) -> Iterator[None]:
    """Raise BadInput that names who chose the folder, or whose the disk is."""
    try:
        yield
    except DataError as error:
        raise BadInput(f"{whence}: {error}") from error
    except OSError as error:
        raise _unusable(error, whence, home_of=home.cache) from error


def _unusable(error: OSError, whence: str, home_of: Path) -> BadInput:
    """Return the fault with the setting that it belongs to: what lies in the cache is none of the data folder's."""
    path = None if error.filename is None else Path(str(error.filename))
    if path is None or path.is_relative_to(home_of):
        return BadInput(f"ORCHESTRATE_HOME: {path or home_of}: {error.strerror or error}; see that it can be written")
    return BadInput(f"{whence}: {path}: {error.strerror or error}")


def check_data(
    task: Task, folder: Path, whence: str, home: Home, out: Path | None, progress: "Progress"
) -> CheckedData:
    """Audit a data set as it ships; its page goes to `out`, else below the home. Raises BadInput."""
    from trainables.data.decoding import staging_folder
    from trainables.data.pair_sheets import draw_pairs_to_look_at
    from trainables.data.reporting import report_data

    reader = f"data check {task.name}", "audited for leaks"
    with _faults_of(whence, home), staging_folder(home.cache) as staging:
        examined, _ = _examine(task, folder, (), home, staging, reader, progress)
    if out and task.images_per_case == 2 and _lies_in(out, examined.data_set.root):
        raise BadInput(
            f"--out {out}: lies in the set, where its pairs.csv would be taken for yours; name another folder"
        )
    target = out or home.data_checks / f"{task.name}-{examined.digest[:12]}"
    try:
        report, page = report_data(target, task, examined, examined.images)
        if task.images_per_case == 2:  # that two images are of one person is a claim to be looked at
            draw_pairs_to_look_at(target, task, examined)
    except OSError as error:
        where = "--out" if out else "ORCHESTRATE_HOME"
        raise BadInput(
            f"{where}: {error.filename or target}: {error.strerror}; name a folder that can be written"
        ) from error
    return CheckedData(report, page, (*examined.data_set.notes, *_lost_classes(task, examined)))


def _lies_in(folder: Path, root: Path) -> bool:
    return Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(root))


def _lost_classes(task: Task, examined: "ExaminedData") -> list[str]:
    readable = {case.record.label for case in examined.cases}
    lost = [name for label, name in enumerate(task.classes) if label not in readable]
    return [f"no image of class {name} can be read: a sweep will refuse this set" for name in lost]


def write_data_report(
    folder: Path, task: Task, data: "PreparedData", architecture: str, space: Space, seed: int
) -> None:
    """Write what a sweep's MLflow run shows of its data: audit, split manifest, sheets of samples.

    The sheets show images at one architecture's default size, augmented as strongly as its search space may.
    """
    from trainables.data.augmentation import Augmentation
    from trainables.data.reporting import draw_sheets, report_data
    from trainables.data.split_rows import write_rows
    from trainables.data.views import View

    report_data(folder, task, data.examined, data.as_split)
    write_rows(folder / "split.csv", data.rows)
    values = default_hyperparameters(architecture) | defaults(space)
    strongest = values | {name: _largest(parameter) for name, parameter in space.items()}
    draw_sheets(folder, task, data, View.of(values), Augmentation.of(strongest), seed)


def _largest(parameter: Parameter) -> Scalar:
    if isinstance(parameter, Choice):
        return max(parameter.choices, key=lambda value: (not isinstance(value, str), value))
    return parameter.default if isinstance(parameter, Fixed) else parameter.high


def write_unreadable(folder: Path, data: "PreparedData") -> None:
    """List the images that cannot be read, with the reason, in unreadable.tsv; no file where there are none."""
    if data.examined.unreadable:
        lines = [f"{path}\t{reason}" for path, reason in data.examined.unreadable.items()]
        (folder / "unreadable.tsv").write_text("\n".join(["path\treason", *lines, ""]), encoding="utf-8")


def require_unchanged(data: "PreparedData", sweep: Path, ledger: Path) -> None:
    """Raise BadInput where the sweep's split, or a test image's file, is no longer the one of the plan."""
    from trainables.data.prepare import changed_since
    from trainables.data.split_rows import digest_rows, read_rows

    try:
        read_rows(sweep / "development.csv", digest_rows(data.development.rows))
        read_rows(sweep / "test.csv", digest_rows(data.test.rows))
    except DataError as error:
        raise BadInput(f"{error}; no finalist was evaluated") from error
    note_preparation(ledger, data.test_digest, len(data.test.rows), sweep.name, "files compared with the plan")
    changed = changed_since(data)
    if changed:
        raise BadInput(
            f"test data changed since the plan: {len(changed)} of {len(data.test.rows)} images, e.g. {changed[0]}; "
            "no finalist was evaluated. Put the files back, or run the sweep again on what is there now"
        )


def write_phantom(task: Task, folder: Path, patients: int, seed: int, variant: str = "standard") -> None:
    """Write a synthetic set into a new or empty folder, where it appears whole or not at all.

    Raises BadInput where something is there already, for a variant that the task does not have, and for fewer
    patients than a split needs or a number that the variant cannot balance.
    """
    write, step = _phantom_writer(task, variant)
    require_replaceable(folder)
    if folder.exists() and any(folder.iterdir()):
        raise BadInput(f"{folder}: is not empty; name a new folder")
    least = max(8, 4 * len(task.classes))  # two of each class at least beside the test side
    if patients < least:
        raise BadInput(f"--patients {patients}: {task.name} has {len(task.classes)} classes; {least} are needed")
    if patients % step:
        raise BadInput(f"--patients {patients}: must be a multiple of {step}, over which {variant} is balanced")
    try:
        with whole_folder(folder) as part:
            write(part, patients, seed)
    except OSError as error:
        raise BadInput(f"{folder}: the phantom cannot be written ({error.strerror})") from error


def _phantom_writer(task: Task, variant: str) -> tuple[Callable[[Path, int, int], None], int]:
    """Return what writes the set, and of what the number of patients must be a multiple."""
    from trainables.data.phantom import PHANTOMS, STANDARD, VARIANTS

    if task.name not in PHANTOMS:
        raise BadInput(f"{task.name}: of your own task there is no phantom; known: {', '.join(PHANTOMS)}")
    if variant == STANDARD:
        return PHANTOMS[task.name], 1
    variants = VARIANTS.get(task.name, {})
    if variant not in variants:
        raise BadInput(f"--variant: {unknown_name(f'phantom of {task.name}', variant, [STANDARD, *variants])}")
    return variants[variant].write, variants[variant].patients_step


def _phantom(task: Task, home: Home) -> Path:
    """Return the task's phantom, made once per home; a folder appears whole or not at all."""
    from trainables.data.phantom import PHANTOM_VERSION, PHANTOMS

    if task.name not in PHANTOMS:
        way_out = "name its images by --data DIR, or by a line data: DIR in its file"
        raise BadInput(f"{task.name}: of your own task there is no phantom; {way_out}")
    name = f"{task.name}-v{PHANTOM_VERSION}-{PHANTOM_PATIENTS}-seed{PHANTOM_SEED}"
    folder = home.phantoms / name
    if folder.is_dir():
        return folder
    try:
        with whole_folder(folder) as part:
            PHANTOMS[task.name](part, PHANTOM_PATIENTS, PHANTOM_SEED)
    except OSError:
        if not folder.is_dir():  # else another sweep finished the same phantom first
            raise
    return folder
