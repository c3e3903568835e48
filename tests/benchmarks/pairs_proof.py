"""What maps of a model of two images are worth, on phantoms whose class only both images together tell.

    .venv/bin/python tests/benchmarks/pairs_proof.py [--epochs 50] [--patients 420]

Trains `cross_modal` at 32 px on the combination phantom (two minutes on a core), then prints, for both images, how
often each map's peak lies in the mass, and deletion, beside a random map and a spot in the middle.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from trainables.catalog import TASKS, architecture, default_hyperparameters
from trainables.data.cache import open_cases
from trainables.data.phantom.ct_mri_combination import write_ct_mri_combination_phantom
from trainables.data.prepare import PreparedData, prepare_data
from trainables.data.sides import SplitRequest
from trainables.data.views import View
from trainables.evaluation.repairing import repairing
from trainables.evaluation.trial_files import BEST_WEIGHTS
from trainables.explain.explained import Explained
from trainables.explain.explainers import Explainer
from trainables.explain.masks import LesionMasks
from trainables.explain.proving import prove
from trainables.explain.settings import ExplanationSettings
from trainables.inference import predict_logits
from trainables.models import build_model, load_weights
from trainables.training.development import load_development
from trainables.training.loop import train
from trainables.training.run import TrainingRun

VIEW = View(32)
CHANGES = {
    "image_px": VIEW.side_px, "embed_dim": 32, "encoder_stages": 3, "stem_width": 16, "sa_layers": 0, "lr": 3e-3,
    "batch_size": 16, "fusion": "gated", "hflip": False, "rotation_deg": 0.0, "dropout": 0.0, "block_dropout": 0.0,
    "early_stop_patience": 0,
}  # fmt: skip
FURTHER = [
    Explainer(method, layer and f"{branch}.{layer}", f"{branch} {method} {layer}", image=image)
    for image, branch in enumerate(("ct", "mri"))
    for method, layer in (
        ("hirescam", "encoder.stages.-1.2"),
        ("hirescam", "encoder.stages.-2.2"),
        ("occlusion", ""),
    )
]


def trained(data: PreparedData, folder: Path, epochs: int) -> torch.nn.Module:
    hyperparameters = default_hyperparameters("cross_modal") | CHANGES
    run = TrainingRun(
        architecture="cross_modal", hyperparameters=hyperparameters, num_classes=2, pretrained=False, epochs=epochs,
        seed=0, metric="auroc", device="cpu", folder=folder,
    )  # fmt: skip
    for record in train(run, load_development(data.development.rows, data.development.arrays[VIEW.name], "cpu")):
        print(f"\repoch {record.epoch}: validation AUROC {record.metrics['val/auroc']:.3f}", end="", flush=True)
    print()
    model = build_model("cross_modal", hyperparameters, 2)
    load_weights(model, folder / BEST_WEIGHTS)
    return model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--patients", type=int, default=420)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        write_ct_mri_combination_phantom(root / "set", patients=asked.patients)
        request = SplitRequest(kind=None, folds=1, seed=0)
        task, table = TASKS["tumor_ct_mri"], root / "set" / "manifest.csv"
        data = prepare_data(task, table, [VIEW], request, root / "cache", lambda *heard: None)
        model, rows = trained(data, root, asked.epochs), data.test.rows
        images_NMHW = open_cases(data.test.arrays[VIEW.name], len(rows))

        def with_partners(partner_N: np.ndarray) -> np.ndarray:
            shown = np.stack([images_NMHW[:, 0], images_NMHW[partner_N, 1]], axis=1)
            return predict_logits(model, torch.from_numpy(shown), torch.arange(len(rows)))

        labels_N, groups_N = np.array([row.label for row in rows]), np.array([row.group for row in rows])
        right = float((with_partners(np.arange(len(rows))).argmax(axis=1) == labels_N).mean())
        shuffled = repairing(with_partners, labels_N, groups_N, 0).metrics["accuracy"]
        print(f"test accuracy {right:.3f}; partners shuffled {shuffled[0]:.3f} [{shuffled[1]:.2f}, {shuffled[2]:.2f}]")
        find = LesionMasks(data.examined.data_set.root).find
        found = {
            (n, image): find(path, VIEW)
            for n, row in enumerate(rows)
            for image, path in enumerate((row.path, row.second_path))
        }
        masks = {place: mask_HW for place, mask_HW in found.items() if mask_HW is not None}
        explained = Explained(architecture("cross_modal"), model, images_NMHW)
        settings = replace(ExplanationSettings(), proved=len(rows), most_road_px=0)
        _, proved, _ = prove(explained, [*explained.architecture.explainers, *FURTHER], rows, masks, settings)
        for one in proved:
            figures = one.summary.all_images
            told = "; ".join(
                f"{name} " + " / ".join(f"{figures[source][name].value:.2f}" for source in ("map", "random", "centre"))
                for name in ("pointing", "deletion")
            )
            print(f"{one.summary.explainer}: {told}")


if __name__ == "__main__":
    main()
