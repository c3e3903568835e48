"""Faults that a caller can explain to a user; each message is one line."""


class DataError(ValueError):
    """A data folder or file that cannot be used: what, where, the rule, the way out."""


class StateError(DataError):
    """A kept state of training that cannot be gone on from."""


class WeightsError(RuntimeError):
    """Pretrained weights that cannot be had."""


class ArchitectureError(ValueError):
    """A model that cannot be what its hyperparameters ask for: what, the rule, the way out."""


class TrainingFailed(RuntimeError):
    """A trial whose numbers cannot be trusted any more: the epoch and the likely cause."""


class OutOfMemory(TrainingFailed):
    """A batch that the device has no room for."""


class ExportError(RuntimeError):
    """A model that cannot be written in another format: why, and the way out."""


class ExplanationError(ValueError):
    """A map that cannot be computed, or would not be right: what was asked, the rule, the way out."""


class OneCell(ExplanationError):
    """A map of one cell, which shows no place: images are too small for the layer."""


def first_line(error: BaseException, most_characters: int | None = None) -> str:
    """Return the first line of what an error says, its type's name where it says nothing; cut where that is asked."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:most_characters]
