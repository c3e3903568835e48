"""How much of a side's explanations is shown and proved; imports no torch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ExplanationSettings:
    """Numbers of images and steps, and the largest side with ROAD among the proof: it takes seconds a map at 224 px.

    `mistakes` get a panel besides the right ones of each kind, `of_each_class` a tile of a grid; `counted` cases of
    each class are in statistics of attention between images, `cross_figures` have figures of it; `proved` images are
    held against controls, `tested` ones against models of noise. Steps: layer by layer, and the images moved by a pixel
    too.
    """

    mistakes: int = 6
    of_each_class: int = 4
    counted: int = 50
    cross_figures: int = 12
    proved: int = 24
    removal_steps: int = 20
    tested: int = 4
    by_steps: bool = True
    most_road_px: int = 128
    seed: int = 0  # of what is drawn at random: which images are proved, controls, models of noise


def explanation_settings(quick: bool, seed: int) -> ExplanationSettings:
    """Return those of a look (seconds a model), or of what a report rests on."""
    if not quick:
        return ExplanationSettings(seed=seed)
    return ExplanationSettings(
        mistakes=2,
        of_each_class=3,
        counted=12,
        cross_figures=1,
        proved=8,
        removal_steps=8,
        tested=4,
        by_steps=False,
        most_road_px=0,
        seed=seed,
    )
