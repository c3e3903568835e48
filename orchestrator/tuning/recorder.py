"""Ray Tune's events -> journal lines; an epoch that the journal holds already is not told twice."""

import socket
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.result import HOSTNAME

from orchestrator.errors import DiskFull
from orchestrator.journal import EpochEnded, Event, MicroBatchLimited, TrialEnd, TrialEnded, TrialStarted
from orchestrator.open_sweep import OpenSweep
from orchestrator.sweep_state import TrialState
from orchestrator.tuning.faults import MOST_CHARACTERS, in_one_line, without_folders
from orchestrator.tuning.stopping import Stopping
from orchestrator.tuning.trainable import DISK_FULL, EPOCH, FAILED, STOPPED, UNFIT
from orchestrator.tuning.trial import MICRO_BATCH
from orchestrator.tuning.trial_files import TrialFiles
from orchestrator.tuning.trial_log import (
    KILLED,
    LOG,
    MOST_NODES_LOST,
    MOST_TIMES_KILLED,
    NODE_LOST,
    SILENT,
    cause_of_death,
    size_bytes,
)
from trainables.training.disk import says_disk_full

if TYPE_CHECKING:
    from orchestrator.tuning.searcher import OptunaSearcher

METRIC_SECTIONS = ("train/", "val/", "perf/")
LOSS_SHOWS_AFTER_S = 0.5  # a trial's process can die a moment before the Ray that it dies with


def end_of(trial: TrialState, state: TrialEnd, reason: str) -> tuple[TrialEnd, str]:
    """Return how a trial ends: one that had trained all its epochs stays completed, whatever came after."""
    if trial.is_extended and state != "completed":
        return "completed", f"more epochs than planned at first came to an end: {reason}"
    return state, reason


