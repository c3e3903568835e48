"""Do explanations show what a network goes by: a planted lesion, each map beside maps that know nothing.

    PYTHONPATH=tests/support python tests/benchmarks/explanation_proof.py --keep FOLDER [--road] [--help]

Networks learn stroke or not from random weights, and are kept in FOLDER. Explained is the class stroke, on held-out
images with a lesion. A cell is the map's mean / that of random maps / that of a bump in the middle, on its grid.
Verdict: `summarise_proof`. alike: mean |rank correlation| with the map of a network of noise. still: that with the map
of the image moved by 1 px. follows: share of heads, drawn twice with the lesion on either side, in both of which the
peak is nearer to where the lesion is than to where it is not (0.25 by chance). off: median of peak minus middle of the
lesion, px down and right. First comes what a perfect map would reach. One core: 18 minutes to train, 16 to prove.
"""

import argparse
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from lesion_support import HeldOut, MovedLesions, follows, held_out, middle, moved_lesions, peak, trained
from sklearn.metrics import roc_auc_score
from torch import nn

from trainables.catalog import architecture, default_hyperparameters
from trainables.explain.cases import proved_cases
from trainables.explain.cell_places import CellPlaces, evenly
from trainables.explain.engine import Explanation, explain
from trainables.explain.explained import Explained
from trainables.explain.explainers import Explainer
from trainables.explain.localisation import is_blank
from trainables.explain.panels import Panel, draw_panel
from trainables.explain.proof import FIGURES, ProofCase, ProofSettings, prove_image
from trainables.explain.proof_summary import ExplainerSummary, Means, summarise_proof
from trainables.explain.sanity import randomisation_test, shift_stability
from trainables.inference import predict_logits

SIDE_PX, STROKE, FEW, MOVED_PATIENTS, STEPS = 96, 1, 3, 4, 10
COMMON = {"image_px": SIDE_PX, "normalise": "half", "lr_schedule": "cosine", "warmup_fraction": 0.15, "lr": 5e-4}
COMMON |= {"weight_decay": 0.05, "shift_fraction": 0.05}
NETWORKS = {  # name -> what differs from COMMON, epochs
    "resnet_vit": ({"resnet": "resnet18", "vit": "vit_tiny_patch16_224", "hidden": 64}, 8),
    "timm/resnet18": ({}, 8),
    "timm/convnext_atto": ({"lr": 1e-3}, 28),
    "timm/vit_tiny_patch16_224": ({}, 20),
}
CAMS = ("gradcam", "gradcam++", "hirescam", "layercam", "xgradcam", "eigencam", "randomcam")
ATTENTION = ("relevance", "rollout")
CNN, FINE = ("gradcam", "layercam"), ("layercam", "hirescam", "scorecam")
EXPLAINERS = {  # methods at layers: of the CNNs the last one (32 px a cell), the stage before (16 px) and one of 8 px
    "resnet_vit": [(CNN, "cnn"), (CAMS, "cnn.layer3"), (FINE, "cnn.layer2"), ((*ATTENTION, "gradcam"), "vit")],
    "timm/resnet18": [(CNN, "backbone"), (CAMS, "backbone.layer3"), (FINE, "backbone.layer2")],
    "timm/convnext_atto": [(CNN, "backbone"), (CAMS, "backbone.stages.2"), (FINE, "backbone.stages.1")],
    "timm/vit_tiny_patch16_224": [((*ATTENTION, *CAMS, "scorecam"), "backbone")],
}
SHOWN = ("gradcam cnn", "hirescam cnn.layer2", "relevance vit", "rollout vit")  # in the panels
SHOWN += ("gradcam", "hirescam layer2", "hirescam stages.1", "relevance", "rollout", "occlusion")
Found = dict[str, Explanation]


