"""Images per second of one training process, beside the same step on ready tensors and beside the usual data path.

    PYTHONPATH=tests/support python tests/benchmarks/training_throughput.py [--threads 1] [--device cuda] [--help]

Three ways to feed the same model, in turns within one run so that a busy machine slows all of them alike:
ours (decoded uint8 in memory, augmented as a batch), the bare step (one ready batch again and again), and what
notebooks do (each file opened with PIL, torchvision transforms per sample). Printed: images/s and ratios.
"""

import argparse
import io
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import v2

from trainables.catalog import default_hyperparameters
from trainables.data.augmentation import augment
from trainables.inference import to_input
from trainables.training.development import DevelopmentData
from trainables.training.learner import Learner
from trainables.training.run import TrainingRun

SMALL = [
    ("baseline_cnn", {"image_px": 128, "batch_size": 32, "hflip": True, "rotation_deg": 10.0}),
    ("resnet_vit", {"resnet": "resnet10t", "vit": "vit_tiny_patch16_224", "image_px": 64, "batch_size": 16}),
    ("resnet_vit", {"resnet": "resnet18", "vit": "vit_tiny_patch16_224", "image_px": 224, "batch_size": 16}),
]
LARGE = [("resnet_vit", {"image_px": 224, "batch_size": 32})]  # ResNet50 and ViT-B/16, as published
STORED_PX = 256  # side of the files that the usual path opens


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{'architecture':14} {'px':>4} {'batch':>5} {'ours/s':>9} {'bare/s':>9} {'PIL/s':>9}  lost  ours/PIL")
    for architecture, changes in [*SMALL, *(LARGE if options.device == "cuda" else [])]:
        hyperparameters = default_hyperparameters(architecture) | changes
        rates = measure(architecture, hyperparameters, options.device, options.images, options.rounds)
        lost = statistics.median(1 - ours / bare for ours, bare, _ in rates)
        gain = statistics.median(ours / usual for ours, _, usual in rates)
        ours, bare, usual = (statistics.median(column) for column in zip(*rates, strict=True))
        sizes = f"{hyperparameters['image_px']:4d} {hyperparameters['batch_size']:5d}"
        print(f"{architecture:14} {sizes} {ours:9.1f} {bare:9.1f} {usual:9.1f} {lost:6.1%} {gain:6.2f}")


def measure(architecture: str, by: dict, device: str, images: int, rounds: int) -> list[tuple[float, float, float]]:
    side_px = by["image_px"]
    generator = np.random.default_rng(0)
    images_NHW = torch.from_numpy(generator.integers(0, 256, (images, side_px, side_px), dtype=np.uint8)).to(device)
    rows = torch.arange(images)
    data = DevelopmentData(
        images_NMHW=images_NHW[:, None], labels_N=(rows % 2).to(device), training_rows=rows, validation_rows=rows[:2]
    )
    run = TrainingRun(
        architecture=architecture, hyperparameters=by, num_classes=2, pretrained=False, epochs=1000, seed=0,
        metric="auroc", device=device, folder=Path(),
    )  # fmt: skip
    learner = Learner(run, data)
    batches = list(rows.to(device).split(by["batch_size"]))
    take = max(1, min(len(batches), 256 // by["batch_size"] if device == "cpu" else len(batches)))
    ready_BCHW = augment(to_input(images_NHW[batches[0]][:, None]), learner._augmentation, learner._draws)
    plain_B = torch.zeros(by["batch_size"], dtype=torch.bool, device=device)
    files = [png(generator) for _ in range(by["batch_size"])]
    transforms = v2.Compose(
        [v2.Grayscale(), v2.Resize((side_px, side_px)), v2.RandomHorizontalFlip(), v2.RandomRotation(10),
         v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
    )  # fmt: skip

    def ours(batch: int) -> None:
        learner._take_step(batches[batch], data.labels_N[batches[batch]], plain_B[: len(batches[batch])], 1)

    def bare(batch: int) -> None:
        step(learner, ready_BCHW, data.labels_N[: len(ready_BCHW)])

    def usual(batch: int) -> None:
        x_BCHW = torch.stack([transforms(Image.open(io.BytesIO(file))) for file in files]).to(device)
        step(learner, x_BCHW, data.labels_N[: len(x_BCHW)])

    learner._prepare(1)
    for way in (ours, bare, usual):
        way(0)
    return [
        tuple(take * by["batch_size"] / seconds(way, take, device) for way in (ours, bare, usual))
        for _ in range(rounds)
    ]


def step(learner: Learner, x_BCHW: torch.Tensor, labels_B: torch.Tensor) -> None:
    learner._optimizer.zero_grad(set_to_none=True)
    learner._backward(x_BCHW, labels_B)
    learner._optimizer.step()


def seconds(way: Callable[[int], None], batches: int, device: str) -> float:
    started_s = time.perf_counter()
    for batch in range(batches):
        way(batch)
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started_s


def png(generator: np.random.Generator) -> bytes:
    """Return a file as a scanner's picture compresses: smooth, with some noise."""
    y, x = np.mgrid[0:STORED_PX, 0:STORED_PX]
    smooth_HW = 120 + 80 * np.sin(x / 40) * np.cos(y / 50) + generator.normal(0, 4, (STORED_PX, STORED_PX))
    content = io.BytesIO()
    Image.fromarray(smooth_HW.clip(0, 255).astype(np.uint8)).save(content, "PNG")
    return content.getvalue()


if __name__ == "__main__":
    main()
