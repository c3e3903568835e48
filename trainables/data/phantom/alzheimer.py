"""Dementia stage from skull-stripped MR slices, in parquet: ventricles widen and the cortex thins with the stage."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from trainables.data.phantom.anatomy import Layers, Tissue, brain_layers, brain_map, ventricle_map
from trainables.data.phantom.draws import Draws, Stream, Task, Walk
from trainables.data.phantom.files import JPEG_GREY, SetFolder, encode
from trainables.data.phantom.head import Floats, Frame, Head, draw_head, locate, within
from trainables.data.phantom.scanners import Contrast, Scan, draw_scan, picture

_PARTS = ("train", "test")
_STAGES = ((2, "non"), (3, "verymild"), (0, "mild"), (1, "moderate"))  # label and name in files, mildest first
_FEATURES = {  # as Hugging Face writes them into its files
    "image": {"_type": "Image"},
    "label": {
        "names": ["Mild_Demented", "Moderate_Demented", "Non_Demented", "Very_Mild_Demented"],
        "_type": "ClassLabel",
    },
}
_SCHEMA = pa.schema(
    [("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])), ("label", pa.int64())],
    metadata={"huggingface": json.dumps({"info": {"features": _FEATURES}})},
)
_ROWS_PER_GROUP = 500


def write_alzheimer_phantom(
    folder: Path, *, train_patients: int, test_patients: int, slices: int = 4, seed: int = 0, image_px: int = 128
) -> None:
    """Write data/train-*.parquet, data/test-*.parquet, masks/ (0 or 255: the ventricles) and patients.csv.

    Subjects run through the four stages, mildest first; the slices of one are nearly alike. Unlike in the real set, no
    subject is in both parts. Subject k of a part is the same brain for every number of subjects. `path` in
    patients.csv is that of the image struct.
    """
    target = SetFolder(folder)
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for part, num_patients in enumerate((train_patients, test_patients)):
        rows = list(_rows(target, part, num_patients, slices, seed, image_px))
        table = pa.Table.from_pylist(rows, schema=_SCHEMA)
        path = folder / "data" / f"{_PARTS[part]}-00000-of-00001-phantom.parquet"
        pq.write_table(table, path, row_group_size=_ROWS_PER_GROUP)
    target.close()


def _rows(
    target: SetFolder, part: int, num_patients: int, num_slices: int, seed: int, image_px: int
) -> Iterator[dict[str, Any]]:
    for k in range(num_patients):
        stage = k % len(_STAGES)
        label, name = _STAGES[stage]
        draws = Draws(seed=seed, task=Task.ALZHEIMER, part=part, label=label, index=k // len(_STAGES))
        head, scan = _draw_brain(draws, stage), _draw_session(draws)
        middle = -0.04 + 0.32 * draws.even(Walk.LEVEL)
        for i in range(num_slices):
            rng = draws.rng(Stream.SLICE, i)
            height = middle + 0.015 * i + rng.uniform(-0.004, 0.004)
            frame = locate(head, scan.pose((image_px, image_px)), height)
            brain = brain_map(head, frame, height)
            layers: Layers = [(tissue, cover * brain) for tissue, cover in brain_layers(head, frame, height)]
            layers.append((Tissue.FAT, _remnants(frame)))
            # train and test numbers never meet, however many there are
            stem = f"{name}_{2 * (draws.index * num_slices + i) + part + 1}"
            target.add_mask(stem, ventricle_map(head, frame, height) * brain)
            target.add_row(stem + ".jpg", f"{_PARTS[part]}_{k:03d}")
            content = encode(picture(layers, scan, rng), JPEG_GREY)
            yield {"image": {"bytes": content, "path": stem + ".jpg"}, "label": label}


def _draw_brain(draws: Draws, stage: int) -> Head:
    """Return a brain whose atrophy is the stage's, with little overlap between neighbours."""
    head = draw_head(draws.rng(Stream.HEAD), draws.even(Walk.SIZE))
    rng = draws.rng(Stream.LESION)
    severity = stage + rng.uniform(-0.3, 0.3)
    return replace(
        head,
        outer_fraction=head.outer_fraction + 0.04,
        calcium=(0.0, 0.0),
        ventricle_scale=0.65 + 0.45 * severity,
        sulcus_width=0.07 + 0.085 * severity,
        sulcus_depth=0.26 + 0.03 * severity,
        cortex_width=0.75 - 0.02 * severity,
    )


def _remnants(frame: Frame) -> Floats:
    """Return specks of scalp that the stripping left; they are the brightest thing at every stage."""
    return np.asarray(within(np.abs(frame.radius - 1) - 0.012) * np.clip(4 * frame.chaos[1] - 4, 0, 1))


def _draw_session(draws: Draws) -> Scan:
    brightness = draws.even(Walk.MR_BRIGHTNESS)
    scan = draw_scan(draws.rng(Stream.SCAN), Contrast.T1, brightness, draws.even(Walk.MR_NOISE))
    return replace(scan, head_mean=0.48 + 0.24 * brightness, gamma=1.2)
