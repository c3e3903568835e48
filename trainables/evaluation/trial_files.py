"""The files that a trial leaves in its folder; named here, where nothing heavy is imported."""

BEST_WEIGHTS = "best.safetensors"
BEST_VALIDATION = "best_validation.npz"


def epoch_weights(epoch: int) -> str:
    """Return the name of the weights that are kept of one epoch, best or not."""
    return f"model_epoch_{epoch:03d}.safetensors"
