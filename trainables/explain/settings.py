"""How much of a side's explanations is shown and proved; imports no torch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ExplanationSettings:
    """Numbers of images and steps, and the largest side with ROAD among the proof: it takes seconds a map at 224 px.

    `mistakes` get a panel besides the right ones of each kind; `proved` images are held against controls, `tested` ones
    against models of noise and moved by a pixel: a map each for every step.
    """

    mistakes: int = 6
    proved: int = 24
    removal_steps: int = 20
    tested: int = 4
    most_road_px: int = 128
    seed: int = 0


THOROUGH = ExplanationSettings()
QUICK = ExplanationSettings(mistakes=3, proved=8, removal_steps=8, tested=2, most_road_px=0)
