"""What the maps of a model are worth: its explainers beside controls, and held against models of noise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from trainables.data.split_rows import SplitRow
from trainables.errors import ExplanationError
from trainables.evaluation.predictions import case_digest
from trainables.explain.cases import proved_cases, sanity_cases
from trainables.explain.cell_places import CellPlaces
from trainables.explain.engine import Explanation
from trainables.explain.explained import FAULTS, Explained, Masks, explain_cases, reason_of
from trainables.explain.explainers import Explainer
from trainables.explain.faithfulness import Predict
from trainables.explain.map_warnings import MapVerdict
from trainables.explain.private_copy import private_copy
from trainables.explain.proof import MapScores, ProofCase, ProofSettings, prove_image
from trainables.explain.proof_summary import ExplainerSummary, summarise_proof
from trainables.explain.sanity import DEPTHS, RandomisationTest, randomisation_test, shift_stability
from trainables.explain.settings import ExplanationSettings
from trainables.inference import logits_of


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
    masks: Masks,
    settings: ExplanationSettings,
) -> tuple[list[MapScores], list[ProvedExplainer], list[str]]:
    """Return a row per case, explainer and control, a verdict per explainer, and why some explainers have none.

    The class is the predicted one. `masks` holds the lesions that are known. Of a case of several images only the one
    changes that a map lies on.
    """
    marked = {case for case, _ in masks}
    cases = proved_cases(rows, [n in marked for n in range(len(rows))], settings.seed, settings.proved)
    if not explainers or not cases:
        return [], [], []
    few = sanity_cases(rows, cases, settings.seed, settings.tested)
    proof = ProofSettings(steps=settings.removal_steps, seed=settings.seed)
    has_road = {*_road_cases(settings, explained.images_NMHW.shape[2], cases, few)}
    predict = predict_with(explained.model)
    classes = [int(k) for k in predict(explained.input_of(cases)).argmax(dim=1)]
    maps: dict[str, Explanation] = {}
    failed: list[str] = []
    for one in explainers:
        try:
            maps |= explained.maps([one], cases, classes)
        except FAULTS as fault:
            failed.append(f"proof of {one.name}: {reason_of(fault)}")
    places = {name: one.places for name, one in maps.items()}
    scores: list[MapScores] = []
    for place, n in enumerate(cases):
        case = ProofCase(
            image=case_digest([rows[n].sha256, rows[n].second_sha256]),
            index=n,
            group=rows[n].group,
            is_correct=classes[place] == rows[n].label,
            class_index=classes[place],
        )
        own = proof if n in has_road else replace(proof, percentiles=())
        scores += prove_case(predict, explained.input_of([n])[0], maps, place, case, masks, own)
    summaries = {one.explainer: one for one in summarise_proof(scores, settings.seed)}
    of_few = [classes[cases.index(n)] for n in few]
    proved: list[ProvedExplainer] = []
    for one in (explainer for explainer in explainers if explainer.name in maps):
        try:
            proved.append(_proved(explained, one, summaries[one.name], few, of_few, places[one.name], settings))
        except FAULTS as fault:
            failed.append(f"proof of {one.name}: {reason_of(fault)}")
    return scores, proved, failed


def _road_cases(
    settings: ExplanationSettings, side_px: int, proved: Sequence[int], tested: Sequence[int]
) -> Sequence[int]:
    if not settings.most_road_px:
        return []
    return proved if side_px <= settings.most_road_px else tested


def road_sentence(scores: Sequence[MapScores]) -> str:
    """Return of how many of the proved images ROAD is, and why not of all."""
    images = {row.image for row in scores}
    judged = {row.image for row in scores if row.road_morf is not None}
    if not images:
        return "ROAD: no image was proved"
    if not judged:
        return "ROAD: left out, as it takes seconds a map"
    why = "" if judged == images else ", as it takes seconds a map of this size"
    return f"ROAD: of {len(judged)} of {len(images)} proved images{why}"


def prove_case(
    predict: Predict,
    x_MHW: torch.Tensor,
    maps: Mapping[str, Explanation],
    place: int,
    case: ProofCase,
    masks: Masks,
    settings: ProofSettings,
) -> list[MapScores]:
    """Return the scores of every explainer's map of a case, each on its own image, the others as they are.

    `place` is the case's among the maps; `masks` are asked by its index.
    """
    scores: list[MapScores] = []
    for image in sorted({one.image for one in maps.values()}):
        own = {name: one for name, one in maps.items() if one.image == image}
        scores += prove_image(
            _holding(predict, x_MHW, image),
            x_MHW[image : image + 1],
            {name: one.maps_BHW[place] for name, one in own.items()},
            replace(case, mask_HW=masks.get((case.index, image))),
            settings,
            {name: one.places for name, one in own.items()},
        )
    return scores


def predict_with(owned: nn.Module) -> Predict:
    """Return what gives a model's probabilities_BK of x_BMHW, both on the CPU; the model stays as it is."""
    model, device = private_copy(owned), next(owned.parameters()).device

    def predict(x_BMHW: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            logits_BK = logits_of(model, x_BMHW.to(device, torch.float32))
        return logits_BK.float().softmax(dim=1).cpu()

    return predict


def _holding(predict: Predict, x_MHW: torch.Tensor, image: int) -> Predict:
    """Return what gives probabilities_BK for variants_B1HW of one image of a case, the others as they are."""

    def with_variants(variants_B1HW: torch.Tensor) -> torch.Tensor:
        x_BMHW = x_MHW.expand(len(variants_B1HW), -1, -1, -1).clone()
        x_BMHW[:, image] = variants_B1HW[:, 0]
        return predict(x_BMHW)

    return with_variants


def _proved(
    explained: Explained,
    explainer: Explainer,
    summary: ExplainerSummary,
    cases: Sequence[int],
    classes: Sequence[int],
    places: CellPlaces,
    settings: ExplanationSettings,
) -> ProvedExplainer:
    x_BMHW = explained.input_of(cases)
    images = x_BMHW[:, explainer.image : explainer.image + 1]

    def by_model(model: nn.Module) -> np.ndarray:
        return explain_cases(model, x_BMHW, classes, explainer).maps_BHW

    def of_images(moved_B1HW: torch.Tensor) -> np.ndarray:
        moved_BMHW = x_BMHW.clone()
        moved_BMHW[:, explainer.image] = moved_B1HW[:, 0]
        return explain_cases(explained.model, moved_BMHW, classes, explainer).maps_BHW

    stability = shift_stability(of_images, images, places) if settings.by_steps else []
    stable = [value for value in stability if value is not None]
    depths = DEPTHS if settings.by_steps else DEPTHS[-1:]
    try:
        test = randomisation_test(by_model, explained.model, images, settings.seed, depths=depths, places=places)
    except ExplanationError as error:  # of a model of noise: its logits may be no numbers
        test = RandomisationTest((), None, f"layer randomisation: {error}")
    return ProvedExplainer(summary, test, float(np.mean(stable)) if stable else None)
