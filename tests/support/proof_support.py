"""A model whose reasons are known: its answer is how bright the blob is, and nothing else in the image matters."""

import numpy as np
import torch

from trainables.explain.faithfulness import Predict

SIDE_PX = 32


def blob_mask(row: int, column: int, radius_px: float = 5) -> np.ndarray:
    """Return mask_HW of a disc."""
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX]
    return np.asarray((y - row) ** 2 + (x - column) ** 2 <= radius_px**2)


def blob_image(mask_HW: np.ndarray, seed: int = 0) -> torch.Tensor:
    """Return image_1HW: a bright blob in a dim, noisy head."""
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX]
    head_HW = np.hypot(y - 15.5, x - 15.5) < 14.5
    noise_HW = np.random.default_rng(seed).uniform(-0.05, 0.05, mask_HW.shape)
    image_HW = np.where(mask_HW, 0.95, np.where(head_HW, 0.4 + noise_HW, 0.0))
    return torch.from_numpy(image_HW.astype(np.float32))[None]


def blob_model(mask_HW: np.ndarray) -> Predict:
    """Return predict: class 1 is as likely as the blob's pixels are bright."""
    mask_1HW = torch.from_numpy(mask_HW)[None]

    def predict(images_BCHW: torch.Tensor) -> torch.Tensor:
        bright_B = (images_BCHW * mask_1HW).sum(dim=(1, 2, 3)) / mask_1HW.sum()
        return torch.stack([1 - bright_B, bright_B], dim=1)

    return predict
