"""How much of a side's explanations is proved; imports no torch."""

from dataclasses import dataclass

MOST_PROVED, QUICKLY_PROVED = 24, 8
MOST_ROAD_PX = 128


@dataclass(frozen=True)
class ExplanationSettings:
    """Images whose maps are proved, and the largest side for ROAD among the proof: it takes seconds at 224 px."""

    most_images: int = MOST_PROVED
    most_road_px: int = MOST_ROAD_PX
    seed: int = 0
