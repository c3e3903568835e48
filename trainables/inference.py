"""Decoded images -> logits: validation during training and the evaluation of finalists."""

import numpy as np
import torch
from torch import nn

EVALUATION_BATCH = 64


def to_input(images_NHW: torch.Tensor) -> torch.Tensor:
    """Return x_B1HW in [0, 1] from uint8 images; architectures normalise by themselves."""
    return images_NHW.unsqueeze(1).float() / 255


@torch.inference_mode()
def predict_logits(
    model: nn.Module,
    images_NHW: torch.Tensor,
    rows: torch.Tensor,
    batch_size: int = EVALUATION_BATCH,
    half: bool = False,
) -> np.ndarray:
    """Return logits_NK (float32) for some rows of uint8 images, wherever these are; leaves the model in eval mode."""
    model.eval()
    device = next(model.parameters()).device
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=half):
        batches = rows.to(images_NHW.device).split(batch_size)
        logits = [model(to_input(images_NHW[rows_B].to(device, non_blocking=True))).float() for rows_B in batches]
    return torch.cat(logits).cpu().numpy()
