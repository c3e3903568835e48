"""A packaged classifier as one graph, torch.export's pt2 or ONNX, held against the model that it was made from."""

import importlib.util
import json
import shutil
import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from trainables.errors import ExportError
from trainables.packaging import FORMAT_VERSION
from trainables.standalone import load_module

ExportFormat = Literal["pt2", "onnx"]
ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
COMPARED_CASES = 16
OPSET = 20


class Probabilities(nn.Module):
    """An x_B1HW in [0, 1] per input -> probs_BK, temperature applied."""

    def __init__(self, model: nn.Module, temperature: float) -> None:
        super().__init__()
        self.model = model
        self.temperature = temperature

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Return probs_BK."""
        return torch.softmax(self.model(*inputs).float() / self.temperature, dim=1)


def check_packages(kind: ExportFormat) -> None:
    """Raise ExportError where a package is missing that the format needs."""
    missing = [name for name in ONNX_PACKAGES if kind == "onnx" and importlib.util.find_spec(name) is None]
    if missing:
        way_out = "pip install -c constraints.txt -e '.[onnx]'"
        raise ExportError(f"ONNX needs {', '.join(missing)}: {way_out}, or take --format pt2")


def export_classifier(classifier: Path, folder: Path, kind: ExportFormat) -> float:
    """Write model.<kind>, config.json, images.py and dicom.py into `folder`, any number of cases at a time.

    Returns the largest difference of a probability between the file, loaded again, and the model, on synthetic images.
    Raises ExportError.
    """
    check_packages(kind)
    config = json.loads((classifier / "config.json").read_text(encoding="utf-8"))
    if config.get("format_version", 1) < FORMAT_VERSION:
        raise ExportError("this version was registered before models could be exported; take --format mlflow")
    packaged = load_module(classifier / "standalone.py").Classifier(classifier)
    model = Probabilities(packaged.model, packaged.temperature).eval()
    inputs = _synthetic(len(packaged.inputs), packaged.side_px)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what the exporters say of their own insides
            difference = _write_pt2(model, inputs, folder) if kind == "pt2" else _write_onnx(model, inputs, folder)
    except Exception as error:  # each of the exporters' many steps raises its own kinds
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ExportError(f"{config['architecture']} cannot be exported as {kind} ({reason})") from error
    about = {
        "classes": packaged.classes,
        "inputs": packaged.inputs,
        "side_px": packaged.side_px,
        "takes": "x_B1HW in [0, 1] per input, as images.py (DICOM: dicom.py) decodes and resizes",
        **({"ct_window_hu": config["ct_window_hu"]} if "ct_window_hu" in config else {}),
        "gives": f"probabilities, a temperature of {packaged.temperature:g} applied",
        "digests": packaged.digests,
        "max_probability_difference": difference,
    }
    (folder / "config.json").write_text(json.dumps(about, indent=2), encoding="utf-8")
    for decoder in (file for name in ("images.py", "dicom.py") if (file := classifier / name).exists()):
        shutil.copyfile(decoder, folder / decoder.name)  # older versions take no DICOM
    return difference


def _synthetic(num_inputs: int, side_px: int) -> tuple[torch.Tensor, ...]:
    """Return COMPARED_CASES images of noise per input; tracing more than one keeps the number of cases open."""
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.rand(COMPARED_CASES, 1, side_px, side_px, generator=generator) for _ in range(num_inputs))


def _any_batch(inputs: tuple[torch.Tensor, ...]) -> Any:
    return (tuple({0: torch.export.Dim("batch")} for _ in inputs),)


def _write_pt2(model: nn.Module, inputs: tuple[torch.Tensor, ...], folder: Path) -> float:
    exported = torch.export.export(model, inputs, dynamic_shapes=_any_batch(inputs))
    torch.export.save(exported, folder / "model.pt2")
    loaded = torch.export.load(folder / "model.pt2").module()
    return max(
        float((loaded(*part) - model(*part)).abs().max()) for part in (inputs, tuple(x_B1HW[:1] for x_B1HW in inputs))
    )


def _write_onnx(model: nn.Module, inputs: tuple[torch.Tensor, ...], folder: Path) -> float:
    import onnxruntime

    names = [f"image_{number}" for number in range(len(inputs))]
    torch.onnx.export(
        model,
        inputs,
        folder / "model.onnx",
        dynamo=True,
        dynamic_shapes=_any_batch(inputs),
        input_names=names,
        output_names=["probabilities"],
        opset_version=OPSET,
        external_data=False,
        verbose=False,
    )
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_inputs()]
    differences = []
    for part in (inputs, tuple(x_B1HW[:1] for x_B1HW in inputs)):
        (probs_BK,) = session.run(None, dict(zip(names, (x_B1HW.numpy() for x_B1HW in part), strict=True)))
        differences.append(float(np.abs(probs_BK - model(*part).numpy()).max()))
    return max(differences)
