"""Stroke phantoms as arrays, held out with masks or drawn twice with the lesion moved, and what learns from them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from trainables.catalog import TASKS
from trainables.data.images import decode_grey, resize_square
from trainables.data.phantom.draws import Draws, Stream, Task
from trainables.data.phantom.lesions import draw_stroke
from trainables.data.phantom.patients import draw_patient
from trainables.data.phantom.scanners import Contrast
from trainables.data.phantom.stroke import write_stroke_phantom
from trainables.data.read import read_data_set
from trainables.data.records import ImageRecord
from trainables.data.split_rows import SplitRow
from trainables.data.views import View
from trainables.evaluation.trial_files import BEST_WEIGHTS
from trainables.explain.engine import explain
from trainables.explain.explainers import Explainer
from trainables.explain.localisation import TIE_FRACTION
from trainables.explain.masks import LesionMasks, shrink_mask
from trainables.inference import to_input
from trainables.models import build_model, load_weights
from trainables.training.development import DevelopmentData
from trainables.training.loop import train
from trainables.training.run import TrainingRun

TRAIN_PATIENTS, TEST_PATIENTS, CANVAS_PX = 400, 48, 128
VALIDATES_EVERY = 8  # patients; stroke and control alternate, so an even number would take one class alone


@dataclass(frozen=True)
class HeldOut:
    """Test images; `masks` holds the lesions by the number of their row."""

    images_NHW: np.ndarray
    rows: list[SplitRow]
    masks: dict[int, np.ndarray]


@dataclass(frozen=True)
class MovedLesions:
    """Heads drawn twice, the second time with the lesion on the other side: uint8 images and bool masks."""

    images_P2HW: np.ndarray
    masks_P2HW: np.ndarray


def training_data(folder: Path, side_px: int, patients: int = TRAIN_PATIENTS) -> DevelopmentData:
    """Return the training part of a phantom, which is written where it is missing."""
    images_NHW, records = _read(folder, side_px, "training", patients)
    number = [int(str(record.patient_id).rpartition("_")[2]) for record in records]
    validates_N = torch.tensor([one // 2 % VALIDATES_EVERY == 0 for one in number])
    return DevelopmentData(
        images_NMHW=torch.from_numpy(images_NHW)[:, None],
        labels_N=torch.tensor([record.label for record in records]),
        training_rows=torch.nonzero(~validates_N).squeeze(1),
        validation_rows=torch.nonzero(validates_N).squeeze(1),
    )


def held_out(folder: Path, side_px: int) -> HeldOut:
    """Return the test part of a phantom, which is written where it is missing."""
    images_NHW, records = _read(folder, side_px, "test")
    digests = [hashlib.sha256((folder / record.path).read_bytes()).hexdigest() for record in records]
    rows = [
        SplitRow(record.path, record.label, record.modality, str(record.patient_id), "test", digest)
        for record, digest in zip(records, digests, strict=True)
    ]
    found = LesionMasks(folder)
    masks = {n: found.find(row.path, View(side_px)) for n, row in enumerate(rows)}
    return HeldOut(images_NHW, rows, {n: mask_HW for n, mask_HW in masks.items() if mask_HW is not None})


def moved_lesions(patients: int, side_px: int, seed: int = 1) -> MovedLesions:
    """Draw a CT and a diffusion-weighted slice of each patient: same head, pose and noise, the lesion mirrored."""
    images, masks = [], []
    for index in range(patients):
        draws = Draws(seed=seed, task=Task.STROKE, part=1, label=1, index=index)
        lesion = draw_stroke(draws.rng(Stream.LESION), 0.2)
        mirrored = replace(lesion, centre_uv=(-lesion.centre_uv[0], lesion.centre_uv[1]))
        for contrast in (Contrast.CT, Contrast.DIFFUSION):
            for one in (lesion, mirrored):
                patient = draw_patient(draws, one)
                drawn = patient.slice(patient.scan(contrast), 0.2, (CANVAS_PX, CANVAS_PX), draws.rng(Stream.SLICE))
                assert drawn.mask is not None
                grey_HW = (np.clip(drawn.picture, 0, 1) * 255).round().astype(np.uint8)
                images.append(resize_square(grey_HW, side_px))
                masks.append(shrink_mask(drawn.mask > 0.5, side_px))
    return MovedLesions(*(np.stack(one).reshape(-1, 2, side_px, side_px) for one in (images, masks)))


def middle(marked_HW: np.ndarray) -> np.ndarray:
    """Return the mean row and column of what is marked."""
    return np.argwhere(marked_HW).mean(axis=0)


def peak(map_HW: np.ndarray) -> np.ndarray:
    """Return row and column of a map's maximum, of several the middle."""
    return middle(map_HW >= map_HW.max() - TIE_FRACTION * (map_HW.max() - map_HW.min()))