class JournalRecorder(Callback):
    """Write what happens to each trial, in the order in which it happens.

    `stop_reasons` are the scheduler's, by trial number. A trial that ends with an interruption gets no last line: it
    will go on.
    """

    def __init__(
        self,
        sweep: OpenSweep,
        files: TrialFiles,
        stopping: Stopping,
        stop_reasons: dict[int, str],
        searcher: "OptunaSearcher",
    ) -> None:
        self._sweep = sweep
        self._files = files
        self._stopping = stopping
        self._stop_reasons = stop_reasons
        self._searcher = searcher
        self._times_killed: Counter[int] = Counter()
        self._nodes_lost: Counter[tuple[int, int]] = Counter()  # trial, its last epoch
        # of a process that a driver before this one began; one of this driver that says why it dies does not go on
        self._said_bytes = {
            trial.number: size_bytes(files.folder(trial.number) / LOG)
            for trial in sweep.state.trials.values()
            if not trial.has_ended
        }

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Record that a trial got an actor."""
        self._stopping.running.add(trial.trial_id)
        number = trial.config["trial"]
        self._append(TrialStarted(trial=number, after_epoch=self._sweep.state.trials[number].last_epoch))

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Record one epoch."""
        number, state = trial.config["trial"], self._sweep.state
        if EPOCH not in result or result[EPOCH] != state.trials[number].last_epoch + 1:
            return  # told already, or one before it found no room: then all are told again when the sweep is resumed
        metrics = {name: value for name, value in result.items() if name.startswith(METRIC_SECTIONS)}
        self._append(
            EpochEnded(
                trial=number,
                epoch=result[EPOCH],
                metrics=metrics,
                stop_reason=result.get(STOPPED) or "",
                node=_node_of(result),
            )
        )
        self._note_limit(number, metrics.get(MICRO_BATCH))
        self._look_at_limit()

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Record how a trial ended; not where its last epoch found no room: a resumed sweep tells both."""
        self._stopping.running.discard(trial.trial_id)
        number, last = trial.config["trial"], trial.last_result
        epochs = self._sweep.state.plan.budget.epochs
        if last.get(EPOCH, 0) > self._sweep.state.trials[number].last_epoch:
            return
        if last.get(DISK_FULL):
            where = f" on node {node}" if (node := _node_of(last)) else ""
            self._stopping.request("disk", last[DISK_FULL] + where)
        elif last.get(FAILED):
            self._end(number, "failed", last[FAILED])
        elif last.get(STOPPED) or last.get(EPOCH, 0) >= epochs:
            self._end(number, "completed", last.get(STOPPED) or f"all {epochs} epochs trained")
        elif number in self._stop_reasons:
            self._end(number, "pruned", self._stop_reasons[number])
        elif self._stopping.out_of_time and not self._stopping.requested:
            self._end(number, "pruned", f"epoch {last.get(EPOCH, 0)}: {self._stopping.out_of_time_reason}")

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Record that a trial's process died, with the last line of what Ray knows; not where Ray itself is lost.

        One that was killed from outside goes on, in another process, from its last state.
        """
        self._stopping.running.discard(trial.trial_id)
        if not self._stopping.requested:
            time.sleep(LOSS_SHOWS_AFTER_S)
        if self._stopping.requested:
            return
        number = trial.config["trial"]
        if self._sweep.state.trials[number].state == "waiting":  # its actor failed before it could begin
            self._append(TrialStarted(trial=number))
        # not trial.get_error(): that reads the copy in storage, which is written later
        file = Path(trial.error_file) if trial.error_file else None
        text = file.read_text(encoding="utf-8", errors="replace") if file and file.is_file() else ""
        if UNFIT in text:
            self._stopping.request("node", in_one_line(text))
            return
        if says_disk_full(text):
            self._stopping.request("disk", "a trial could not begin")
            return
        cause = cause_of_death(self._files.folder(number) / LOG, self._said_bytes.get(number, 0))
        if not cause and self._goes_on(number, text):
            self._searcher.go_on(number)
            return
        self._searcher.give_up(number)
        self._end(number, "failed", in_one_line(cause or text) or SILENT)

    def _goes_on(self, number: int, text: str) -> bool:
        """Tell whether a trial that did not end by itself is begun again; machines come and go on a cluster."""
        if any(words in text for words in NODE_LOST):
            key = (number, self._sweep.state.trials[number].last_epoch)
            self._nodes_lost[key] += 1
            return self._nodes_lost[key] <= MOST_NODES_LOST
        self._times_killed[number] += KILLED in text
        return KILLED in text and self._times_killed[number] <= MOST_TIMES_KILLED

    def __getstate__(self) -> dict[str, Any]:
        """Pickle nothing: Ray pickles the whole Tuner once, and never reads it back here."""
        return {}

    def _end(self, number: int, state: TrialEnd, reason: str) -> None:
        reason = without_folders(reason)[:MOST_CHARACTERS]
        state, reason = end_of(self._sweep.state.trials[number], state, reason)
        self._files.bring(number)
        self._append(TrialEnded(trial=number, state=state, reason=reason))
        self._files.trial_ended(number)
        self._look_at_limit()

    def _look_at_limit(self) -> None:
        if self._files.over_limit():
            self._stopping.request("disk", "the trials that run need more than --max-disk; resume with a larger one")

    def _append(self, event: Event) -> None:
        """Write a line; what finds no room is told again from the trial's own state when the sweep is resumed."""
        try:
            self._sweep.append(event)
        except DiskFull as error:
            self._stopping.request("disk", str(error))

    def _note_limit(self, number: int, micro_batch: float | None) -> None:
        """Remember for an architecture how many images at a time the device held."""
        state = self._sweep.state
        architecture = state.trials[number].architecture
        if micro_batch and int(micro_batch) < state.micro_batch_limits.get(architecture, 10**9):
            limit = MicroBatchLimited(trial=number, architecture=architecture, micro_batch_size=int(micro_batch))
            self._append(limit)


def _node_of(result: dict[str, Any]) -> str:
    """Return the machine that a result comes from; empty where it is this one."""
    host: str = result.get(HOSTNAME, "")
    return "" if host == socket.gethostname() else host
