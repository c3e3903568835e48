"""The code of a registered model (MLflow models-from-code): copied into each version, never imported by the project."""

import hashlib
import importlib.util
import logging
import sys
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, INVALID_PARAMETER_VALUE
from mlflow.pyfunc.model import PythonModel

REASONS_SHOWN = 3
SERVER = "mlflow.pyfunc.scoring_server.app"  # there only in a process that serves
UNTOLD = {  # what MLflow's warnings say before they tell names -> what is logged instead
    "Found extra inputs": "Columns that the model does not know are ignored.",
    "Ignoring provided params": "Parameters are ignored: the model has none.",
    "Unrecognized params": "Parameters are ignored: the model has none.",
}
NO_TABLE = "no request that can be read: send JSON with dataframe_records, one row per case, its images in the columns"


class Refused(MlflowException):
    """A request that cannot be answered, in one line that nobody can replace.

    MLflow's server would put the request's data before it, which are a patient's image, and a stack trace after it.
    """

    def __init__(self, told: str, error_code: int = INVALID_PARAMETER_VALUE) -> None:
        self._told = told
        super().__init__(told, error_code=error_code)

    @property
    def message(self) -> str:
        """Return the line."""
        return self._told

    @message.setter
    def message(self, value: str) -> None: ...


class RegisteredClassifier(PythonModel):
    """One column per image of a case -> predicted, p_<class>..., error (why a case could not be judged).

    A cell is an image file as bytes, base64 text or pathlib.Path, or an array; text is never taken for a path.
    """

    def load_context(self, context: Any) -> None:
        """Load the classifier from the version's own files."""
        folder = Path(context.artifacts["classifier"])
        code = folder / "standalone.py"
        name = f"orchestrate_standalone_{hashlib.sha256(code.read_bytes()).hexdigest()[:16]}"
        if name not in sys.modules:
            spec = importlib.util.spec_from_file_location(name, code)
            assert spec is not None and spec.loader is not None
            sys.modules[name] = importlib.util.module_from_spec(spec)
            try:
                spec.loader.exec_module(sys.modules[name])
            except BaseException:
                del sys.modules[name]  # who loads again must not get half of it
                raise
        self._classifier = sys.modules[name].Classifier(folder)
        for logger in ("mlflow.models.utils", "mlflow.pyfunc", "mlflow.pyfunc.scoring_server"):
            logging.getLogger(logger).addFilter(_without_names)
        if SERVER in sys.modules:
            _let_the_server_repeat_nothing()

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return one row per case, in order. Raises Refused where no case can be judged."""
        try:
            frame = self.predict_rows(model_input)
        except Refused:
            raise
        except Exception as error:  # whatever it is: its text may hold what was sent, and only the cause keeps it
            raise Refused(f"the model failed on this request ({type(error).__name__})", INTERNAL_ERROR) from error
        reasons = list(frame["error"])
        if all(reasons):
            told = [f"case {row}: {reason}" for row, reason in enumerate(reasons[:REASONS_SHOWN])]
            more = [f"and {len(reasons) - len(told)} more"] if len(reasons) > len(told) else []
            raise Refused("; ".join(told + more))
        return frame

    def predict_rows(self, model_input: pd.DataFrame) -> pd.DataFrame:
        """Return one row per case, also where none can be judged. Raises Refused for no case and a missing column."""
        inputs, classes = self._classifier.inputs, self._classifier.classes
        columns = f"column{'s' * (len(inputs) > 1)} {', '.join(inputs)}"
        if not len(model_input):
            raise Refused(f"no case: send at least one row, its images in the {columns}")
        missing = [name for name in inputs if name not in model_input.columns]
        if missing:
            raise Refused(f"no column {', '.join(missing)}: each case of this model is {len(inputs)} images, {columns}")
        rows = zip(*(model_input[name] for name in inputs), strict=True)
        probs_NK, reasons = self._classifier.predict([_case(row) for row in rows])
        frame = pd.DataFrame({f"p_{name}": _cells(probs_NK[:, k], reasons) for k, name in enumerate(classes)})
        predicted = ["" if reason else classes[row.argmax()] for row, reason in zip(probs_NK, reasons, strict=True)]
        frame.insert(0, "predicted", predicted)
        frame["error"] = reasons
        return frame


def _case(cells: tuple[Any, ...]) -> list[Any]:
    """Return the images of a row; a cell may hold several, which the classifier counts."""
    return [image for cell in cells for image in (cell if isinstance(cell, list | tuple) else [cell])]


def _cells(probs_N: Any, reasons: list[str]) -> pd.Series:
    """Return a column of probabilities, None where there is a reason: NaN would be no JSON."""
    if not any(reasons):
        return pd.Series(probs_N)
    values = [None if reason else value for value, reason in zip(probs_N.tolist(), reasons, strict=True)]
    return pd.Series(values, dtype=object)


def _without_names(record: logging.LogRecord) -> bool:
    """Keep names of unknown columns and parameters out of the log: they may be anything that was sent."""
    for words, told in UNTOLD.items():
        if words in str(record.msg):
            record.msg, record.args = told, ()
    return True


def _let_the_server_repeat_nothing() -> None:
    """Let this process's server answer in one line what it cannot read: its own replies quote the request.

    It parses a request, and holds it against the signature, before a model is asked.
    """
    from mlflow.pyfunc import scoring_server

    own: Any = scoring_server.invocations
    if getattr(own, "repeats_nothing", False):
        return

    def invocations(data: Any, content_type: str, model: Any, input_schema: Any) -> Any:
        try:
            return own(data, content_type, model, input_schema)
        except Refused:
            raise
        except Exception as error:  # RecursionError of nested JSON, what parsers raise, MLflow's own
            raise Refused(NO_TABLE) from error

    invocations.repeats_nothing = True  # type: ignore[attr-defined]
    scoring_server.invocations = invocations


set_model(RegisteredClassifier())
