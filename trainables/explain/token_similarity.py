"""How alike the tokens of two images are, before and after they attended to each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from trainables.evaluation.figures.labels import FONT_PT, LINE_IN, shortened, wrapped
from trainables.evaluation.figures.style import save, style_axes, title_above, words_below
from trainables.explain.cross_look import CrossLook
from trainables.explain.wide_figures import TEXT_IN, WIDE_IN, wide_figure

DIVERGING = "RdBu_r"  # red and blue differ for every eye; white is 0
SHUFFLES = 20
ROUNDING = float(np.finfo(np.float32).eps) ** 2  # of both squared, as CKA is a product of two
BAR_IN = 0.6
LABELS_IN = 0.45


@dataclass(frozen=True)
class TokenSimilarity:
    """Similarity of the first image's tokens to the second's at one stage; None where there is nothing to compare.

    `diagonal` is the mean cosine of tokens at the same place, `off_diagonal` of those at others, -1 to 1. `cka` is 0 to
    1; `cka_shuffled` the same with one image's places in random order, which is what chance gives: with fewer tokens
    than channels it is far from 0.
    """

    cosine_NN: np.ndarray  # rows: places of the first image; columns: of the second
    diagonal: float
    off_diagonal: float | None
    cka: float | None
    cka_shuffled: float | None


def token_similarity(first_ND: np.ndarray, second_ND: np.ndarray) -> TokenSimilarity:
    """Return how alike tokens are; a token of zeros is like none, cosine 0."""
    cosine_NN = _unit(first_ND) @ _unit(second_ND).T
    count = len(cosine_NN)
    on_diagonal = np.eye(count, dtype=bool)
    rng = np.random.default_rng(0)
    shuffled = _aligned(first_ND, second_ND, [rng.permutation(count) for _ in range(SHUFFLES)])
    return TokenSimilarity(
        cosine_NN=cosine_NN.astype(np.float32),
        diagonal=float(cosine_NN[on_diagonal].mean()),
        off_diagonal=float(cosine_NN[~on_diagonal].mean()) if count > 1 else None,
        cka=linear_cka(first_ND, second_ND),
        cka_shuffled=None if shuffled is None else float(np.mean(shuffled)),
    )


def linear_cka(first_ND: np.ndarray, second_NE: np.ndarray) -> float | None:
    """Return linear centred kernel alignment, 0 to 1; None where the tokens of an image are all the same.

    Turning or scaling either image's features changes nothing. Kornblith et al. 2019 (arXiv:1905.00414).
    """
    aligned = _aligned(first_ND, second_NE, [np.arange(len(second_NE))])
    return None if aligned is None else aligned[0]


def _aligned(first_ND: np.ndarray, second_NE: np.ndarray, orders: Sequence[np.ndarray]) -> list[float] | None:
    """Return linear CKA with the second image's tokens in each of some orders."""
    one_ND, other_NE = (tokens.astype(np.float64) for tokens in (first_ND, second_NE))
    one_ND, other_NE = one_ND - one_ND.mean(axis=0), other_NE - other_NE.mean(axis=0)
    own = np.linalg.norm(one_ND.T @ one_ND) * np.linalg.norm(other_NE.T @ other_NE)
    # the mean taken off equal tokens leaves rounding, which is no structure
    squares = np.square(first_ND, dtype=np.float64).sum() * np.square(second_NE, dtype=np.float64).sum()
    if own <= ROUNDING * squares:
        return None
    return [float(np.linalg.norm(other_NE[order].T @ one_ND) ** 2 / own) for order in orders]


def similarity_stages(look: CrossLook) -> dict[str, TokenSimilarity]:
    """Return the similarity before and after the cross attention, by these words."""
    return {"before": token_similarity(*look.before_2ND), "after": token_similarity(*look.after_2ND)}


def similarity_cells(stage: str, found: TokenSimilarity) -> dict[str, object]:
    """Return a stage's numbers as cells of a table; what cannot be told is empty."""
    numbers = {
        "diagonal": found.diagonal,
        "off_diagonal": found.off_diagonal,
        "cka": found.cka,
        "cka_shuffled": found.cka_shuffled,
    }
    return {"stage": stage} | {name: "" if value is None else value for name, value in numbers.items()}


def draw_similarity(path: Path, look: CrossLook, stages: Mapping[str, TokenSimilarity], title: str) -> None:
    """Write a PNG: the cosine matrices of both stages on one scale from -1 to 1."""
    save(similarity_figure(look, stages, title), path)


def similarity_figure(look: CrossLook, stages: Mapping[str, TokenSimilarity], title: str) -> Figure:
    """Return the figure of `draw_similarity`, its numbers above each matrix."""
    side_in = (WIDE_IN - BAR_IN) / len(stages) - LABELS_IN
    figure = wide_figure(side_in + 6 * LINE_IN, f"{title}; similarity of tokens")
    first, second = (shortened(name, side_in / 3) for name in look.names)
    row = list(figure.subplots(1, len(stages)))
    for axes, (stage, found) in zip(row, stages.items(), strict=True):
        image = axes.imshow(found.cosine_NN, cmap=DIVERGING, vmin=-1, vmax=1, interpolation="nearest")
        style_axes(axes)
        title_above(axes, f"{stage} cross attention\n{_numbers(found)}", away_pt=3)
        axes.set_xlabel(f"place in {second}, row by row", fontsize=FONT_PT, labelpad=1)
        axes.set_ylabel(f"place in {first}, row by row", fontsize=FONT_PT, labelpad=1)
    bar = figure.colorbar(image, ax=row, ticks=[-1, 0, 1])
    bar.ax.tick_params(labelsize=FONT_PT, width=0.5, length=2, pad=2)
    bar.outline.set_linewidth(0.5)
    bar.set_label("cosine similarity", fontsize=FONT_PT)
    words = (
        "same: mean at the same place of both images, as if they lay on each other; other: at other places. CKA: "
        f"linear, of all places together; in brackets with one image's places in random order, the mean of {SHUFFLES}: "
        "what chance alone gives."
    )
    words_below(figure, wrapped(words, TEXT_IN))
    return figure


def _numbers(found: TokenSimilarity) -> str:
    same, other, cka, shuffled = (
        "none" if value is None else f"{value:.2f}"
        for value in (found.diagonal, found.off_diagonal, found.cka, found.cka_shuffled)
    )
    return f"same {same}, other {other}; CKA {cka} ({shuffled})"


def _unit(tokens_ND: np.ndarray) -> np.ndarray:
    tokens_ND = tokens_ND.astype(np.float64)
    lengths_N1 = np.linalg.norm(tokens_ND, axis=1, keepdims=True)
    unit_ND: np.ndarray = np.divide(tokens_ND, lengths_N1, out=np.zeros_like(tokens_ND), where=lengths_N1 > 0)
    return unit_ND
