"""Panels of some cases, what they rest on as a table, and their raw maps."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from trainables.data.decoding import Progress
from trainables.explain.components import BranchShare, MapAgreement, branch_shares, map_agreement
from trainables.explain.engine import Explanation
from trainables.explain.explained import FAULTS, Explained, reason_of
from trainables.explain.explainers import METHODS, BranchPair, Explainer
from trainables.explain.localisation import head_mask
from trainables.explain.map_warnings import idle_branch, of_any_class
from trainables.explain.panels import COLORMAP, Panel, draw_panel

CASES_FILE = "cases.csv"
MAPS_FILE = "maps.npz"
BATCH = 16  # cases at once: the model is copied for each batch and explainer


@dataclass(frozen=True)
class Case:
    """A case by its number in the side, the class that is explained, and what is said of it.

    `name` begins its panel's file and its maps; `about` are cells of its row. `exponent` is what is drawn to the power
    of, 1 for none.
    """

    name: str
    number: int
    class_index: int
    title: str
    about: Mapping[str, str]
    exponent: float = 1.0


@dataclass(frozen=True)
class Reference:
    """The cases that stand for "nothing special" where a branch is taken out, and what they are in words."""

    x_NMHW: torch.Tensor
    named: str


def write_panels(
    folder: Path,
    explained: Explained,
    explainers: Sequence[Explainer],
    cases: Sequence[Case],
    reference: Reference,
    warnings: Sequence[str] = (),
    colormap: str = COLORMAP,
    progress: Progress | None = None,
) -> None:
    """Write panel_<name>.png for each case, cases.csv with a row for each, and maps.npz ("<name>/<explainer>").

    `warnings` are said in every panel, as is which maps are of any class. A batch of cases is explained at a time.
    Raises ExplanationError; table and maps are then of the panels that are there.
    """
    rows: list[dict[str, str]] = []
    raw: dict[str, np.ndarray] = {}
    warnings = [*warnings, *of_any_class(explainers)]
    try:
        for start in range(0, len(cases), BATCH):
            own = cases[start : start + BATCH]
            for row, maps in _write_batch(folder, explained, explainers, own, reference, warnings, colormap):
                rows.append(row)
                raw |= maps
            if progress is not None:
                progress("explaining", start + len(own), len(cases))
    finally:
        if rows:
            write_table(folder / CASES_FILE, rows)
            np.savez_compressed(folder / MAPS_FILE, allow_pickle=False, **raw)


def _write_batch(
    folder: Path,
    explained: Explained,
    explainers: Sequence[Explainer],
    cases: Sequence[Case],
    reference: Reference,
    warnings: Sequence[str],
    colormap: str,
) -> Iterator[tuple[dict[str, str], dict[str, np.ndarray]]]:
    """Write the panels of some cases; yield the row and the raw maps of each that is written."""
    numbers, classes = [case.number for case in cases], [case.class_index for case in cases]
    maps = explained.maps(explainers, numbers, classes)
    pair = explained.architecture.pair
    shares: Sequence[BranchShare | None] = [None] * len(cases)
    no_share = ""
    of_branches: dict[str, list[str]] = {}
    if pair is not None:
        of_branches = {branch: [one.name for one in explainers if _is_of(one, branch)] for branch in pair.branches}
        inputs = explained.input_of(numbers)
        try:
            shares = branch_shares(explained.model, inputs, classes, reference.x_NMHW, pair.branches)
        except FAULTS as fault:
            no_share = f"What each branch gives to the answer is not known: {reason_of(fault)}."
    for place, (case, share) in enumerate(zip(cases, shares, strict=True)):
        images_MHW = explained.images_NMHW[case.number]
        notes, row = [*warnings, _legend(explainers, maps)], dict(case.about)
        image_hw = (images_MHW.shape[1], images_MHW.shape[2])
        own = {name: one.on_image(place, image_hw) for name, one in maps.items()}
        fused = None
        blank = [name for name, one in maps.items() if one.no_positive_evidence_B[place]]
        row["no_positive_evidence"] = ", ".join(blank)
        if pair is not None:
            alike = None
            if {pair.first, pair.second} <= set(maps) and maps[pair.first].image == maps[pair.second].image:
                fused = pair.first, pair.second, pair.weight
                head_HW = head_mask(images_MHW[maps[pair.first].image] / 255)
                alike = map_agreement(own[pair.first], own[pair.second], head_HW if head_HW.any() else None)
            row |= _component_cells(pair, share, alike)
            parts = {} if share is None else dict(zip(pair.branches, share.shapley, strict=True))
            given = no_share if share is None else _share_words(pair, share, reference.named)
            notes = [f"{_alike_words(pair, alike)}{given}", *idle_branch(parts, of_branches), *notes]
        if case.exponent != 1:
            notes = [*notes, f"Drawn to the power of {case.exponent:g}, its class's weight: a display, no evidence."]
        on = {name: one.image for name, one in maps.items()}
        named = explained.architecture.image_names
        panel = Panel(images_MHW, own, case.title, notes, fused, case.exponent, on, named)
        draw_panel(folder / f"panel_{case.name}.png", panel, colormap)
        yield row, {f"{case.name}/{name}": one.maps_BHW[place] for name, one in maps.items()}


def _legend(explainers: Sequence[Explainer], maps: Mapping[str, Explanation]) -> str:
    """Return what each map is, by method and layer."""
    told = []
    for one in explainers:
        found = maps[one.name]
        layer = f" at {found.layer}" if found.layer else ""
        shows = f", {one.shows}" if one.shows else ""
        told.append(f"{one.name}: {METHODS[found.method].title}{layer}{shows}")
    return f"{'; '.join(told)}."


def _is_of(explainer: Explainer, branch: str) -> bool:
    return f"{explainer.layer}.".startswith(f"{branch}.")


def write_table(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows of the same columns as CSV; nothing where there are none."""
    if not rows:
        return
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _component_cells(pair: BranchPair, share: BranchShare | None, alike: MapAgreement | None) -> dict[str, str]:
    one, other = pair.names
    first, second = (None, None) if share is None else share.shapley
    cells = {
        "rank_correlation": None if alike is None else alike.rank_correlation,
        "top_20_overlap": None if alike is None else alike.top_overlap,
        f"feature_norm_share_{one}": None if share is None else share.norm_share,
        f"shapley_{one}": first,
        f"shapley_{other}": second,
        "logit_above_baseline": None if share is None else share.above_baseline,
    }
    return {name: "" if value is None else repr(value) for name, value in cells.items()}


def _alike_words(pair: BranchPair, alike: MapAgreement | None) -> str:
    """Say whether both maps agree, where both are shown."""
    if alike is None:
        return ""
    if alike.rank_correlation is None or alike.top_overlap is None:
        return f"{pair.first} or {pair.second}: the same everywhere. "
    return (
        f"{pair.first} and {pair.second}: rank correlation {alike.rank_correlation:.2f}, "
        f"top 20 % overlap {alike.top_overlap:.0%}. "
    )


def _share_words(pair: BranchPair, share: BranchShare, reference: str) -> str:
    """Say what each branch gives to the logit."""
    (first, second), (one, other) = share.shapley, pair.names
    return (
        f"Logit above that of {reference}: {share.above_baseline:+.2f} = {one} {first:+.2f} "
        f"{other} {second:+.2f} (Shapley). Feature-norm share of {one}: {share.norm_share:.0%} (lengths of "
        "vectors of other sizes and scales do not compare)."
    )
