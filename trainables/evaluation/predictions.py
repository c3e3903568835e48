"""What a model says of the images of one side, and that as a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from trainables.data.records import Side
from trainables.data.split_rows import SplitRow
from trainables.evaluation.temperature import probabilities


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
    """Write CSV: path, true and predicted class, logits and probabilities in full precision, modality, right or not."""
    probs_NK, labels_N = predictions.probs_NK, predictions.labels_N
    predicted_N = probs_NK.argmax(axis=1)
    frame = pd.DataFrame(
        {
            "path": [row.path for row in predictions.rows],
            "true_label": [classes[k] for k in labels_N],
            "predicted_label": [classes[k] for k in predicted_N],
            **{f"logit_{name}": predictions.logits_NK[:, k] for k, name in enumerate(classes)},
            **{f"p_{name}": probs_NK[:, k] for k, name in enumerate(classes)},
            "image_type": predictions.modality_N,
            "correct_prediction": predicted_N == labels_N,
        }
    )
    frame.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")


def read_predictions(path: Path, classes: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return probs_NK and labels_N of a table written by `write_predictions`."""
    frame = pd.read_csv(path, keep_default_na=False, float_precision="round_trip")
    probs_NK = frame[[f"p_{name}" for name in classes]].to_numpy(dtype=np.float64)
    return probs_NK, frame["true_label"].map({name: k for k, name in enumerate(classes)}).to_numpy(dtype=int)
