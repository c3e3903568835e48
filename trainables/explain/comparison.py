"""Methods and layers side by side on the same images: what each map shows, what it is worth there, and its tests."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from trainables.errors import ExplanationError
from trainables.evaluation.figures.labels import FONT_PT, LINE_IN, shortened, wrapped
from trainables.evaluation.figures.labels import width_in as width_in_of
from trainables.evaluation.figures.style import WIDTH_IN, new_figure, save, title_above, words_below
from trainables.explain.case_panels import Case, write_table
from trainables.explain.engine import Explanation
from trainables.explain.explained import Explained, Masks
from trainables.explain.explainers import AUTO, METHODS, Explainer, method_named
from trainables.explain.map_warnings import WHAT_IT_MEANS, MapVerdict, verdict_failures, verdict_words
from trainables.explain.panels import COLORMAP, draw_overlay
from trainables.explain.proof import MapScores, ProofCase, ProofSettings, Source
from trainables.explain.proving import predict_with, prove_case

COMPARISON_FILE = "comparison.csv"
COMPARISON_FIGURE = "comparison.png"
MOST_IMAGES = 4  # of the figure; the table and the means have all
MOST_METHODS = 7
LAYER_IN = 0.5
COMPARED = ("early_deletion", "deletion", "insertion", "pointing")


@dataclass(frozen=True)
class Compared:
    """What a method at a layer is worth on all images: mean figures of its map and of the controls on its grid.

    None where no image has the figure: pointing needs a lesion that is known, all need a map that is not blank. `tests`
    says in words of `map_warnings` whether maps of it passed theirs when the model was judged.
    """

    method: str
    layer: str
    images: int
    blank: int
    figures: Mapping[str, Mapping[Source, float | None]]
    tests: str


def explainers_to_compare(explained: Explained, methods: Sequence[str], layer: str | None) -> list[Explainer]:
    """Return every method at every layer where the architecture's record has such a map, or at the one asked for.

    Raises ExplanationError for a method that is not known, or does not look at a layer.
    """
    names = list(dict.fromkeys(method_named(name) for name in methods))
    cams = [key for key, method in METHODS.items() if method.family == "cam"]
    for name in names:
        if name not in cams:
            raise ExplanationError(f"{name} has no layer to choose; compared can be {', '.join(cams)}")
    of_record = [one.layer for one in explained.architecture.explainers if one.method in (*cams, AUTO)]
    layers = [layer] if layer else list(dict.fromkeys(of_record)) or [""]
    asked = [Explainer(name, at, f"{METHODS[name].title} {at}".strip()) for at in layers for name in names]
    return [replace(one, image=explained.image_of(one)) for one in asked]


def write_comparison(
    folder: Path,
    explained: Explained,
    explainers: Sequence[Explainer],
    cases: Sequence[Case],
    masks: Masks,
    verdicts: Mapping[str, MapVerdict],
    colormap: str = COLORMAP,
    seed: int = 0,
) -> list[Compared]:
    """Write comparison.png and comparison.csv; return what each explainer is worth, the mean over the images.

    `masks` holds the lesions that are known, `verdicts` those on explainers of the architecture's record by their
    names: they are of every map of that method at that layer. Raises ExplanationError.
    """
    numbers, classes = [case.number for case in cases], [case.class_index for case in cases]
    maps = explained.maps(explainers, numbers, classes)
    predict = predict_with(explained.model)
    scores: list[MapScores] = []
    for place, case in enumerate(cases):
        proof = ProofCase(
            image=case.name, index=case.number, group=case.name, is_correct=True, class_index=case.class_index
        )
        settings = ProofSettings(percentiles=(), seed=seed)
        scores += prove_case(predict, explained.input_of([case.number])[0], maps, place, proof, masks, settings)
    about = {name: {"method": one.method, "layer": one.layer} for name, one in maps.items()}
    write_table(folder / COMPARISON_FILE, [_cells(row, about[row.explainer]) for row in scores])
    own = _own_verdicts(explained, maps, verdicts)
    save(comparison_figure(explained.images_NMHW, cases, maps, scores, own, colormap), folder / COMPARISON_FIGURE)
    return [
        _compared(one, [row for row in scores if row.explainer == name], own.get(name)) for name, one in maps.items()
    ]


def _own_verdicts(
    explained: Explained, maps: Mapping[str, Explanation], verdicts: Mapping[str, MapVerdict]
) -> dict[str, MapVerdict]:
    """Return by the maps' own names the verdicts on what the record has of the same method at the same layer."""
    if not verdicts:
        return {}
    names = {(own.method, own.layer, own.image): known.name for known, own in explained.of_record()}
    found = {}
    for name, one in maps.items():
        of_record = names.get((one.method, one.layer, one.image), "")
        if of_record in verdicts:
            told = verdicts[of_record].beside_controls.removeprefix(of_record)
            found[name] = replace(verdicts[of_record], beside_controls=f"{_called(one)} ({of_record}){told}")
    return found


def _called(one: Explanation) -> str:
    return f"{METHODS[one.method].title} at {one.layer}"


def _cells(row: MapScores, about: Mapping[str, str]) -> dict[str, object]:
    values = asdict(row)
    return {"image": row.image, **about, "source": row.source, "is_blank": row.is_blank} | {
        name: values[name] for name in COMPARED
    }


