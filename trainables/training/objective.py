"""What is minimised: cross entropy and its remedies for classes that are rare or images that are hard."""

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F


class Objective:
    """Losses of single images, and what their sum is divided by, so that a batch may come in parts."""

    def __init__(self, hyperparameters: Mapping[str, Any], training_labels_N: torch.Tensor, num_classes: int) -> None:
        imbalance = hyperparameters["imbalance"]
        self._smoothing: float = hyperparameters["label_smoothing"]
        self._gamma: float | None = hyperparameters["focal_gamma"] if imbalance == "focal" else None
        weights = {"class_weight": balanced_weights, "pos_weight": positive_weights}.get(imbalance)
        self._weight_K = None if weights is None else weights(training_labels_N, num_classes)
        self._by_weight = imbalance == "class_weight"

    def losses(self, logits_BK: torch.Tensor, labels_B: torch.Tensor) -> torch.Tensor:
        """Return losses_B: cross entropy, smoothed, weighted by class, or focal (Lin et al. 2017, arXiv:1708.02002)."""
        logits_BK = logits_BK.float()
        losses_B = F.cross_entropy(
            logits_BK, labels_B, weight=self._weight_K, label_smoothing=self._smoothing, reduction="none"
        )
        if self._gamma is None:
            return losses_B
        return (1 - torch.exp(-losses_B)).clamp(min=0) ** self._gamma * losses_B

    def divisor(self, labels_B: torch.Tensor) -> torch.Tensor:
        """Return what the sum over a batch is divided by for its mean: images, or their balanced weights."""
        if self._weight_K is None or not self._by_weight:
            return torch.tensor(float(len(labels_B)))
        return self._weight_K[labels_B].sum()


def balanced_weights(training_labels_N: torch.Tensor, num_classes: int) -> torch.Tensor:
    """Return weight_K = N / (K n_k), scikit-learn's "balanced"; a class without training image weighs nothing."""
    counts_K = torch.bincount(training_labels_N, minlength=num_classes).float()
    weight_K = len(training_labels_N) / (num_classes * counts_K)
    return torch.where(counts_K > 0, weight_K, 0.0)


def positive_weights(training_labels_N: torch.Tensor, num_classes: int) -> torch.Tensor:
    """Return weight_K = n_0 / n_k: of two classes what torch's BCEWithLogitsLoss calls pos_weight, negatives over
    positives. A class without training image weighs nothing.
    """
    counts_K = torch.bincount(training_labels_N, minlength=num_classes).float()
    return torch.where(counts_K > 0, counts_K[0].clamp(min=1) / counts_K, 0.0)


def hardest(losses_B: torch.Tensor, fraction: float) -> torch.Tensor:
    """Return the indices of the images with the highest losses: that fraction rounded down, one at least.

    Hard example mining within the batch (Shrivastava et al. 2016, arXiv:1604.03540).
    """
    count = max(1, math.floor(fraction * len(losses_B) + 1e-9))
    return losses_B.topk(count).indices
