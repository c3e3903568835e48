"""DICOM files with invented patients, made by pydicom: what no record may hold is said in `HEADER`."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage

HEADER = {
    "PatientName": "Doe^Jonathan",
    "PatientBirthDate": "19610213",
    "PatientAddress": "7 Elm Lane, Norwich",
    "InstitutionName": "Saint Anywhere Hospital",
    "ReferringPhysicianName": "Quack^Penelope",
    "AccessionNumber": "ACC4711XYZ",
    "StudyInstanceUID": "1.2.826.0.1.3680043.9.7777.1",
    "StudyDate": "20190807",
    "StudyDescription": "CT HEAD WITHOUT CONTRAST",
}
PATIENT = "MRN-0815-{}"  # as each set numbers them


def dicom_bytes(stored: np.ndarray, *, modality: str = "MR", patient: str = PATIENT.format(1), **tags: Any) -> bytes:
    """Return a file's bytes for stored values, HW or HW3; `tags` come last, and None leaves one out."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = CTImageStorage if modality == "CT" else MRImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = "1.2.826.0.1.3680043.9.7777.2"
    bits = stored.dtype.itemsize * 8
    given = {
        **HEADER,
        "SOPClassUID": data.file_meta.MediaStorageSOPClassUID,
        "SOPInstanceUID": data.file_meta.MediaStorageSOPInstanceUID,
        "PatientID": patient,
        "Modality": modality,
        "Rows": stored.shape[0],
        "Columns": stored.shape[1],
        "SamplesPerPixel": 1 if stored.ndim == 2 else 3,
        "PhotometricInterpretation": "MONOCHROME2" if stored.ndim == 2 else "RGB",
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(stored.dtype.kind == "i"),
        **({"PlanarConfiguration": 0} if stored.ndim == 3 else {}),
        **({"RescaleIntercept": 0, "RescaleSlope": 1} if modality == "CT" else {}),
        "PixelData": stored.tobytes() + b"\0" * (stored.nbytes % 2),
        **tags,
    }
    for name, value in given.items():
        if value is not None:
            setattr(data, name, value)
    content = io.BytesIO()
    data.save_as(content, enforce_file_format=True)
    return content.getvalue()


def head_hu(rng: np.random.Generator, side_px: int, bleeds: bool) -> np.ndarray:
    """Return stored values of CT in HU, HW: air, skull, brain, and blood at 70 HU where it bleeds."""
    y, x = np.mgrid[-1 : 1 : side_px * 1j, -1 : 1 : side_px * 1j]
    middle_y, middle_x = rng.uniform(-0.1, 0.1, 2)
    radius = np.hypot((y - middle_y) / 0.85, (x - middle_x) / 0.7)
    values = np.where(radius < 1, 1000.0, -1000.0)
    values[radius < 0.9] = rng.normal(32, 4, (radius < 0.9).sum())
    if bleeds:
        spot_y, spot_x = rng.uniform(-0.35, 0.35, 2)
        values[np.hypot(y - spot_y, x - spot_x) < rng.uniform(0.15, 0.25)] = 70
    return values.round().astype(np.int16)


def write_head_set(folder: Path, *, patients: int = 20, slices: int = 3, side_px: int = 64) -> Path:
    """Write class folders `bleeding` and `calm` of CT heads: half of the patients bleed; files have no suffix."""
    rng = np.random.default_rng(7)
    for number in range(patients):
        bleeds = number % 2 == 0
        place = folder / ("bleeding" if bleeds else "calm")
        place.mkdir(parents=True, exist_ok=True)
        for slice_number in range(slices):
            content = dicom_bytes(head_hu(rng, side_px, bleeds), modality="CT", patient=PATIENT.format(number))
            (place / f"IM{number:03d}{slice_number}").write_bytes(content)
    return folder
