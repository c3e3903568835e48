"""The files that a trial leaves in its folder; named here, where nothing heavy is imported."""

BEST_WEIGHTS = "best.safetensors"
BEST_VALIDATION = "best_validation.npz"
EPOCH_WEIGHTS = "model_epoch_"


def epoch_weights(epoch: int) -> str:
    """Return the name of the weights that are kept of one epoch, best or not."""
    return f"{EPOCH_WEIGHTS}{epoch:03d}.safetensors"
