"""Decoded images -> logits: validation during training and the evaluation of finalists."""

import hashlib
import platform
import time

import numpy as np
import torch
from torch import nn

EVALUATION_BATCH = 64
TIMED_RUNS = 20


def to_input(images_BMHW: torch.Tensor) -> torch.Tensor:
    """Return x_BMHW in [0, 1] from uint8 cases of M images each; architectures normalise by themselves."""
    return images_BMHW.float() / 255


def logits_of(
    model: nn.Module, x_BMHW: torch.Tensor, layout: torch.memory_format = torch.contiguous_format
) -> torch.Tensor:
    """Return logits_BK of cases: a model takes an x_B1HW for each of their M images."""
    logits_BK: torch.Tensor = model(*(x_B1HW.contiguous(memory_format=layout) for x_B1HW in x_BMHW.split(1, dim=1)))
    return logits_BK


@torch.inference_mode()
def predict_logits(
    model: nn.Module,
    images_NMHW: torch.Tensor,
    rows: torch.Tensor,
    batch_size: int = EVALUATION_BATCH,
    half: bool = False,
) -> np.ndarray:
    """Return logits_NK (float32) for some rows of uint8 cases, wherever these are; leaves the model in eval mode."""
    model.eval()
    device = next(model.parameters()).device
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=half):
        batches = rows.to(images_NMHW.device).split(batch_size)
        logits = [
            logits_of(model, to_input(images_NMHW[rows_B].to(device, non_blocking=True))).float() for rows_B in batches
        ]
    return torch.cat(logits).cpu().numpy()


@torch.inference_mode()
def image_ms(model: nn.Module, side_px: int, images_per_case: int = 1) -> float:
    """Return the shortest time of one case by itself, in milliseconds, on the model's device."""
    model.eval()
    device = next(model.parameters()).device
    x_1MHW = torch.zeros(1, images_per_case, side_px, side_px, device=device)
    times_s = []  # others may work beside, and never make it faster
    for _ in range(TIMED_RUNS):
        started_s = time.perf_counter()
        logits_of(model, x_1MHW).cpu()
        times_s.append(time.perf_counter() - started_s)
    return min(times_s) * 1000


def machine_of(model: nn.Module) -> str:
    """Return what a time was measured on: times compare on the same machine only."""
    device = next(model.parameters()).device
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    host = hashlib.sha256(platform.node().encode()).hexdigest()[:8]  # a computer's name may tell whose it is
    return f"{platform.machine()} computer {host}, {torch.get_num_threads()} threads"
