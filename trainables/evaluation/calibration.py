"""Whether a probability means what it says: expected calibration error of the predicted class."""

import numpy as np

ECE_BINS = 15


def expected_calibration_error(
    probs_NK: np.ndarray, labels_N: np.ndarray, equal_mass: bool = False, bins: int = ECE_BINS
) -> float | None:
    """Return ECE: the gap between confidence and accuracy, averaged over bins of confidence; None without images.

    Bins are of equal width, or with equal_mass of about equally many images (equal confidences stay together, so that
    the order of the images does not matter). Biased upwards for few images, the more so the more bins. Guo et al.
    2017; Nguyen and O'Connor 2015 for equal mass.
    """
    if len(labels_N) == 0:
        return None
    confidence_N = probs_NK.max(axis=1)
    gap_N = (probs_NK.argmax(axis=1) == labels_N) - confidence_N
    inner = np.linspace(0, 1, bins + 1)[1:-1]
    edges = np.quantile(confidence_N, inner) if equal_mass else inner
    bin_N = np.searchsorted(edges, confidence_N, side="right")
    return float(np.abs(np.bincount(bin_N, weights=gap_N, minlength=bins)).sum() / len(labels_N))
