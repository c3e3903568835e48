"""What one trial needs, and what an epoch of it gives."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """What one trial needs; `folder` receives the weights and predictions of its best validation epoch.

    `keep_state_s`: seconds after which the state of training is written again at the latest, at the end of an epoch;
    a run whose folder holds a state goes on from there. None: no state is kept. While the file `state_wanted` exists
    it is written after every epoch. `known_epochs`: records up to that epoch are known already and not yielded again
    from a state. `keep_every_epochs`: the weights after every so many epochs are kept beside the best ones; 0: none.
    """

    architecture: str
    hyperparameters: Mapping[str, Any]  # all of them
    num_classes: int
    pretrained: bool
    epochs: int
    seed: int
    metric: str
    device: str
    folder: Path
    data_digest: str = ""  # of the rows and their sides: a state goes on with the same ones only
    severity_K: tuple[int, ...] = ()  # rank of each class, where they have an order
    weights: Path | None = None  # to begin from, instead of pretrained or random ones
    keep_state_s: float | None = None
    state_wanted: Path | None = None
    known_epochs: int = 0
    keep_every_epochs: int = 0


@dataclass(frozen=True)
class EpochRecord:
    """One finished epoch: metrics by name (`train/`, `val/`, `perf/`), and whether it is the best so far.

    `stop_reason` says why no other follows, where that is before the last one.
    """

    epoch: int
    metrics: dict[str, float | None]
    is_best: bool
    stop_reason: str = ""


def epochs_of(run: TrainingRun) -> int:
    """Return how many epochs a run has at most: the sweep's, or its own where those are fewer."""
    own: int = run.hyperparameters.get("most_epochs", 0)  # older journals have none
    return min(run.epochs, own or run.epochs)


def half_at_once(hyperparameters: Mapping[str, Any]) -> int:
    """Return half of the images at a time; 0 where that is none, or where the whole batch is needed at once."""
    whole = hyperparameters["imbalance"] == "hem" and hyperparameters["hem_mode"] == "reuse_loss"
    at_once: int = hyperparameters["micro_batch_size"] or hyperparameters["batch_size"]
    return 0 if whole else at_once // 2
