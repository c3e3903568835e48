"""A phantom set as arrays: what tests and the difficulty benchmark read of it."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.metrics import roc_auc_score

_ALZHEIMER_STAGE_OF_LABEL = {2: 0, 3: 1, 0: 2, 1: 3}


@dataclass(frozen=True)
class Picture:
    """One image of a set; `path` is that of patients.csv."""

    path: str
    label: str
    modality: str
    patient: str
    content: bytes

    def read(self) -> np.ndarray:
        """Return picture_HW, grey."""
        return np.asarray(Image.open(io.BytesIO(self.content)).convert("L"))


def read_pictures(folder: Path) -> list[Picture]:
    """Return a set's pictures in the order of patients.csv; the class is read from the layout of its task."""
    with (folder / "patients.csv").open(newline="", encoding="utf-8") as file:
        patients = {row["path"]: row["patient_id"] for row in csv.DictReader(file)}
    if (folder / "data").is_dir():
        found = {path: (label, "MR", content) for path, label, content in _parquet_rows(folder)}
    else:
        found = {path: (*_class_of(path), (folder / path).read_bytes()) for path in patients}
    return [
        Picture(path, label, modality, patients[path], content)
        for path, (label, modality, content) in ((path, found[path]) for path in patients)
    ]


def mask_path(folder: Path, picture: Picture) -> Path:
    return (folder / "masks" / picture.path).with_suffix(".png")


def shortcut_values(picture_HW: np.ndarray) -> dict[str, float]:
    """Return what a model could look at instead of the finding."""
    side = max(2, min(picture_HW.shape) // 16)
    corners = [picture_HW[rows, columns] for rows in (slice(side), slice(-side, None)) for columns in _ends(side)]
    return {
        "mean": float(picture_HW.mean()),
        "max": float(picture_HW.max()),
        "corners": float(np.mean(corners)),
    }


def one_value_auroc(values: np.ndarray, labels: np.ndarray) -> float:
    """Return the AUROC of one number for each class against the rest, in the better direction, averaged."""
    classes = np.unique(labels)[1:] if len(np.unique(labels)) == 2 else np.unique(labels)
    scores = [roc_auc_score(labels == one, values) for one in classes]
    return float(np.mean([max(score, 1 - score) for score in scores]))


def _ends(side: int) -> tuple[slice, slice]:
    return slice(side), slice(-side, None)


def _class_of(path: str) -> tuple[str, str]:
    parent = Path(path).parent.name
    if parent.endswith(("BT", "MR")):  # stroke
        return "stroke" if parent.lower().startswith("stroke") else "normal", parent[-2:]
    return parent, "CT" if " CT " in path else "MR"


def _parquet_rows(folder: Path) -> Iterator[tuple[str, str, bytes]]:
    for path in sorted((folder / "data").glob("*.parquet")):
        for image, label in pd.read_parquet(path).itertuples(index=False):
            yield image["path"], str(_ALZHEIMER_STAGE_OF_LABEL[label]), image["bytes"]
