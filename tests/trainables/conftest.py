from pathlib import Path

import numpy as np
import pytest
from PIL import Image

FOLDERS = {
    "deep/train/1- Stroke/StrokeBT": "1_1",
    "deep/train/1- Stroke/StrokeMR": "1_2",
    "deep/train/2- Control/NormalBT": "2_1",
    "deep/train/2- Control/NormalMR": "2_2",
    "deep/test/strokeBT": "1_1",
    "deep/test/strokeMR": "1_2",
    "deep/test/normalBT": "2_1",
    "deep/test/normalMR": "2_2",
}


@pytest.fixture
def stroke_set(tmp_path: Path) -> Path:
    """A set in the real layout: six images a folder, noise, half JPEG and half PNG, one stem in both."""
    root = tmp_path / "set"
    generator = np.random.default_rng(0)
    for folder, stem in FOLDERS.items():
        (root / folder).mkdir(parents=True)
        for number in range(6):
            image = Image.fromarray(generator.integers(0, 255, (40, 48, 3), dtype=np.uint8))
            suffix = (".jpg", ".png")[number % 2]
            image.save(root / folder / f"{stem} ({number // 2}){suffix}")
    return root