def explainers_of(name: str) -> list[Explainer]:
    pairs = [(method, layer) for methods, layer in EXPLAINERS[name] for method in methods]
    names = [f"{method} {layer.removeprefix('backbone').strip('.')}".strip() for method, layer in pairs]
    named = [Explainer(*pair, name=own) for pair, own in zip(pairs, names, strict=True)]
    return [*named, Explainer("occlusion", name="occlusion")]


@dataclass(frozen=True)
class Judged:
    """A network, its held-out images, which of those it gets right, and the cases whose maps are proved."""

    explained: Explained
    side: HeldOut
    is_right_N: np.ndarray
    cases: list[int]
    auroc: float

    @classmethod
    def of(cls, name: str, keep: Path, most_images: int) -> "Judged":
        changes, epochs = NETWORKS[name]
        model = trained(name, default_hyperparameters(name) | COMMON | changes, epochs, keep)
        side = held_out(keep / "phantom", SIDE_PX)
        logits_NK = predict_logits(model, torch.from_numpy(side.images_NHW)[:, None], torch.arange(len(side.rows)))
        labels_N, lesions = np.array([row.label for row in side.rows]), list(side.masks)
        chosen = proved_cases([side.rows[n] for n in lesions], [True] * len(lesions), 0, most_images)
        explained = Explained(architecture(name), model, side.images_NHW[:, None])
        is_right_N, auroc = logits_NK.argmax(axis=1) == labels_N, float(roc_auc_score(labels_N, logits_NK @ [-1, 1]))
        return cls(explained, side, is_right_N, [lesions[place] for place in chosen], auroc)

    @property
    def lesions(self) -> Explanation:
        """Return what a perfect map would be."""
        masks_BHW = np.stack([self.side.masks[n] for n in self.cases]).astype(np.float32)
        whole = evenly((SIDE_PX, SIDE_PX), (SIDE_PX, SIDE_PX))
        return Explanation(masks_BHW, np.full(len(self.cases), STROKE), np.zeros((len(self.cases), 2)), "", "", whole)

    def prove(self, found: Found, road: bool) -> list[ExplainerSummary]:
        def predict(images_BCHW: torch.Tensor) -> torch.Tensor:
            with torch.inference_mode():
                return self.explained.model(images_BCHW).softmax(dim=1)

        settings = ProofSettings(steps=STEPS) if road else ProofSettings(steps=STEPS, percentiles=())
        scores, lie = [], {name: one.places for name, one in found.items()}
        for place, n in enumerate(self.cases):
            row, is_right = self.side.rows[n], bool(self.is_right_N[n])
            about = {"image": row.path, "index": n, "group": row.group, "is_correct": is_right}
            case = ProofCase(**about, class_index=STROKE, mask_HW=self.side.masks[n])
            own = {name: one.maps_BHW[place] for name, one in found.items()}
            scores += prove_image(predict, self.explained.input_of([n])[0], own, case, settings, lie)
        return summarise_proof(scores)


def of_stroke(model: nn.Module, images_BCHW: torch.Tensor, explainer: Explainer) -> Explanation:
    return explain(model, images_BCHW, [STROKE] * len(images_BCHW), explainer)


def maps_of(model: nn.Module, images_BCHW: torch.Tensor, explainer: Explainer) -> np.ndarray:
    return of_stroke(model, images_BCHW, explainer).maps_BHW


def checks(
    explainer: Explainer, model: nn.Module, few_BCHW: torch.Tensor, moved: MovedLesions, places: CellPlaces
) -> str:
    by_model = partial(maps_of, images_BCHW=few_BCHW, explainer=explainer)
    test = randomisation_test(by_model, model, few_BCHW, seed=0, depths=(1,), places=places)
    alike = test.steps[-1].alike if test.steps else None
    still = shift_stability(partial(maps_of, model, explainer=explainer), few_BCHW, places)
    kept = [value for value in still if value is not None]
    values = (
        np.nan if alike is None else alike,
        np.mean(kept) if kept else np.nan,
        follows(model, explainer, moved, STROKE),
    )
    return "".join(f"{value:8.2f}" for value in values)


