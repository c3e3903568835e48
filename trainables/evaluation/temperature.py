"""Temperature scaling: one number, fitted on validation, that makes probabilities as sure as they are right."""

from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax, softmax

LOWEST, HIGHEST = 0.1, 10.0  # perfectly separated images would ask for 0, labels that nothing tells for infinity
CALIBRATION_METRICS = ("ece", "ece_adaptive", "log_loss", "brier")


@dataclass(frozen=True)
class Temperature:
    """What logits are divided by before the softmax; `note` says what to beware of."""

    value: float
    note: str = ""


def probabilities(logits_NK: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Return probs_NK in double precision, NaN where a logit is not finite; the most probable class stays the same."""
    with np.errstate(invalid="ignore"):
        probs_NK: np.ndarray = softmax(logits_NK.astype(np.float64) / temperature, axis=1)
    return probs_NK


def fit_temperature(logits_NK: np.ndarray, labels_N: np.ndarray) -> Temperature:
    """Return the temperature of the lowest log loss between LOWEST and HIGHEST; 1 where none is better than 1.

    The log loss has one minimum only, for it is convex in 1 / temperature. Guo et al. 2017.
    """
    if not np.isfinite(logits_NK).all():
        return Temperature(1.0, "not fitted: a validation logit is not finite")
    if len(labels_N) == 0:
        return Temperature(1.0, "not fitted: there is no validation image")

    def log_loss(log_temperature: float) -> float:
        log_probs_NK = log_softmax(logits_NK.astype(np.float64) / np.exp(log_temperature), axis=1)
        return -float(log_probs_NK[np.arange(len(labels_N)), labels_N].mean())

    bounds = (float(np.log(LOWEST)), float(np.log(HIGHEST)))
    from scipy.optimize import minimize_scalar  # here, as every trial imports this file for its softmax alone

    inside = float(minimize_scalar(log_loss, bounds=bounds, method="bounded", options={"xatol": 1e-6}).x)
    best = min((0.0, *bounds, inside), key=log_loss)
    if best < bounds[0] + 1e-4:
        return Temperature(LOWEST, f"at its lowest bound of {LOWEST:g}: validation has next to no error to learn from")
    if best > bounds[1] - 1e-4:
        return Temperature(HIGHEST, f"at its highest bound of {HIGHEST:g}: the model is sure and no better than chance")
    return Temperature(float(np.exp(best)))
