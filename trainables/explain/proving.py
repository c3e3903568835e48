"""What the maps of a model are worth: its explainers beside controls, and held against models of noise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import nn

from trainables.data.split_rows import SplitRow
from trainables.errors import ExplanationError
from trainables.evaluation.predictions import case_digest
from trainables.explain.cases import proved_cases, sanity_cases
from trainables.explain.cell_places import CellPlaces
from trainables.explain.engine import explain
from trainables.explain.explained import Explained
from trainables.explain.explainers import Explainer
from trainables.explain.faithfulness import Predict
from trainables.explain.map_warnings import MapVerdict
from trainables.explain.private_copy import private_copy
from trainables.explain.proof import MapScores, ProofCase, ProofSettings, prove_image
from trainables.explain.proof_summary import ExplainerSummary, summarise_proof
from trainables.explain.sanity import DEPTHS, RandomisationTest, randomisation_test, shift_stability
from trainables.explain.settings import ExplanationSettings


@dataclass(frozen=True)
class ProvedExplainer:
    """What is known of an explainer: figures beside controls, whether it hangs on the model, how still it stands.

    The last is None where it was not asked for, or no map can tell.
    """

    summary: ExplainerSummary
    randomisation: RandomisationTest
    shift_stability: float | None

    @property
    def verdict(self) -> MapVerdict:
        """Return what both tests said."""
        one, noise = self.summary, self.randomisation
        return MapVerdict(one.beats_controls, one.sentence, noise.passed, noise.sentence)


def prove(
    explained: Explained,
    explainers: Sequence[Explainer],
    rows: Sequence[SplitRow],
    masks: Mapping[int, np.ndarray],
    settings: ExplanationSettings,
) -> tuple[list[MapScores], list[ProvedExplainer]]:
    """Return a row per image, explainer and control, and a verdict per explainer; the class is the predicted one.

    `masks` holds the lesions that are known, by the number of their row.
    """
    cases = proved_cases(rows, [n in masks for n in range(len(rows))], settings.seed, settings.proved)
    if not explainers or not cases:
        return [], []
    proof = ProofSettings(steps=settings.removal_steps, seed=settings.seed)
    if explained.images_NHW.shape[1] > settings.most_road_px:
        proof = replace(proof, percentiles=())
    predict = predict_with(explained.model)
    classes = [int(k) for k in predict(explained.input_of(cases)).argmax(dim=1)]
    maps = explained.maps(explainers, cases, classes)
    places = {name: one.places for name, one in maps.items()}
    scores: list[MapScores] = []
    for place, n in enumerate(cases):
        case = ProofCase(
            image=case_digest([rows[n].sha256, rows[n].second_sha256]),
            index=n,
            group=rows[n].group,
            is_correct=classes[place] == rows[n].label,
            class_index=classes[place],
            mask_HW=masks.get(n),
        )
        own = {name: one.maps_BHW[place] for name, one in maps.items()}
        scores += prove_image(predict, explained.input_of([n])[0], own, case, proof, places)
    summaries = {one.explainer: one for one in summarise_proof(scores, settings.seed)}
    few = sanity_cases(rows, cases, settings.seed, settings.tested)
    of_few = [classes[cases.index(n)] for n in few]
    return scores, [
        _proved(explained, one, summaries[one.name], few, of_few, places[one.name], settings) for one in explainers
    ]


def predict_with(owned: nn.Module) -> Predict:
    """Return what gives a model's probabilities_BK of images_BCHW, both on the CPU; the model stays as it is."""
    model, device = private_copy(owned), next(owned.parameters()).device

    def predict(images_BCHW: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            logits_BK: torch.Tensor = model(images_BCHW.to(device, torch.float32))
        return logits_BK.float().softmax(dim=1).cpu()

    return predict


def _proved(
    explained: Explained,
    explainer: Explainer,
    summary: ExplainerSummary,
    cases: Sequence[int],
    classes: Sequence[int],
    places: CellPlaces,
    settings: ExplanationSettings,
) -> ProvedExplainer:
    images = explained.input_of(cases)
    by_model = partial(_maps, images_BCHW=images, classes=classes, explainer=explainer)
    of_images = partial(_maps, explained.model, classes=classes, explainer=explainer)
    stability = shift_stability(of_images, images, places) if settings.by_steps else []
    stable = [value for value in stability if value is not None]
    depths = DEPTHS if settings.by_steps else DEPTHS[-1:]
    try:
        test = randomisation_test(by_model, explained.model, images, settings.seed, depths=depths, places=places)
    except ExplanationError as error:  # of a model of noise: its logits may be no numbers
        test = RandomisationTest((), None, f"layer randomisation: {error}")
    return ProvedExplainer(summary, test, float(np.mean(stable)) if stable else None)


def _maps(model: nn.Module, images_BCHW: torch.Tensor, classes: Sequence[int], explainer: Explainer) -> np.ndarray:
    return explain(model, images_BCHW, classes, explainer).maps_BHW
