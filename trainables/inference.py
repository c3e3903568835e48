"""Decoded images -> logits and probabilities: validation during training and the evaluation of finalists."""

import numpy as np
import torch
from torch import nn

from trainables.evaluation.temperature import probabilities

EVALUATION_BATCH = 64


def to_input(images_NHW: torch.Tensor) -> torch.Tensor:
    """Return x_B1HW in [0, 1] from uint8 images; architectures normalise by themselves."""
    return images_NHW.unsqueeze(1).float() / 255


@torch.inference_mode()
def predict_logits(model: nn.Module, images_NHW: torch.Tensor, rows: torch.Tensor) -> np.ndarray:
    """Return logits_NK (float32) for some rows of uint8 images on the model's device; leaves the model in eval mode."""
    model.eval()
    batches = rows.to(images_NHW.device).split(EVALUATION_BATCH)
    logits = [model(to_input(images_NHW[rows_B])) for rows_B in batches]
    return torch.cat(logits).float().cpu().numpy()


def predict_probabilities(model: nn.Module, images_NHW: torch.Tensor, rows: torch.Tensor) -> np.ndarray:
    """Return probs_NK (float64, in which sure ones are not yet equal) of the same; NaN where logits are not finite."""
    return probabilities(predict_logits(model, images_NHW, rows))
