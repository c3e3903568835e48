"""A registered version in a Python program: loaded once, asked for tables."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from mlflow.pyfunc import PyFuncModel

from orchestrator.home import Home
from orchestrator.test_predictions import note_predictions
from orchestrator.tracking.registry import find_model, load_model, predict
from orchestrator.tracking.store import open_store, told_as_bad_input

Image = str | Path | bytes  # the path of an image file, or what it holds


@dataclass(frozen=True)
class LoadedModel:
    """A version of a task's model; `predict` is all that most need, `model` is MLflow's."""

    name: str
    version: str
    alias: str | None
    model: PyFuncModel
    home: Home

    def predict(self, cases: Iterable[Image | Sequence[Image]]) -> pd.DataFrame:
        """Return predicted, p_<class>... and error for each image, or for each case of several.

        Test images of a known sweep are a line in the ledger. Raises OSError for a file that cannot be read.
        """
        each = [(case,) if isinstance(case, str | Path | bytes) else tuple(case) for case in cases]
        contents = [[one if isinstance(one, bytes) else Path(one).read_bytes() for one in case] for case in each]
        frame = predict(self.model, contents)
        sha256s = {hashlib.sha256(content).hexdigest() for case in contents for content in case}
        note_predictions(self.home, sha256s, f"{self.name} v{self.version}")
        return frame


def load_version(reference: str, home: Home, tracking_uri: str | None) -> LoadedModel:
    """Return the version that TASK (its champion, else its challenger), TASK@alias or TASK@number means.

    Raises BadInput where there is none, and where the store cannot be reached.
    """
    with told_as_bad_input(home, tracking_uri):
        found = find_model(open_store(home, tracking_uri), reference)
        return LoadedModel(found.name, found.version, found.alias, load_model(found), home)
