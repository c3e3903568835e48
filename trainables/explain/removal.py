"""Taking away the pixels that a map calls important, and what stands in their place.

Pixels are ordered by rank, ties at random, so that exactly as many go as were asked for. By a threshold, as libraries
do it, a map that is mostly zero loses the whole image at once.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from pytorch_grad_cam.metrics.road import NoisyLinearImputer, neighbors_weights
from scipy.sparse import csc_matrix
from scipy.sparse.linalg import splu

BLUR_FRACTION = 0.1  # of the shorter side: the standard deviation of the blurred image that stands for "not there"
NOISE = 0.01  # of images in [0, 1]: Rong et al.'s, so that an imputed patch is not told by its smoothness


def removal_order(map_HW: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return order_P, the indices of the flattened map's pixels, highest first, equal ones shuffled."""
    values_P = map_HW.ravel()
    return np.lexsort((rng.random(values_P.size), -values_P))


def removal_masks(
    order_P: np.ndarray, fractions_F: Sequence[float] | np.ndarray, image_HW: tuple[int, int]
) -> np.ndarray:
    """Return gone_FHW (bool): for each fraction of all pixels, the first so many of the order.

    Raises ValueError for a fraction outside 0 to 1.
    """
    wanted_F = np.asarray(fractions_F, dtype=np.float64)
    if not ((wanted_F >= 0) & (wanted_F <= 1)).all():
        raise ValueError(f"fractions {wanted_F.tolist()}: each must be from 0 to 1")
    place_P = np.empty(len(order_P), dtype=np.int64)
    place_P[order_P] = np.arange(len(order_P))
    gone_FP = place_P[None] < np.rint(wanted_F * len(order_P))[:, None]
    return np.asarray(gone_FP.reshape(-1, *image_HW))


def blurred(image_CHW: torch.Tensor) -> torch.Tensor:
    """Return the image without detail, which stands for what was removed in deletion and insertion.

    A constant would be a grey level of its own: on CT the mean of image and air looks like an old infarct.
    """
    planes_CHW = np.ascontiguousarray(image_CHW.detach().cpu().numpy(), dtype=np.float32)
    sigma_px = BLUR_FRACTION * min(planes_CHW.shape[1:])
    soft_CHW = np.stack([cv2.GaussianBlur(plane_HW, (0, 0), sigma_px) for plane_HW in planes_CHW])
    return torch.from_numpy(soft_CHW)


def filled(image_CHW: torch.Tensor, gone_FHW: np.ndarray, fill_CHW: torch.Tensor) -> torch.Tensor:
    """Return images_FCHW with what is gone taken from the fill."""
    gone_F1HW = torch.from_numpy(gone_FHW)[:, None]
    return torch.where(gone_F1HW, fill_CHW[None], image_CHW.detach().cpu().float()[None])


def imputed(image_CHW: torch.Tensor, gone_HW: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
    """Return the image with what is gone guessed from its surroundings, plus a little noise from `rng`.

    Noisy linear imputation, Rong et al. 2022 (ROAD, arXiv:2202.00449): each missing pixel is the weighted mean of its
    eight neighbours. The equations are the library's, solved in an order made for symmetric ones, three times as fast;
    planes that are equal (grey shown as colour) get equal noise. Raises ValueError where every pixel is gone.
    """
    image_CHW = image_CHW.detach().cpu().float()
    if not gone_HW.any():
        return image_CHW.clone()
    if gone_HW.all():
        raise ValueError("every pixel is gone; imputation needs some that are left")
    planes_CHW = image_CHW.numpy()
    is_grey = bool((planes_CHW == planes_CHW[:1]).all())
    distinct_CHW = planes_CHW[:1] if is_grey else planes_CHW
    system, right_PC = NoisyLinearImputer.setup_sparse_system(
        (~gone_HW).astype(np.float32), distinct_CHW, neighbors_weights
    )
    solver = splu(
        csc_matrix(system), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
    )
    guessed_PC = solver.solve(right_PC) + NOISE * rng.standard_normal(right_PC.shape)
    whole_CHW = distinct_CHW.copy()
    whole_CHW[:, gone_HW] = np.clip(guessed_PC, 0, 1).T  # models are given images in [0, 1], whatever the noise says
    return torch.from_numpy(np.repeat(whole_CHW, len(planes_CHW), axis=0) if is_grey else whole_CHW)
