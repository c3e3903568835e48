"""What was found in a data set as a page, and what its images look like on their way to a model."""

from pathlib import Path

import numpy as np
import torch

from trainables.audit.evidence import Evidence
from trainables.audit.facts import AuditInput
from trainables.audit.findings import AuditReport, make_report
from trainables.audit.report import write_report
from trainables.audit.sheets import choose_samples, draw_preprocessing_sheet, draw_sample_sheet
from trainables.audit.shortcuts import find_shortcuts
from trainables.audit.subjects import SubjectGroups
from trainables.catalog import Task
from trainables.data.augmentation import Augmentation, augment
from trainables.data.examine import ExaminedData
from trainables.data.images import decode_grey
from trainables.data.made_pairs import write_made_pairs
from trainables.data.pair_sheets import AUGMENTED_DRAWS, PREPROCESSED_PER_CLASS, draw_pair_sheets
from trainables.data.prepare import PreparedData
from trainables.data.views import View
from trainables.inference import to_input

SAMPLES_PER_CLASS = 6


def report_data(folder: Path, task: Task, examined: ExaminedData, images: AuditInput) -> tuple[AuditReport, Path]:
    """Write audit.html, audit.json and, of two images per case, pairs.csv.

    `images` are those of `examined`, with the sides that leaks are judged by.
    """
    group_N = examined.groups.group_N
    shortcuts = find_shortcuts(images, [str(group) for group in group_N.tolist()])
    subjects = SubjectGroups(group_N, examined.audit.subjects.threshold, examined.audit.subjects.why)
    unreadable = sorted(examined.unreadable.items())
    data_set = examined.data_set
    evidence = Evidence(images, examined.audit.duplicates, subjects, shortcuts, unreadable, data_set.pairing)
    report = make_report(evidence)
    page = write_report(folder, report, images, f"Data of {task.name}", data_set.notes)
    if task.images_per_case == 2:
        write_made_pairs(folder / "pairs.csv", task, examined, images)
    return report, page


def draw_sheets(
    folder: Path, task: Task, data: PreparedData, view: View, augmentation: Augmentation, seed: int
) -> None:
    """Write samples.png (raw training images of each class) and preprocessing.png (raw, as a model gets it, augmented).

    Only training images are shown; of cases of two both, side by side.
    """
    if task.images_per_case == 2:
        rows = [row for row in data.development.rows if row.side == "training"]
        cases = [(row.path, row.second_path, row.label) for row in rows]
        draw_pair_sheets(folder, task, cases, data.examined.data_set.read, view, augmentation, seed)
        return
    training = [row for row in data.development.rows if row.side == "training"]
    labels = [row.label for row in training]
    chosen = [training[row] for row in choose_samples(labels, len(task.classes), SAMPLES_PER_CLASS, seed)]
    read = data.examined.data_set.read
    samples = [(decode_grey(read(row.path)), task.classes[row.label], Path(row.path).name) for row in chosen]
    draw_sample_sheet(folder / "samples.png", samples, task.classes, f"{task.name}: training images as they are")
    few = [training[row] for row in choose_samples(labels, len(task.classes), PREPROCESSED_PER_CLASS, seed)]
    raw = [decode_grey(read(row.path)) for row in few]
    squares_NHW = np.stack([view.square(slice_HW) for slice_HW in raw])
    generator = torch.Generator().manual_seed(seed)
    draws = [
        augment(to_input(torch.from_numpy(squares_NHW)[:, None]), augmentation, generator)[:, 0].numpy()
        for _ in range(AUGMENTED_DRAWS)
    ]
    draw_preprocessing_sheet(
        folder / "preprocessing.png",
        raw,
        squares_NHW,
        np.stack(draws, axis=1),
        [task.classes[row.label] for row in few],
        f"{task.name}: as decoded, as a model gets it, augmented as strongly as may be",
    )
