"""How hard the phantoms are, measured on unseen patients: shortcuts and thumbnails must fail, a small network succeed.

    PYTHONPATH=tests/support python tests/benchmarks/phantom_difficulty.py [--tasks stroke,alzheimer] [--help]

Columns are AUROC, macro one-vs-rest: of one number (mean, maximum, corners; in the better direction, the worse of the
modalities), of a logistic regression on a 16 x 16 thumbnail (all modalities in one model, and one model for each), and
of the small baseline CNN on as many patients and on more. A minute or two per task on one core.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from phantom_support import one_value_auroc, read_pictures, shortcut_values
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from trainables.data.augmentation import flip_and_rotate
from trainables.data.images import resize_square
from trainables.data.phantom import PHANTOMS

TRAIN_SEED, TEST_SEED = 1, 2  # other seeds, other people
LINEAR_PX = 16
INVERSE_PENALTIES = (1e-4, 1e-3, 1e-2)  # the one that is best on test is shown: a bound, not a choice


@dataclass(frozen=True)
class Sample:
    """A set as arrays; the first images are those of the first patients."""

    images_NHW: np.ndarray
    thumbnails_NF: np.ndarray
    labels_N: np.ndarray
    modalities_N: np.ndarray
    shortcuts: dict[str, np.ndarray]

    def first(self, share: float) -> "Sample":
        return self.where(np.arange(len(self.labels_N)) < share * len(self.labels_N))

    def where(self, chosen_N: np.ndarray) -> "Sample":
        return Sample(
            self.images_NHW[chosen_N],
            self.thumbnails_NF[chosen_N],
            self.labels_N[chosen_N],
            self.modalities_N[chosen_N],
            {name: values[chosen_N] for name, values in self.shortcuts.items()},
        )


def load(task: str, patients: int, seed: int, image_px: int) -> tuple[Sample, float]:
    """Return a fresh set and the seconds that writing it took; a set's own split is ignored."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        started_s = time.process_time()
        PHANTOMS[task](folder, patients, seed)
        write_s = time.process_time() - started_s
        pictures = read_pictures(folder)
    greys = [picture.read() for picture in pictures]
    values = [shortcut_values(grey_HW) for grey_HW in greys]
    sample = Sample(
        np.stack([resize_square(grey_HW, image_px) for grey_HW in greys]),
        np.stack([resize_square(grey_HW, LINEAR_PX).ravel() for grey_HW in greys]).astype(np.float64),
        np.array([picture.label for picture in pictures]),
        np.array([picture.modality for picture in pictures]),
        {key: np.array([value[key] for value in values]) for key in values[0]},
    )
    return sample, write_s


def macro_auroc(labels_N: np.ndarray, probs_NK: np.ndarray) -> float:
    if probs_NK.shape[1] == 2:
        return float(roc_auc_score(labels_N == np.unique(labels_N)[1], probs_NK[:, 1]))
    return float(roc_auc_score(labels_N, probs_NK, multi_class="ovr", average="macro"))


def linear_auroc(train: Sample, test: Sample) -> float:
    scores = []
    for inverse_penalty in INVERSE_PENALTIES:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=inverse_penalty, max_iter=500))
        model.fit(train.thumbnails_NF, train.labels_N)
        scores.append(macro_auroc(test.labels_N, model.predict_proba(test.thumbnails_NF)))
    return max(scores)


def network_auroc(train: Sample, test: Sample, epochs: int) -> float:
    """Return the score of the baseline CNN after its last epoch: conv 32 and 64, batch norm, 128 hidden."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    classes, labels_N = np.unique(train.labels_N, return_inverse=True)
    x_N1HW, test_x_N1HW = (torch.from_numpy(s.images_NHW)[:, None].float() / 255 for s in (train, test))
    y_N = torch.from_numpy(labels_N)
    model = nn.Sequential(
        *(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.BatchNorm2d(32)),
        *(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.BatchNorm2d(64), nn.Flatten()),
        *(nn.LazyLinear(128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, len(classes))),
    )
    model(x_N1HW[:2])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(epochs):
        model.train()
        for rows_B in torch.randperm(len(y_N), generator=generator).split(32):
            x_B1HW = flip_and_rotate(x_N1HW[rows_B], hflip=True, rotation_deg=10, generator=generator)
            loss = nn.functional.cross_entropy(model(x_B1HW), y_N[rows_B])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        probs_NK = torch.cat([model(x).softmax(1) for x in test_x_N1HW.split(64)]).double().numpy()
    return macro_auroc(test.labels_N, probs_NK / probs_NK.sum(1, keepdims=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", default=",".join(PHANTOMS))
    parser.add_argument("--patients", type=int, default=100)
    parser.add_argument("--more-patients", type=int, default=400, help="for the second network; 0 leaves it out")
    parser.add_argument("--test-patients", type=int, default=60)
    parser.add_argument("--epochs", type=int, default=8, help="of the networks; 0 leaves them out")
    parser.add_argument("--image-px", type=int, default=64, help="of the networks")
    options = parser.parse_args()
    torch.set_num_threads(1)
    columns = ("mean", "max", "corners", "linear", "linear/modality", "cnn", "cnn, more", "s/100 patients")
    print(f"{'task':14}" + "".join(f"{column:>16}" for column in columns))
    for task in options.tasks.split(","):
        most = max(options.patients, options.more_patients)
        everyone, write_s = load(task, most, TRAIN_SEED, options.image_px)
        test, _ = load(task, options.test_patients, TEST_SEED, options.image_px)
        train = everyone.first(options.patients / most)
        modalities = np.unique(test.modalities_N)
        apart = [(train.where(train.modalities_N == m), test.where(test.modalities_N == m)) for m in modalities]
        row = [max(one_value_auroc(t.shortcuts[key], t.labels_N) for _, t in apart) for key in test.shortcuts]
        row += [linear_auroc(train, test), max(linear_auroc(*pair) for pair in apart)]
        for sample in (train, everyone) if options.epochs else ():
            row.append(network_auroc(sample, test, options.epochs))
        row += [float("nan")] * (len(columns) - 1 - len(row)) + [100 * write_s / most]
        print(f"{task:14}" + "".join(f"{value:16.3f}" for value in row), flush=True)


if __name__ == "__main__":
    main()
