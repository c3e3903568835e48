"""A trial's files where its sweep is in an object store: brought to the node that works on it, and put back.

Without a store nothing of this does anything: every node has the sweep's folder.
"""

import os
import traceback
from collections.abc import Callable
from pathlib import Path

from orchestrator.object_store import ObjectStore, StoreFault, patiently
from orchestrator.stored_folder import StoredFolder
from orchestrator.tuning.test_data import TestData
from orchestrator.tuning.trial_log import LOG, WITNESS
from orchestrator.tuning.trial_setup import TrialConfig, TrialSetup, read_setup
from trainables.evaluation.trial_files import BEST_VALIDATION, BEST_WEIGHTS, EPOCH_WEIGHTS
from trainables.training.checkpoint import STATES, state_files

REPORTED = (BEST_VALIDATION, LOG, WITNESS)  # small, and read by the driver
PATIENCE_S = 600.0  # of a process that cannot begin without the store; it would only fail
AT_THE_END_S = 60.0  # then weights that did not arrive are trained again, where they are needed


def setup_of(config: TrialConfig) -> TrialSetup:
    """Return what trials share, with places of this node. Raises StoreFault where the store stays away."""
    return setup_here(patiently(lambda: read_setup(config.setup), PATIENCE_S))


def setup_here(setup: TrialSetup) -> TrialSetup:
    """Return the setup with places of this node, which gets what a trial begins with. Raises StoreFault."""
    if not setup.store or _is_drivers(setup):
        return setup
    from orchestrator.tuning.shipping import node_cache

    folder = node_cache() / "stored" / setup.trials.parent.name
    development = _brought(setup, setup.development, folder)
    os.utime(folder)  # in use: see cache_upkeep
    here = {"trials": folder / "trials", "development": development, "state_wanted": None, "is_elsewhere": True}
    return setup.model_copy(update=here)


def test_data_here(test: TestData, setup: TrialSetup) -> TestData:
    """Return where this node has the rows of the test images. Raises StoreFault."""
    if not setup.is_elsewhere:
        return test
    return test.model_copy(update={"rows": _brought(setup, test.rows, setup.trials.parent)})


def results_here(folder: Path, setup: TrialSetup) -> Path:
    """Return where this node writes a finalist's evaluation."""
    return setup.trials.parent / "finalists" / folder.name if setup.is_elsewhere else folder


def keep_results(folder: Path, setup: TrialSetup) -> None:
    """Put a finalist's evaluation where the driver finds it. Raises StoreFault where the store stays away."""
    if setup.store:
        stored = stored_results(setup.store, folder)
        patiently(stored.put, PATIENCE_S)
        if setup.is_elsewhere:
            stored.leave()


class TrialPlace:
    """The files of one trial, for the process that works on it."""

    def __init__(self, setup: TrialSetup, config: TrialConfig) -> None:
        folder = setup.trial_folder(config)
        self._is_elsewhere, self._is_behind, self._stored = setup.is_elsewhere, False, None
        if setup.store:
            self._stored = stored_trial(setup.store, setup.trials, folder)

    def begin(self, with_states: bool = True) -> None:
        """Bring what others left. Raises StoreFault where the store stays away."""
        if self._stored is not None:
            wanted = _anything if with_states else _is_no_state
            patiently(lambda: self._stored.fetch(wanted), PATIENCE_S)  # type: ignore[union-attr]

    def keep(self, is_last: bool = False) -> None:
        """Put what changed, before others hear of it; a store that is away is no reason to stop."""
        if self._stored is not None:
            try:
                patiently(self._stored.put, AT_THE_END_S if is_last else 0.0)
                self._is_behind = False
            except StoreFault:
                traceback.print_exc()  # into the trial's log
                self._is_behind = True

    def leave(self) -> None:
        """Free this node's disk, but of what the store has not got."""
        if self._stored is not None and self._is_elsewhere:
            if self._is_behind:
                self.keep()
            if not self._is_behind:
                self._stored.leave()

    def forget(self) -> None:
        """Let the store forget a training whose files nobody needs any more."""
        if self._stored is not None:
            try:
                self._stored.remove()
            except StoreFault:
                traceback.print_exc()


def stored_trial(store: str, trials: Path, folder: Path) -> StoredFolder:
    """Return the stored copy of the folder of a trial, or of a finalist that is trained again."""
    key = folder.relative_to(trials).as_posix()
    return StoredFolder(ObjectStore(store).below(f"trials/{key}"), folder, _names_in_trial)


def stored_results(store: str, folder: Path) -> StoredFolder:
    """Return the stored copy of a finalist's evaluation."""
    return StoredFolder(ObjectStore(store).below(f"finalists/{folder.name}"), folder, _all_names)


def bring_finalist(setup: TrialSetup, config: TrialConfig, results: Path | None) -> None:
    """Bring a finalist's weights to the driver, and its evaluation. Raises StoreFault."""
    stored_trial(setup.store, setup.trials, setup.trial_folder(config)).fetch(_is_no_state)
    if results is not None:
        stored_results(setup.store, results).fetch()


def is_reported(name: str) -> bool:
    """Tell whether the driver reads a file of every trial that ended."""
    return name in REPORTED


def is_doomed(weights: bool, states: bool) -> Callable[[str], bool]:
    """Return what tells which files of a trial go."""
    prefixes = ((BEST_WEIGHTS, EPOCH_WEIGHTS) if weights else ()) + ((STATES,) if states else ())
    return lambda name: name.startswith(prefixes)


def _is_no_state(name: str) -> bool:
    return not name.startswith(STATES)


def _anything(name: str) -> bool:
    return True


def _names_in_trial(folder: Path) -> list[str]:
    """Return the files of a trial, what a state needs before the state."""
    first = [folder / BEST_WEIGHTS, folder / BEST_VALIDATION, *sorted(folder.glob(f"{EPOCH_WEIGHTS}*.safetensors"))]
    paths = [*first, folder / LOG, folder / WITNESS, *reversed(state_files(folder))]
    return [path.name for path in paths if path.is_file()]


def _all_names(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]


def _is_drivers(setup: TrialSetup) -> bool:
    """Tell whether this machine has the sweep's folder, not one that it had as an earlier driver."""
    try:
        return read_setup(str(setup.file)).token == setup.token
    except (OSError, ValueError):
        return False


def _brought(setup: TrialSetup, path: Path, folder: Path) -> Path:
    """Return where this node has a file of the driver's: brought anew, as a resumed sweep may have another."""
    here = folder / path.name
    patiently(lambda: ObjectStore(setup.store).get(path.name, here), PATIENCE_S)
    return here
