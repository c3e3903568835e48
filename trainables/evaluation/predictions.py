"""What a model says of the images of one side, and that as a table."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from trainables.data.records import Side
from trainables.data.split_rows import SplitRow
from trainables.errors import DataError
from trainables.evaluation.temperature import probabilities

WORDS = ("true_label", "case", "group", "image_type", "leak")  # a class may be called 1 or true


@dataclass(frozen=True)
class Predictions:
    """Logits of some images, and the row of each."""

    logits_NK: np.ndarray
    rows: Sequence[SplitRow]

    @property
    def probs_NK(self) -> np.ndarray:  # noqa: N802
        """Return the probabilities that the model gives, no temperature applied."""
        return probabilities(self.logits_NK)

    @property
    def labels_N(self) -> np.ndarray:  # noqa: N802
        """Return the index of each image's true class."""
        return np.array([row.label for row in self.rows], dtype=int)

    @property
    def groups_N(self) -> np.ndarray:  # noqa: N802
        """Return the name of each image's group."""
        return np.array([row.group for row in self.rows], dtype=str)

    @property
    def modality_N(self) -> np.ndarray:  # noqa: N802
        """Return each image's modality."""
        return np.array([row.modality for row in self.rows], dtype=str)


def results_file(task: str, side: Side) -> str:
    """Return the name of the table of a side; that of test has the plain one."""
    return f"{task}_classification_results{'' if side == 'test' else f'_{side}'}.csv"


def write_predictions(path: Path, predictions: Predictions, classes: Sequence[str]) -> None:
    """Write CSV: path, true and predicted class, logits and probabilities in full precision, modality, right or not.

    `case` knows an image by its bytes in every model's table, `group` by number who it is of: names stay out of it, the
    order is theirs, so that the intervals of a table that is read again are the same.
    """
    probs_NK, labels_N = predictions.probs_NK, predictions.labels_N
    predicted_N = probs_NK.argmax(axis=1)
    group_N = np.unique(predictions.groups_N, return_inverse=True)[1]
    frame = pd.DataFrame(
        {
            "path": [row.path for row in predictions.rows],
            "true_label": [classes[k] for k in labels_N],
            "predicted_label": [classes[k] for k in predicted_N],
            **{f"logit_{name}": predictions.logits_NK[:, k] for k, name in enumerate(classes)},
            **{f"p_{name}": probs_NK[:, k] for k, name in enumerate(classes)},
            "image_type": predictions.modality_N,
            "correct_prediction": predicted_N == labels_N,
            "case": [case_digest([row.sha256, row.second_sha256]) for row in predictions.rows],
            "group": [f"{group:06d}" for group in group_N],
            "leak": [row.leak for row in predictions.rows],
        }
    )
    frame.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")


def without_paths(table: Path, out: Path) -> None:
    """Copy a table of `write_predictions` without the names of files, which may name people."""
    frame = pd.read_csv(table, dtype=str, keep_default_na=False)
    frame.drop(columns="path", errors="ignore").to_csv(out, index=False, lineterminator="\n", encoding="utf-8")


def read_predictions(path: Path, classes: Sequence[str], side: Side) -> Predictions:
    """Return what `write_predictions` wrote, cases and groups by the names that they have there.

    Raises DataError for a table that is missing, damaged or of other classes.
    """
    try:
        frame = pd.read_csv(path, keep_default_na=False, float_precision="round_trip", dtype=dict.fromkeys(WORDS, str))
        logits_NK = frame[[f"logit_{name}" for name in classes]].to_numpy(dtype=np.float32)
        if not np.isfinite(logits_NK).all():
            raise ValueError("a logit is not finite")
        rows = [
            SplitRow(
                path=str(row["case"]),
                label=list(classes).index(str(row["true_label"])),
                modality=str(row["image_type"]),
                group=str(row["group"]),
                side=side,
                sha256=str(row["case"]),
                leak=str(row["leak"]),
            )
            for row in frame.to_dict("records")
        ]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path.name}: no table of predictions of these classes ({error!r})") from error
    return Predictions(logits_NK, rows)


def case_digest(sha256s: Sequence[str]) -> str:
    """Return the name that a case has in every model's table, from the digests of its image or two."""
    first, second = (*sha256s, "")[:2]
    return hashlib.sha256(f"{first} {second}".encode()).hexdigest()[:16]
