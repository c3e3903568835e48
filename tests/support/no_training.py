"""Trials that train nothing, as Ray Tune runs them: what is left of a sweep without its models."""

import time
from pathlib import Path
from typing import Any

from ray import tune

from orchestrator.tuning.trial_setup import TrialSetup, trial_folder
from trainables.durable import put_in_place
from trainables.training.checkpoint import KEPT_STATES, state_files

EPOCHS = 4
STATE = bytes(10_000)


class NoTraining(tune.Trainable):
    """A trial whose epochs are over at once, or after a nap, and that keeps a small state of each as real ones do."""

    def setup(self, config: dict[str, Any]) -> None:
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._begin(new_config)
        return True

    def _begin(self, config: dict[str, Any]) -> None:
        setup = TrialSetup.model_validate_json(Path(config["setup"]).read_text())
        self._epochs = setup.epochs
        self._nap_s = setup.epoch_timeout_s / setup.epochs
        self._folder = trial_folder(setup.trials, config["trial"])
        self._folder.mkdir(parents=True, exist_ok=True)
        self._epoch = 0

    def step(self) -> dict[str, Any]:
        time.sleep(self._nap_s)
        self._epoch += 1
        part = self._folder / "state.part"
        part.write_bytes(STATE)
        put_in_place(part, self._folder / f"state_epoch_{self._epoch:04d}.pt")
        for old in state_files(self._folder)[KEPT_STATES:]:
            old.unlink(missing_ok=True)
        auroc = 0.5 + 0.4 * ((hash(str(self._folder)) % 1000) / 1000)
        metrics = {"val/auroc": auroc, "val/log_loss": 0.5, "train/loss": 0.5, "perf/epoch_s": self._nap_s}
        return {"epoch": self._epoch, **metrics, "stopped": "", "done": self._epoch >= self._epochs}

    def save_checkpoint(self, checkpoint_dir: str) -> None: ...

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None: ...


def write_setup(folder: Path, nap_s: float, epochs: int = EPOCHS) -> Path:
    """Write what these trials read; each of them naps for so long in all."""
    setup = TrialSetup(
        task="stroke", development=folder / "none", development_digest="", arrays={}, pretrained=False, epochs=epochs,
        metric="auroc", device="cpu", threads=1, trials=folder / "trials", epoch_timeout_s=nap_s,
    )  # fmt: skip
    (folder / "trial_setup.json").write_text(setup.model_dump_json())
    return folder / "trial_setup.json"
