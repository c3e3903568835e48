"""How much of a side's explanations is shown and proved; imports no torch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ExplanationSettings:
    """Numbers of images and steps, and the largest side at which ROAD is of all proved images: it takes seconds a map.

    Larger images have it of the `tested` ones, and where `most_road_px` is 0 none has. `right_of_each_kind` (class and
    modality) get a panel and so many `mistakes`, `of_each_class` a tile of a grid; `counted` cases of each class are in
    statistics of attention between images, `cross_figures` have figures of it; `proved` images are held against
    controls, `tested` ones against models of noise. Steps: layer by layer, and the images moved by a pixel too.
    """

    right_of_each_kind: int = 2
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
        right_of_each_kind=1,
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