def both_peaks_follow(maps_2HW: Sequence[np.ndarray], masks_2HW: np.ndarray) -> bool:
    """Say whether the peaks of both maps of a head are nearer to its lesion than to where it is the other time."""
    lesions = [middle(mask_HW) for mask_HW in masks_2HW]
    gaps = [[np.linalg.norm(peak(map_HW) - lesion) for lesion in lesions] for map_HW in maps_2HW]
    return bool(gaps[0][0] < gaps[0][1] and gaps[1][1] < gaps[1][0])


def follows(model: nn.Module, explainer: Explainer, moved: MovedLesions, target: int = 1) -> float:
    """Return the share of heads both of whose peaks are nearer to the lesion than to where it is not, by chance 0.25.

    Only of those of whom the model says `target` both times; NaN where there are none.
    """
    nearer = []
    for images_2HW, masks_2HW in zip(moved.images_P2HW, moved.masks_P2HW, strict=True):
        found = explain(model, to_input(torch.from_numpy(images_2HW)[:, None]), [target] * 2, explainer)
        if (found.logits_BK.argmax(axis=1) == target).all():
            maps_2HW = [found.on_image(place, masks_2HW.shape[1:]) for place in (0, 1)]
            nearer.append(both_peaks_follow(maps_2HW, masks_2HW))
    return float(np.mean(nearer)) if nearer else float("nan")


def trained(
    name: str, hyperparameters: Mapping[str, Any], epochs: int, keep: Path, patients: int = TRAIN_PATIENTS
) -> nn.Module:
    """Return a network trained from random weights on the phantom in `keep`, or the one that was kept there."""
    folder = keep / name.replace("/", "_")
    finished = folder / "finished"
    if not finished.exists():
        folder.mkdir(parents=True, exist_ok=True)
        run = TrainingRun(
            architecture=name,
            hyperparameters=hyperparameters,
            num_classes=2,
            pretrained=False,
            epochs=epochs,
            seed=0,
            metric="auroc",
            device="cpu",
            folder=folder,
        )
        for record in train(run, training_data(keep / "phantom", hyperparameters["image_px"], patients)):
            told = ", ".join(f"{key} {record.metrics[key]:.3f}" for key in ("train/loss", "val/auroc", "perf/epoch_s"))
            print(f"{name} epoch {record.epoch}: {told}", flush=True)
        finished.touch()
    model = build_model(name, hyperparameters, 2)
    load_weights(model, folder / BEST_WEIGHTS)
    return model.eval()


def _read(
    folder: Path, side_px: int, side: str, patients: int = TRAIN_PATIENTS
) -> tuple[np.ndarray, list[ImageRecord]]:
    if not folder.exists():
        write_stroke_phantom(
            folder,
            train_patients=patients,
            test_patients=TEST_PATIENTS,
            slices_per_modality=1,
            image_px=CANVAS_PX,
        )
    data_set = read_data_set(TASKS["stroke"], folder)
    records = [record for record in data_set.records if record.shipped == side]
    return np.stack([resize_square(decode_grey(data_set.read(one.path)), side_px) for one in records]), records
