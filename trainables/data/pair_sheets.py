"""samples.png and preprocessing.png of cases of two images: which of them are drawn, and how they are prepared."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from trainables.audit.pair_sheets import RawPair, pair_preprocessing_figure, pair_samples_figure
from trainables.audit.sheets import choose_samples
from trainables.catalog import Task
from trainables.data.augmentation import Augmentation, augment
from trainables.data.examine import ExaminedData
from trainables.data.images import decode_grey
from trainables.data.records import Read
from trainables.data.sides import default_test_cases
from trainables.data.views import View
from trainables.figure_files import save_quietly

SAMPLES_PER_CLASS = 4
PREPROCESSED_PER_CLASS = 2
AUGMENTED_DRAWS = 3
CHECK_PX = 224
PairedCase = tuple[str, str, int]  # first path, second path, class index


def draw_pair_sheets(
    folder: Path,
    task: Task,
    cases: Sequence[PairedCase],
    read: Read,
    view: View,
    augmentation: Augmentation | None,
    seed: int,
) -> None:
    """Write samples.png (some raw cases of each class) and preprocessing.png (raw, as a model gets them, augmented).

    Each image has draws of its own where they do not lie on each other. Without cases nothing is written, without
    augmentation no draws.
    """
    if not cases:
        return
    first, second = task.image_names
    samples = _chosen(task, cases, SAMPLES_PER_CLASS, read, seed)
    title = f"{task.name}: {first} and {second} of a case as they are"
    save_quietly(pair_samples_figure(samples, task.classes, title), folder / "samples.png")
    few = _chosen(task, cases, PREPROCESSED_PER_CLASS, read, seed)
    squares_N2HW = np.stack([np.stack([view.square(slice_HW) for slice_HW in pair.slices]) for pair in few])
    num_draws, title = 0, f"{task.name}: as decoded, as a model gets it"
    if augmentation is not None:
        num_draws, title = AUGMENTED_DRAWS, f"{title}, augmented as strongly as may be"
    draws_NA2HW = _augmented(squares_N2HW, augmentation or Augmentation(), num_draws, seed)
    figure = pair_preprocessing_figure(few, squares_N2HW, draws_NA2HW, (first, second), title)
    save_quietly(figure, folder / "preprocessing.png")


def draw_pairs_to_look_at(folder: Path, task: Task, examined: ExaminedData) -> None:
    """Write the sheets of data that no sweep has split yet, without the cases that would be test cases by default."""
    test = set(default_test_cases(task, examined))
    records = [case.record for number, case in enumerate(examined.cases) if number not in test]
    cases = [(record.path, record.second_path or "", record.label) for record in records]
    draw_pair_sheets(folder, task, cases, examined.data_set.read, View(CHECK_PX), None, seed=0)


def _chosen(task: Task, cases: Sequence[PairedCase], per_class: int, read: Read, seed: int) -> list[RawPair]:
    labels = [label for _, _, label in cases]
    return [
        RawPair(
            (decode_grey(read(first)), decode_grey(read(second))),
            (Path(first).name, Path(second).name),
            task.classes[label],
        )
        for first, second, label in (cases[row] for row in choose_samples(labels, len(task.classes), per_class, seed))
    ]


def _augmented(squares_N2HW: np.ndarray, by: Augmentation, num_draws: int, seed: int) -> np.ndarray:
    """Return draws_NA2HW in [0, 1]."""
    x_N2HW, generator = torch.from_numpy(squares_N2HW).float() / 255, torch.Generator().manual_seed(seed)
    draws = [augment(x_N2HW, by, generator).numpy() for _ in range(num_draws)]
    return np.stack(draws, axis=1) if draws else np.empty((len(squares_N2HW), 0, *squares_N2HW.shape[1:]))
