"""The one definition of each metric, for images with weights: once for a score, a thousand times for its spread."""

from collections.abc import Sequence

import numpy as np

PROBABILITY_FLOOR = float(np.finfo(np.float64).eps)  # as scikit-learn, so that one sure mistake is not infinite


def weighted_metrics(
    probs_NK: np.ndarray, labels_N: np.ndarray, weights_BN: np.ndarray, severity_K: Sequence[int] = ()
) -> dict[str, np.ndarray]:
    """Return metric -> values_B, one per row of weights; NaN where the weighted images cannot give it.

    A weight is how often an image counts. Definitions are scikit-learn's; macro means run over the classes present.
    Rows of probs_NK sum to 1. severity_K holds the rank of each class where they have an order: only then is there a
    quadratic kappa.
    """
    weights_BN = weights_BN.astype(np.float64)
    total_B = weights_BN.sum(axis=1)
    floored_N = np.clip(probs_NK[np.arange(len(labels_N)), labels_N], PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR)
    counts_BKK = _confusion_BKK(probs_NK, labels_N, weights_BN)
    values = _from_confusion(counts_BKK)
    if len(severity_K):
        values["quadratic_kappa"] = _quadratic_kappa(counts_BKK, np.asarray(severity_K, dtype=np.float64))
    values["log_loss"] = _ratio(weights_BN @ -np.log(floored_N), total_B)
    values["brier"] = _ratio(weights_BN @ squared_error(probs_NK, labels_N), total_B)
    num_classes = probs_NK.shape[1]
    columns = [1] if num_classes == 2 else range(num_classes)
    curves = [_areas(probs_NK[:, k], labels_N == k, weights_BN) for k in columns]
    values["auroc"] = _mean_of_present(np.stack([auroc_B for auroc_B, _ in curves], axis=1))
    values["average_precision"] = _mean_of_present(np.stack([precision_B for _, precision_B in curves], axis=1))
    return values


def squared_error(probs_NK: np.ndarray, labels_N: np.ndarray) -> np.ndarray:
    """Return the Brier score of each image, errors_N: 0 to 1 for two classes (one column counts), 0 to 2 for more."""
    difference_NK = probs_NK - np.eye(probs_NK.shape[1])[labels_N]
    errors_N: np.ndarray = (difference_NK**2).sum(axis=1) / (2 if probs_NK.shape[1] == 2 else 1)
    return errors_N


def _confusion_BKK(probs_NK: np.ndarray, labels_N: np.ndarray, weights_BN: np.ndarray) -> np.ndarray:  # noqa: N802
    num_classes = probs_NK.shape[1]
    cell_N = labels_N * num_classes + probs_NK.argmax(axis=1)
    counts_BC = weights_BN @ np.eye(num_classes**2)[cell_N]
    counts_BKK: np.ndarray = counts_BC.reshape(-1, num_classes, num_classes)
    return counts_BKK


def _from_confusion(counts_BKK: np.ndarray) -> dict[str, np.ndarray]:
    right_BK = np.diagonal(counts_BKK, axis1=1, axis2=2)
    true_BK, predicted_BK = counts_BKK.sum(axis=2), counts_BKK.sum(axis=1)
    right_B, total_B = right_BK.sum(axis=1), true_BK.sum(axis=1)
    recall_BK = _ratio(right_BK, true_BK)
    f1_BK = np.where(true_BK > 0, _ratio(2 * right_BK, true_BK + predicted_BK), np.nan)
    several_B = (true_BK > 0).sum(axis=1) > 1
    spread_B = np.sqrt((total_B**2 - (true_BK**2).sum(axis=1)) * (total_B**2 - (predicted_BK**2).sum(axis=1)))
    covariance_B = right_B * total_B - (true_BK * predicted_BK).sum(axis=1)
    mcc_B = np.where(spread_B > 0, _ratio(covariance_B, spread_B), 0.0)  # 0 by convention where one class is predicted
    values = {
        "accuracy": _ratio(right_B, total_B),
        "balanced_accuracy": np.where(several_B, _mean_of_present(recall_BK), np.nan),
        "macro_f1": _mean_of_present(f1_BK),
        "mcc": np.where(several_B, mcc_B, np.nan),
    }
    if counts_BKK.shape[1] == 2:
        values |= {"sensitivity": recall_BK[:, 1], "specificity": recall_BK[:, 0]}
    return values


def _quadratic_kappa(counts_BKK: np.ndarray, severity_K: np.ndarray) -> np.ndarray:
    """Return kappa_B, NaN where one class is true: then it is 0 whatever is predicted. Cohen 1968."""
    distance_KK = (severity_K[:, None] - severity_K[None, :]) ** 2
    true_BK, predicted_BK = counts_BKK.sum(axis=2), counts_BKK.sum(axis=1)
    observed_B = (distance_KK * counts_BKK).sum(axis=(1, 2)) * true_BK.sum(axis=1)
    by_chance_B = ((true_BK @ distance_KK) * predicted_BK).sum(axis=1)
    several_B = (true_BK > 0).sum(axis=1) > 1
    kappa_B: np.ndarray = np.where(several_B, 1 - _ratio(observed_B, by_chance_B), np.nan)
    return kappa_B


def _areas(scores_N: np.ndarray, positive_N: np.ndarray, weights_BN: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return AUROC and average precision, both of shape B; images of equal score enter together."""
    order_N = np.argsort(-scores_N, kind="stable")
    if len(order_N) == 0:
        return np.full(len(weights_BN), np.nan), np.full(len(weights_BN), np.nan)
    sorted_N = scores_N[order_N]
    starts_T = np.flatnonzero(np.r_[True, sorted_N[1:] != sorted_N[:-1]])
    positives_BT = np.add.reduceat(weights_BN[:, order_N] * positive_N[order_N], starts_T, axis=1)
    both_BT = np.add.reduceat(weights_BN[:, order_N], starts_T, axis=1)
    negatives_BT = both_BT - positives_BT
    hits_BT = positives_BT.cumsum(axis=1)
    positives_B, negatives_B = hits_BT[:, -1], negatives_BT.sum(axis=1)
    above_B = (negatives_BT * (hits_BT - positives_BT / 2)).sum(axis=1)
    auroc_B = _ratio(above_B, positives_B * negatives_B)
    precision_BT = np.nan_to_num(_ratio(hits_BT, both_BT.cumsum(axis=1)))
    precision_B = np.where(negatives_B > 0, _ratio((positives_BT * precision_BT).sum(axis=1), positives_B), np.nan)
    return auroc_B, precision_B


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Divide; NaN where the whole is 0."""
    shares: np.ndarray = np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)
    return shares


def _mean_of_present(values_BK: np.ndarray) -> np.ndarray:
    """Return means_B over the classes that are not NaN."""
    there_BK = ~np.isnan(values_BK)
    return _ratio(np.where(there_BK, values_BK, 0).sum(axis=1), there_BK.sum(axis=1))
