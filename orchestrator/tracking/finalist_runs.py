"""What the runs of finalists are sent beyond their search: evaluations, trainings again, and what of it is void."""

from pathlib import Path

from mlflow import MlflowClient

from orchestrator.journal import FinalistEvaluated
from orchestrator.sweep_state import SweepState
from orchestrator.tracking.finalist_files import folder_of
from orchestrator.tracking.finalist_metrics import (
    Retrained,
    finalist_metrics,
    finalist_tags,
    retrained_metrics,
    standing,
    void_metrics,
)
from orchestrator.tracking.run_outbox import RunOutbox

STANDING_TAG = "orchestrate.finalist"


class FinalistRuns:
    """Sends to a finalist's run what the journal tells of it; the outcome is the same however often, and when."""

    def __init__(self, client: MlflowClient, outbox: RunOutbox, sweep: Path) -> None:
        self._client = client
        self._outbox = outbox
        self._sweep = sweep

    def send_evaluation(self, run_id: str, state: SweepState, event: FinalistEvaluated) -> None:
        """Send a finalist's metrics with their 95 % intervals, and the files of its evaluation."""
        tags = {f"orchestrate.{key}": value for key, value in finalist_tags(event).items()}
        self._outbox.put_changes(run_id, finalist_metrics(event))
        self._outbox.put(run_id, tags=tags | {STANDING_TAG: standing(state, event.trial)})
        self._outbox.send(run_id)
        if (folder := folder_of(self._sweep, event.trial)).is_dir():
            self._client.log_artifacts(run_id, str(folder), "evaluation")

    def send_retrained(self, run_id: str, state: SweepState, event: Retrained) -> None:
        """Send a finalist's validation metrics on one fold or from one seed, and their spread over those so far."""
        self._outbox.put_changes(run_id, retrained_metrics(event, state))
        self._outbox.send(run_id)

    def send_void(self, run_id: str, state: SweepState, number: int, since: float | None = None) -> None:
        """Take back what of a trial was measured and no longer counts, all of it or what is void since one line."""
        void = [one for one in state.void[number] if since in (None, one.since)]
        self._outbox.put_changes(run_id, void_metrics(void, state))
        if any(isinstance(one.event, FinalistEvaluated) for one in void):
            self._outbox.put(run_id, tags={STANDING_TAG: standing(state, number)})
        self._outbox.send(run_id)

    def send_standing(self, run_id: str, state: SweepState, number: int) -> None:
        """Say whether a trial that was evaluated is a finalist still, now that the sweep has ended."""
        self._outbox.put(run_id, tags={STANDING_TAG: standing(state, number)})
        self._outbox.send(run_id)
