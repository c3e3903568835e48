"""The files that a trial leaves in its folder; named here, where nothing heavy is imported."""

BEST_WEIGHTS = "best.safetensors"
BEST_VALIDATION = "best_validation.npz"
