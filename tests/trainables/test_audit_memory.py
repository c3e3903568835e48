"""Looking for neighbours among N images never makes N x N numbers at once."""

import tracemalloc
from types import ModuleType

import numpy as np
import pytest
from audit_support import made_up_image, made_up_set

from trainables.audit import candidates, subjects
from trainables.audit.candidates import find_candidates
from trainables.audit.neighbours import Nearest
from trainables.audit.subjects import group_subjects

NUM_IMAGES = 3_000
SQUARE_BYTES = 4 * NUM_IMAGES**2


@pytest.mark.parametrize("module", [candidates, subjects])
def test_neighbours_are_found_in_a_fraction_of_the_memory_of_all_products(module: ModuleType) -> None:
    vectors_ND = np.random.default_rng(0).normal(size=(NUM_IMAGES, 64)).astype(np.float32)
    vectors_ND /= np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    tracemalloc.start()
    try:
        for start in range(0, NUM_IMAGES, module._BLOCK_ROWS):
            own_B = np.arange(start, min(start + module._BLOCK_ROWS, NUM_IMAGES))
            nearest = Nearest(len(own_B), module._NEAREST, 0.35)
            nearest.add_products(vectors_ND[own_B], vectors_ND, own_B, 0)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < SQUARE_BYTES / 3
    assert (nearest.column_BK >= 0).any()


class Recorded(Nearest):
    """Finds nothing, and notes how many products it was asked for at once."""

    most_rows = 0

    def add_products(self, query_BD: np.ndarray, base_ND: np.ndarray, *_: object) -> None:
        assert len(query_BD) * len(base_ND) * 4 < SQUARE_BYTES / 3
        Recorded.most_rows = max(Recorded.most_rows, len(query_BD))


def test_the_audit_asks_for_neighbours_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    images = made_up_set([made_up_image(number, number % 2) for number in range(NUM_IMAGES)])
    for module, work in (
        (candidates, lambda: find_candidates(images.thumbnails_NHW, lambda done, of: None)),
        (subjects, lambda: group_subjects(images, [])),
    ):
        monkeypatch.setattr(module, "Nearest", Recorded)
        monkeypatch.setattr(Recorded, "most_rows", 0)
        work()
        assert 1 < Recorded.most_rows <= module._BLOCK_ROWS
