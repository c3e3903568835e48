"""DICOM among the images of a set: read as plain grey pictures, and asked whose they are and how they were made."""

import errno
import hashlib
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from trainables.catalog import Task
from trainables.data.dicom import MISSING, UnreadableDicom, can_read_dicom, grey_from_dicom, is_dicom, open_dicom
from trainables.data.records import DataSet, ImageRecord, Read, has_dicom_mark
from trainables.errors import DataError

UNKNOWN = "unknown"
MODALITIES = ("CT", "MR")
TAGS = ["PatientID", "IssuerOfPatientID", "PatientName", "Modality", "BurnedInAnnotation"]
SHORTEST_NAME = 4  # of what is looked for in paths: shorter ones stand there by chance


@dataclass(frozen=True)
class _Head:
    """All that leaves a file's header: digests for its patient, the kind of machine, what may betray somebody."""

    patient: str | None = None
    with_issuer: str | None = None
    modality: str = ""
    has_text: bool = False
    is_in_path: bool = False


def with_dicom(task: Task, data_set: DataSet) -> DataSet:
    """Return the set with its DICOM files read as PGM pictures, which have no tags.

    Their patients group the cases where neither the layout nor the task says whose images are whose, and CT or MR is
    the modality where it is not known otherwise. Rows of tables become pictures, too, but only files are asked whose
    they are. Raises DataError where files need pydicom and it is missing, and where the two images of a case are of two
    patients.
    """
    reopen = data_set.reopen
    pictures = replace(
        data_set,
        read=_as_pictures(data_set.read, task.ct_window_hu),
        reopen=(lambda: _as_pictures(reopen(), task.ct_window_hu)) if reopen else None,
    )
    paths = sorted({path for record in data_set.records for path in (record.path, record.second_path) if path})
    heads = _heads(data_set.root, paths)
    if not heads:
        return pictures
    records, told = _with_patients(data_set.records, heads)
    level, width = task.ct_window_hu
    window = f"CT shown from {level - width / 2:g} to {level + width / 2:g} HU"
    return replace(
        pictures,
        records=[replace(record, modality=_modality(record, heads)) for record in records],
        notes=(*data_set.notes, f"{len(heads)} DICOM files; {window}; {told}", *_warnings(heads)),
    )


def patients_told(root: Path, paths: Sequence[str]) -> int:
    """Return how many patients the headers of these files tell apart; 0 where one tells none, or all the same."""
    heads = _heads(root, paths) if can_read_dicom() else {}
    known = {head.patient for head in heads.values()}
    return len(known) if len(heads) == len(paths) and None not in known and len(known) > 1 else 0


def picture_of(content: bytes, ct_window_hu: tuple[float, float]) -> bytes:
    """Return the picture that a set would have in a DICOM file's place; any other file, or a damaged one, as it is."""
    try:
        return _picture(content, ct_window_hu) if is_dicom(content) else content
    except UnreadableDicom:
        return content


def _as_pictures(read: Read, ct_window_hu: tuple[float, float]) -> Read:
    def read_picture(path: str) -> bytes:
        content = read(path)
        try:
            return _picture(content, ct_window_hu) if is_dicom(content) else content
        except UnreadableDicom as error:
            raise OSError(errno.EINVAL, str(error)) from None

    return read_picture


def _picture(content: bytes, ct_window_hu: tuple[float, float]) -> bytes:
    grey_HW = grey_from_dicom(content, ct_window_hu)
    return b"P5\n%d %d\n255\n" % (grey_HW.shape[1], grey_HW.shape[0]) + grey_HW.tobytes()


def _heads(root: Path, paths: Sequence[str]) -> dict[str, _Head]:
    """Return the headers of those that are DICOM files. Raises DataError without pydicom."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        marked = list(pool.map(lambda path: has_dicom_mark(root / path), paths))
        found = [path for path, is_one in zip(paths, marked, strict=True) if is_one]
        if found and not can_read_dicom():
            raise DataError(f"{root / found[0]}: {MISSING}")
        return dict(zip(found, pool.map(lambda path: _head(root, path), found), strict=True))


def _head(root: Path, path: str) -> _Head:
    """Return what a file's header tells; nothing for one that cannot be read, which is counted when it is decoded."""
    try:
        data = open_dicom(root / path, TAGS)
        patient, issuer, name = (str(data.get(tag) or "").strip() for tag in TAGS[:3])
        words = [word.casefold() for word in (patient, *re.split(r"[\^= ]+", name)) if len(word) >= SHORTEST_NAME]
        return _Head(
            patient=_digest(patient) if patient else None,
            with_issuer=_digest(f"{issuer}\0{patient}") if patient and issuer else None,
            modality=str(data.get("Modality") or ""),
            has_text=str(data.get("BurnedInAnnotation") or "").strip().upper() == "YES",
            is_in_path=any(word in path.casefold() for word in words),
        )
    except Exception:  # noqa: BLE001  pydicom's own kinds for each way of being damaged
        return _Head()


def _digest(patient: str) -> str:
    return hashlib.blake2s(patient.encode(errors="replace"), digest_size=12, person=b"patient").hexdigest()


def _warnings(heads: Mapping[str, _Head]) -> list[str]:
    texts = sum(head.has_text for head in heads.values())
    named = sum(head.is_in_path for head in heads.values())
    found = []
    if texts:
        found.append(f"{texts} DICOM files say that text is burnt into the picture: look whether it names anybody")
    if named:
        found.append(
            f"{named} DICOM files have their patient's id or name in their path, and paths stand in pages and MLflow: "
            "rename files and folders before a sweep"
        )
    return found


def _with_patients(records: Sequence[ImageRecord], heads: Mapping[str, _Head]) -> tuple[list[ImageRecord], str]:
    """Return the records with the patients of their headers, and what was done in words.

    Hospitals may number their patients alike, so who gave the number counts; where only some files say so it does not,
    as one patient would be two.
    """
    if any(record.patient_id for record in records):
        return list(records), "their PatientID is not asked, as patients are known otherwise"
    by_issuer = all(head.with_issuer for head in heads.values() if head.patient)
    own = [_patient(record, heads, by_issuer) for record in records]
    known = Counter(patient for patient in own if patient)
    if not known:
        return list(records), "no PatientID in them"
    if len(known) == 1 and len(records) > 1:
        return list(records), "all have one and the same PatientID, which tells no patients apart"
    missing = f", {own.count(None)} images without" if None in own else ""
    grouped = [replace(record, patient_id=patient) for record, patient in zip(records, own, strict=True)]
    return grouped, f"{len(known)} patients by PatientID{missing}"


def _patient(record: ImageRecord, heads: Mapping[str, _Head], by_issuer: bool) -> str | None:
    own = [heads[path] for path in (record.path, record.second_path or "") if path in heads]
    patients = {patient for head in own if (patient := head.with_issuer if by_issuer else head.patient)}
    if len(patients) > 1:
        raise DataError(
            f"{record.path} and {record.second_path}: one case, but two patients by their PatientID; pair them in a "
            "pairs.csv, or say whose images are whose in a patients.csv"
        )
    return patients.pop() if patients else None


def _modality(record: ImageRecord, heads: Mapping[str, _Head]) -> str:
    head = heads.get(record.path)
    known = record.modality == UNKNOWN and head is not None and head.modality in MODALITIES
    return head.modality if known and head else record.modality
