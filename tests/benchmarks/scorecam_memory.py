"""How much memory Score-CAM takes, which holds a dimmed image per channel: at the last layer of a ResNet50, one image.

    PYTHONPATH=tests/support python tests/benchmarks/scorecam_memory.py [--network resnet50] [--image-px 224]

Printed: by how much it raises the most memory that the process ever had, over that of Grad-CAM. 5 minutes on one core.
"""

import argparse
import resource
import time

import torch

from trainables.catalog import default_hyperparameters
from trainables.explain.engine import explain
from trainables.explain.explainers import Explainer
from trainables.models import build_model


def most_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="resnet50")
    parser.add_argument("--image-px", type=int, default=224)
    options = parser.parse_args()
    torch.set_num_threads(1)
    name = f"timm/{options.network}"
    model = build_model(name, default_hyperparameters(name) | {"image_px": options.image_px}, 2).eval()
    image_1CHW = torch.rand(1, 1, options.image_px, options.image_px)
    for method in ("gradcam", "scorecam"):
        before_mib, started_s = most_mib(), time.process_time()
        grid = explain(model, image_1CHW, [1], Explainer(method)).grid
        growth_mib, spent_s = most_mib() - before_mib, time.process_time() - started_s
        print(f"{method}: map of {grid[0]} x {grid[1]}, {growth_mib:.0f} MiB more, {spent_s:.0f} s of processor time")


if __name__ == "__main__":
    main()
