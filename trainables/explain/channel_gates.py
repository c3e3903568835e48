"""What a channel gate lets through, class by class: a table and a figure."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from trainables.errors import ExplanationError
from trainables.evaluation.figures.labels import FONT_PT, short_names
from trainables.evaluation.figures.style import new_figure, save, style_axes
from trainables.explain.case_panels import write_table
from trainables.explain.explained import Explained
from trainables.explain.layers import full_path
from trainables.explain.private_copy import private_copy
from trainables.inference import logits_of

GATES_TABLE = "channel_gates.csv"
GATES_FIGURE = "channel_gates.png"
BATCH = 32
LABEL_IN = 0.9


def write_channel_gates(folder: Path, explained: Explained, labels_N: np.ndarray, classes: Sequence[str]) -> str:
    """Write the mean weight of each channel over the images of each true class, as CSV and PNG.

    Returns why there are none, empty where there are; nothing is written for an architecture without such a gate.
    """
    path = explained.architecture.channel_gates
    if not path:
        return ""
    try:
        gates_NC = channel_gates(explained, path)
    except ExplanationError as error:
        return f"channel gates: {error}"
    there = [k for k in range(len(classes)) if (labels_N == k).any()]
    means_KC = np.stack([gates_NC[labels_N == k].mean(axis=0) for k in there])
    names = [classes[k] for k in there]
    rows = [
        {
            "class": name,
            "images": int((labels_N == k).sum()),
            **{f"channel_{c}": float(v) for c, v in enumerate(mean_C)},
        }
        for k, name, mean_C in zip(there, names, means_KC, strict=True)
    ]
    write_table(folder / GATES_TABLE, rows)
    save(gates_figure(means_KC, names, path), folder / GATES_FIGURE)
    return ""


def channel_gates(explained: Explained, path: str) -> np.ndarray:
    """Return gates_NC of all images. Raises ExplanationError where the path leads to no gate of channels."""
    model = private_copy(explained.model)
    module = model.get_submodule(full_path(model, path))
    given: list[np.ndarray] = []

    def keep(module: nn.Module, inputs: Any, output: Tensor) -> None:
        given.append(output.clone().float().cpu().numpy())  # an in-place operation that follows would change it

    handle = module.register_forward_hook(keep)
    device = next(model.parameters()).device
    try:
        with torch.inference_mode():
            for start in range(0, len(explained.images_NMHW), BATCH):
                cases = range(start, min(start + BATCH, len(explained.images_NMHW)))
                logits_of(model, explained.input_of(cases).to(device))
    finally:
        handle.remove()
    return np.concatenate([gates.reshape(len(gates), -1) for gates in given])


def gates_figure(means_KC: np.ndarray, classes: Sequence[str], path: str) -> Figure:
    """Return a row per class, channels in order of how much they differ between classes, most first."""
    order_C = np.argsort(-np.ptp(means_KC, axis=0), kind="stable")
    figure = new_figure(0.5 + 0.25 * len(classes), f"mean weight of each channel by true class, {path}")
    axes = figure.add_subplot()
    image = axes.imshow(means_KC[:, order_C], aspect="auto", cmap="cividis", vmin=0, vmax=1, interpolation="nearest")
    axes.set_yticks(range(len(classes)), short_names(classes, LABEL_IN), fontsize=FONT_PT)
    style_axes(axes)
    axes.set_xlabel("channel, those that differ most between classes first", fontsize=FONT_PT)
    bar = figure.colorbar(image, ax=axes)
    bar.ax.tick_params(labelsize=FONT_PT)
    bar.set_label("weight", fontsize=FONT_PT)
    return figure