def _compared(found: Explanation, own: Sequence[MapScores], verdict: MapVerdict | None) -> Compared:
    of_maps = [row for row in own if row.source == "map"]
    shown = {row.image for row in of_maps if not row.is_blank}
    return Compared(
        method=found.method,
        layer=found.layer,
        images=len(of_maps),
        blank=len(of_maps) - len(shown),
        figures={name: {source: _mean(own, source, name, shown) for source in _SOURCES} for name in COMPARED},
        tests=verdict_words(verdict),
    )


_SOURCES: tuple[Source, ...] = ("map", "random", "centre")


def _mean(own: Sequence[MapScores], source: Source, name: str, shown: set[str]) -> float | None:
    """Return the mean over images where the map itself shows something, so that all sources are of the same ones."""
    values = [row.figure(name) for row in own if row.source == source and row.image in shown]
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there else None


def comparison_figure(
    images_NMHW: np.ndarray,
    cases: Sequence[Case],
    maps: Mapping[str, Explanation],
    scores: Sequence[MapScores],
    verdicts: Mapping[str, MapVerdict],
    colormap: str = COLORMAP,
) -> Figure:
    """Return the figure of `write_comparison`: a row per image and layer, a column per method.

    Above each map are its deletion and whether maps of it passed their tests, by `verdicts` under the maps' names.
    """
    layers = list(dict.fromkeys((one.layer, one.image) for one in maps.values()))
    methods = list(dict.fromkeys(one.method for one in maps.values()))[:MOST_METHODS]
    deletion = {(row.explainer, row.image): row.deletion for row in scores if row.source == "map"}
    shown = cases[:MOST_IMAGES]
    columns = 1 + len(methods)
    width_in = 2 * WIDTH_IN
    tile_in = (width_in - LAYER_IN) / columns - 0.08
    rows = len(shown) * len(layers)
    drawn = {name: one for name, one in maps.items() if one.method in methods}
    words = {name: verdict_words(verdicts.get(name)) for name in drawn}
    above = {said: wrapped(said, tile_in) for said in words.values()}
    lines = 1.6 + max(said.count("\n") + 1 for said in above.values())
    figure = new_figure(0, "")
    figure.set_size_inches(width_in, rows * (tile_in + lines * LINE_IN) + 2 * LINE_IN)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.ravel():
        axes.axis("off")
        axes.set_anchor("S")  # what room an image leaves is above it, for its words
    image_hw = (images_NMHW.shape[2], images_NMHW.shape[3])
    named = {(one.method, one.layer, one.image): name for name, one in drawn.items()}
    for place, case in enumerate(shown):
        for depth, (layer, image) in enumerate(layers):
            axes_row = grid[place * len(layers) + depth]
            image_HW = images_NMHW[case.number, image]
            if depth == 0 or image != layers[depth - 1][1]:
                axes_row[0].imshow(image_HW, cmap="gray", vmin=0, vmax=255)
            if depth == 0:
                title_above(axes_row[0], shortened(case.about.get("explained", ""), tile_in))
            label = _in_two_lines(layer, tile_in + 0.12)
            beside: dict[str, Any] = {"transform": axes_row[0].transAxes, "rotation": 90, "ha": "right", "va": "center"}
            axes_row[0].text(-0.08, 0.5, label, fontsize=FONT_PT, multialignment="center", **beside)
            for axes, method in zip(axes_row[1:], methods, strict=True):
                name = named.get((method, layer, image))
                if name is None:
                    continue
                draw_overlay(axes, image_HW, maps[name].on_image(place, image_hw), colormap)
                value = deletion.get((name, case.name))
                title = wrapped(METHODS[method].title, tile_in) + "\n" if place == depth == 0 else ""
                told = f"{'-' if value is None else f'{value:.2f}'}\n{above[words[name]]}"
                title_above(axes, f"{title}{told}")
    left_out = len(cases) > len(shown) or len({one.method for one in maps.values()}) > len(methods)
    all_of_them = f" The first {MOST_IMAGES} images and {MOST_METHODS} methods; the table has all." if left_out else ""
    below = [_WORDS + all_of_them, *_tests_told(drawn, verdicts)]
    words_below(figure, "\n".join(wrapped(text, width_in - 0.1) for text in below))
    return figure


def _in_two_lines(layer: str, most_in: float) -> str:
    """Return a path on as many lines as it needs, two at most: layers of blocks alike differ in the middle."""
    outer, _, inner = layer.rpartition(".")
    parts = [layer] if width_in_of(layer) <= most_in or not outer else [f"{outer}.", inner]
    return "\n".join(shortened(part, most_in) for part in parts)


def _tests_told(drawn: Mapping[str, Explanation], verdicts: Mapping[str, MapVerdict]) -> list[str]:
    """Return what the words above maps mean, and of those that failed, what."""
    said = [verdict_words(verdicts.get(name)) for name in drawn]
    meant = [f"{words.capitalize()}: {meaning}." for words, meaning in WHAT_IT_MEANS.items() if words in said]
    failed = [verdict_failures(_called(one), verdicts[name]) for name, one in drawn.items() if name in verdicts]
    return meant + [text for texts in failed for text in texts]


_WORDS = (
    "Above each map its deletion area: the class's mean probability while pixels go, those first that the map calls "
    "important; lower is better, and only beside the controls in comparison.csv does it mean anything. Under it what "
    "test images told of maps of this method at this layer."
)
