"""Everything that the looks of a dual cross-attention model show, as figures, tables and raw maps in a folder."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from trainables.errors import ExplanationError
from trainables.explain.attention_by_class import class_cells, class_means, draw_by_class
from trainables.explain.attention_sketch import draw_sketch
from trainables.explain.attention_statistics import AttentionRow, attention_cells, attention_rows
from trainables.explain.case_panels import write_table
from trainables.explain.cross_look import CrossCase, CrossLook, check_alike
from trainables.explain.encoder_features import draw_features, mean_map
from trainables.explain.fused_heatmap import draw_fused, fused_map
from trainables.explain.panels import COLORMAP
from trainables.explain.received_attention import draw_received, received_maps
from trainables.explain.token_similarity import TokenSimilarity, draw_similarity, similarity_cells, similarity_stages

ATTENTION_FILE = "cross_attention.csv"
BY_CLASS_FILE = "cross_attention_by_class.csv"
BY_CLASS_FIGURE = "cross_attention_by_class.png"
SIMILARITY_FILE = "cross_similarity.csv"
RAW_FILE = "cross_maps.npz"


def write_cross_attention(
    folder: Path,
    looks: Iterable[CrossLook],
    cases: Sequence[CrossCase],
    classes: Sequence[str],
    drawn: Sequence[int],
    colormap: str = COLORMAP,
) -> None:
    """Write tables over all looks, and figures (cross_<name>_*.png) and raw maps of the cases that are `drawn`.

    `cross_maps.npz` holds "<name>/attention" (2HQK), "/received" (2hw), "/features" (2hw) and "/fused" (hw). Classes
    are compared by the cases that are there at random. Looks are taken one at a time, one per case. Raises
    ExplanationError for looks that do not compare, and for a case to be drawn that is not there.
    """
    unknown = [n for n in drawn if not 0 <= n < len(cases)]
    if unknown:
        raise ExplanationError(f"to be drawn: {unknown}; there are cases 0 to {len(cases) - 1}")
    rows: list[AttentionRow] = []
    similarities: list[dict[str, object]] = []
    raw: dict[str, np.ndarray] = {}
    first: CrossLook | None = None
    for n, (case, look) in enumerate(zip(cases, looks, strict=True)):
        if first is None:
            folder.mkdir(exist_ok=True)
            first = look
        check_alike([first, look])
        rows += attention_rows(case, look)
        stages = similarity_stages(look)
        true = "" if case.true is None else classes[case.true]
        about = {"case": case.name, "true": true, "predicted": classes[case.predicted]}
        similarities += [about | similarity_cells(stage, found) for stage, found in stages.items()]
        if n in drawn:
            _draw_case(folder, case, look, stages, colormap)
            raw |= _raw_maps(case, look)
    write_table(folder / ATTENTION_FILE, [attention_cells(row, classes) for row in rows])
    counted = [row for row in rows if row.case.at_random and row.case.true is not None]
    write_table(folder / BY_CLASS_FILE, [class_cells(one, classes) for one in class_means(counted)])
    write_table(folder / SIMILARITY_FILE, similarities)
    np.savez_compressed(folder / RAW_FILE, allow_pickle=False, **raw)
    if first is not None and counted:
        draw_by_class(folder / BY_CLASS_FIGURE, counted, classes, first.num_places)


def _draw_case(
    folder: Path, case: CrossCase, look: CrossLook, stages: Mapping[str, TokenSimilarity], colormap: str
) -> None:
    begin = f"cross_{case.file or case.name}"
    draw_received(folder / f"{begin}_attention.png", look, case.title, colormap)
    draw_sketch(folder / f"{begin}_sketch.png", look, case.title)
    draw_features(folder / f"{begin}_features.png", look, case.title, colormap)
    draw_fused(folder / f"{begin}_fused.png", look, case.title, colormap)
    draw_similarity(folder / f"{begin}_similarity.png", look, stages, case.title)


def _raw_maps(case: CrossCase, look: CrossLook) -> dict[str, np.ndarray]:
    return {
        f"{case.file or case.name}/attention": look.attention_2HQK,
        f"{case.file or case.name}/received": received_maps(look),
        f"{case.file or case.name}/features": np.stack([mean_map(features_CHW) for features_CHW in look.features_2CHW]),
        f"{case.file or case.name}/fused": fused_map(look.fused_DHW),
    }
