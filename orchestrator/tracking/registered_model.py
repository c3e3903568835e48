"""The code of a registered model (MLflow models-from-code): copied into each version, never imported by the project."""

import hashlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel


class RegisteredClassifier(PythonModel):
    """Column `image` (bytes of an image file) -> predicted, p_<class>..., error (why an image could not be read)."""

    def load_context(self, context: Any) -> None:
        """Load the classifier from the version's own files."""
        folder = Path(context.artifacts["classifier"])
        code = folder / "standalone.py"
        name = f"orchestrate_standalone_{hashlib.sha256(code.read_bytes()).hexdigest()[:16]}"
        if name not in sys.modules:
            spec = importlib.util.spec_from_file_location(name, code)
            assert spec is not None and spec.loader is not None
            sys.modules[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[name])
        self._classifier = sys.modules[name].Classifier(folder)

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return one row per image, in order."""
        probs_NK, reasons = self._classifier.predict(list(model_input["image"]))
        classes = self._classifier.classes
        frame = pd.DataFrame({f"p_{name}": probs_NK[:, k] for k, name in enumerate(classes)})
        predicted = ["" if reason else classes[row.argmax()] for row, reason in zip(probs_NK, reasons, strict=True)]
        frame.insert(0, "predicted", predicted)
        frame["error"] = reasons
        return frame


set_model(RegisteredClassifier())
