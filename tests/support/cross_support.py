"""Looks of a dual cross-attention model that no model is needed for: 3 by 4 patches in images of 24 by 32 pixels."""

from dataclasses import replace

import numpy as np

from trainables.explain.cross_look import CrossLook

GRID = (3, 4)


def random_look(seed: int, heads: int = 2, sharpness: float = 3.0) -> CrossLook:
    """Attention is the softmax of normal numbers times the sharpness."""
    rng = np.random.default_rng(seed)
    places = GRID[0] * GRID[1]
    attention = np.exp(sharpness * rng.normal(size=(2, heads, places, places)))
    return CrossLook(
        names=("CT", "MRI"),
        images_2HW=rng.integers(0, 256, (2, 24, 32), dtype=np.uint8),
        attention_2HQK=(attention / attention.sum(axis=-1, keepdims=True)).astype(np.float32),
        before_2ND=rng.normal(size=(2, places, 5)).astype(np.float32),
        after_2ND=rng.normal(size=(2, places, 5)).astype(np.float32),
        features_2CHW=np.maximum(rng.normal(size=(2, 9, *GRID)), 0).astype(np.float32),
        fused_DHW=rng.normal(size=(10, *GRID)).astype(np.float32),
        grid=GRID,
    )


def even_look(heads: int = 1) -> CrossLook:
    """A model that learned nothing: even attention, tokens and features of zeros."""
    look = random_look(seed=0, heads=heads)
    zeros = {
        name: np.zeros_like(getattr(look, name)) for name in ("before_2ND", "after_2ND", "features_2CHW", "fused_DHW")
    }
    return replace(look, attention_2HQK=np.full_like(look.attention_2HQK, 1 / look.num_places), **zeros)
