"""Predictions of labelled images as a table."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from trainables.data.split_rows import SplitRow


def write_predictions(path: Path, rows: Sequence[SplitRow], classes: Sequence[str], probs_NK: np.ndarray) -> None:
    """Write CSV: path, modality, true and predicted class, p_<class> in full precision."""
    frame = pd.DataFrame(
        {
            "path": [row.path for row in rows],
            "modality": [row.modality for row in rows],
            "true": [classes[row.label] for row in rows],
            "predicted": [classes[k] for k in probs_NK.argmax(axis=1)],
        }
    )
    for k, name in enumerate(classes):
        frame[f"p_{name}"] = probs_NK[:, k]
    frame.to_csv(path, index=False)


def read_predictions(path: Path, classes: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return probs_NK and labels_N of a table written by `write_predictions`."""
    frame = pd.read_csv(path)
    probs_NK = frame[[f"p_{name}" for name in classes]].to_numpy(dtype=np.float64)
    return probs_NK, frame["true"].map({name: k for k, name in enumerate(classes)}).to_numpy(dtype=int)