def cells(means: Means, figures: list[str]) -> str:
    def cell(figure: str) -> str:
        values = [means[source][figure].value for source in ("map", "random", "centre")]
        return "/".join("-" if value is None else f"{value:.2f}".removeprefix("0") for value in values)

    return f"{means['map']['pointing'].images:7}" + "".join(f"{cell(figure):>15}" for figure in figures)


def off(judged: Judged, own: Explanation) -> str:
    shown = [place for place, map_hw in enumerate(own.maps_BHW) if not is_blank(map_hw)]
    gaps = [
        peak(own.on_image(place, (SIDE_PX, SIDE_PX))) - middle(judged.side.masks[judged.cases[place]])
        for place in shown
    ]
    return "{:+5.0f}{:+4.0f}".format(*np.median(gaps, axis=0)) if gaps else f"{'-':>9}"


def report(name: str, keep: Path, most_images: int, road: bool) -> None:
    """Print a network's table and draw its panels."""
    judged, moved = Judged.of(name, keep, most_images), moved_lesions(MOVED_PATIENTS, SIDE_PX)
    model, images_BCHW = judged.explained.model, judged.explained.input_of(judged.cases)
    found, ends = {"(the lesion itself)": judged.lesions}, {"(the lesion itself)": ""}
    for explainer in explainers_of(name):
        started_s = time.process_time()
        own = found[explainer.name] = of_stroke(model, images_BCHW, explainer)
        each_s = (time.process_time() - started_s) / len(judged.cases)
        tests = checks(explainer, model, images_BCHW[:FEW], moved, own.places)
        ends[explainer.name] = f"{each_s:9.2f}{tests}{off(judged, own)}"
    summaries = judged.prove(found, road)
    print(f"\n{name}: test AUROC {judged.auroc:.3f}, explained are {len(judged.cases)} images with a lesion")
    figures = [figure for figure in FIGURES if road or not figure.startswith("road")]
    titles = "".join(f"{figure:>15}" for figure in figures) + "  s/image   alike   still follows      off"
    print(f"{'explainer':24}{'beats':>6} images{titles}")
    for one in summaries:
        verdict = {True: "yes", False: "no", None: "?"}[one.beats_controls]
        print(f"{one.explainer:24}{verdict:>6}{cells(one.all_images, figures)}{ends[one.explainer]}")
        print(f"{'  correct ones':30}{cells(one.correct_only, figures)}", flush=True)
    draw(keep, judged, found, summaries)


def draw(keep: Path, judged: Judged, found: Found, summaries: list[ExplainerSummary]) -> None:
    """Write a panel of a right answer of each modality, the middle one of its cases."""
    name, rows = judged.explained.architecture.name, judged.side.rows
    failed = [one.sentence for one in summaries if one.explainer in SHOWN and one.beats_controls is False]
    for modality in ("BT", "MR"):
        right = [k for k, n in enumerate(judged.cases) if judged.is_right_N[n] and rows[n].modality == modality]
        for place in right[len(right) // 2 : len(right) // 2 + 1]:
            n = judged.cases[place]
            views = {shown: found[shown].on_image(place, (SIDE_PX, SIDE_PX)) for shown in SHOWN if shown in found}
            fused = ("gradcam cnn", "relevance vit", 0.6) if name == "resnet_vit" else None
            title = f"{name}, {rows[n].path}: true stroke, predicted stroke"
            panel = Panel([judged.side.images_NHW[n]], views, title, failed, fused)
            draw_panel(keep / f"panel_{name.replace('/', '_')}_{modality}.png", panel)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, required=True, help="folder of the phantom, the weights and the panels")
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--images", type=int, default=24, help="with a lesion, whose maps are proved")
    parser.add_argument("--road", action="store_true", help="add ROAD, seconds a map")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.networks.split(","):
        report(name, options.keep, options.images, options.road)


if __name__ == "__main__":
    main()
