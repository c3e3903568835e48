"""Journal events -> MLflow runs: one parent per sweep, one child per trial for life, found by tag before created."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag

from orchestrator.home import Home
from orchestrator.journal import EpochEnded, FinalistEvaluated, FoldEvaluated, Registered, SeedEvaluated, SweepResumed
from orchestrator.promotion.policy import policy_file
from orchestrator.ranking import leaderboard, to_markdown
from orchestrator.sweep_folder import CODE, CODE_RESUMED
from orchestrator.sweep_request import images_of
from orchestrator.sweep_state import SweepState, TrialState
from orchestrator.tracking.dataset_inputs import log_dataset
from orchestrator.tracking.finalist_files import missing_files
from orchestrator.tracking.finalist_runs import FinalistRuns
from orchestrator.tracking.logged_model import SWEEP_TAG
from orchestrator.tracking.outcome import SyncOutcome
from orchestrator.tracking.registry import register_winner
from orchestrator.tracking.rival import HeldOutImages
from orchestrator.tracking.run_outbox import RunOutbox
from orchestrator.tracking.run_tags import resumption_tags, sweep_tags, trial_tags
from orchestrator.tracking.trial_figures import send_figures
from trainables.evaluation.trial_files import BEST_WEIGHTS

STATUS = {
    "running": "RUNNING",
    "completed": "FINISHED",
    "pruned": "KILLED",
    "interrupted": "KILLED",
    "failed": "FAILED",
}


SWEEP_STATUS = {"completed": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}
LINES_TAG = "orchestrate.lines_sent"  # of the parent run: a store that is put back from a backup knows what it lacks


class SweepRuns:
    """The runs of one sweep in one MLflow store; every call may be repeated without doubling anything."""

    def __init__(self, client: MlflowClient, experiment_id: str, sweep: Path, outcome: SyncOutcome, home: Home) -> None:
        self._client = client
        self._experiment_id = experiment_id
        self._sweep = sweep
        self._outcome = outcome
        self._home = home
        self.lines_held = 0  # of the journal, by the store's own account
        self._outbox = RunOutbox(client)
        self._finalists = FinalistRuns(client, self._outbox, sweep)

    def adopt(self, sweep_id: str) -> None:
        """Find the runs that were made for this sweep: the store says which there are, not our note."""
        parent: str | None = None
        of_trials: dict[int, str] = {}
        for run in self._search(sweep_id):
            tags, run_id = run.data.tags, run.info.run_id
            self._outbox.note_held(run)
            if tags.get("orchestrate.role") == "sweep":
                parent, lines = run_id, tags.get(LINES_TAG, "")
                self.lines_held = int(lines) if lines.isdecimal() else 0
            else:
                of_trials[int(tags["orchestrate.trial_id"])] = run_id
        self._outcome.run_id, self._outcome.trial_run_ids = parent, of_trials

    def note_lines(self, count: int) -> None:
        """Leave word in the store of how many lines it was sent, once it was."""
        if self._outcome.run_id is not None:
            self._client.set_tag(self._outcome.run_id, LINES_TAG, str(count))

    def send_sweep(self, state: SweepState) -> None:
        """Make sure that the parent run exists."""
        if self._outcome.run_id is None:
            run = self._client.create_run(
                self._experiment_id,
                start_time=_ms(state.started.time),
                run_name=state.started.sweep_id,
                tags=sweep_tags(state),
            )
            self._outcome.run_id = run.info.run_id
        plan = state.started.plan  # parameters are for good; what a resumption raises is a tag
        params = {
            "sweep": plan.sweep,
            "trials": plan.budget.trials,
            "epochs": plan.budget.epochs,
            "finalists": plan.budget.finalists,
            "search": plan.search.algorithm,
            "scheduler": plan.scheduler.name,
            "metric": plan.metric,
            "slots": state.started.slots,
        }
        self._client.log_batch(self._outcome.run_id, params=[Param(key, str(value)) for key, value in params.items()])
        self._client.log_text(self._outcome.run_id, plan.model_dump_json(indent=2), "plan.json")
        log_dataset(self._client, self._outcome.run_id, plan, "sweep")
        self._send_code_and_data(self._outcome.run_id)

    def _send_code_and_data(self, run_id: str) -> None:
        for name in (CODE, CODE_RESUMED):
            if (self._sweep / name).is_file():
                self._client.log_artifact(run_id, str(self._sweep / name))
        if (self._sweep / "data").is_dir():  # what was found in the data, the split, sheets of samples
            self._client.log_artifacts(run_id, str(self._sweep / "data"), "data")

    def send_resumption(self, state: SweepState) -> None:
        """Open the parent run again, with the plan as it is now and the code that it goes on with."""
        assert self._outcome.run_id is not None and state.resumed is not None
        self._client.update_run(self._outcome.run_id, "RUNNING")
        tags = [RunTag(key, value) for key, value in resumption_tags(state).items()]
        self._client.log_batch(self._outcome.run_id, tags=tags)
        self._client.log_text(self._outcome.run_id, state.plan.model_dump_json(indent=2), "plan.json")
        self._send_code_and_data(self._outcome.run_id)

    def send_trial(self, state: SweepState, trial: TrialState) -> None:
        """Make sure that the trial's run exists, holds its hyperparameters, and is open again where it goes on."""
        params = {name: _shown(value) for name, value in trial.hyperparameters.items()}
        known = trial.number in self._outcome.trial_run_ids
        run_id = self._run_id(state, trial)
        assert self._outcome.run_id is not None
        parent = {"mlflow.parentRunId": self._outcome.run_id}  # another one where somebody deleted the first
        self._outbox.put(run_id, params={**params, "seed": str(trial.seed)}, tags=parent)
        log_dataset(self._client, run_id, state.plan, "training and validation")
        if known and trial.state == "running":
            self._client.update_run(run_id, "RUNNING")

    def send_epochs(self, state: SweepState, epochs: Iterable[EpochEnded]) -> None:
        """Let the metrics of epochs wait for `send_all`; a point that the store has is not sent again.

        It may have one that the journal lost with the machine, and tells again with another time.
        """
        for event in epochs:
            self._outbox.put_points(self._run_id(state, state.trials[event.trial]), _metrics(event))

    def send_all(self) -> None:
        """Send what waits of trials' parameters and epochs."""
        self._outbox.send_all()

    def send_trial_end(self, state: SweepState, trial: TrialState) -> None:
        """Send how a trial ended: its best epoch, state and reason in words, status. Its figures are due then."""
        run_id = self._run_id(state, trial)
        tags = {"orchestrate.state": trial.state, "orchestrate.stop_reason": trial.reason}
        metrics = []
        if trial.best is not None:
            tags["orchestrate.best_epoch"] = str(trial.best.epoch)
            metrics = [
                Metric(f"best/{name}", value, _ms(trial.best.time), trial.best.epoch)
                for name, value in trial.validation.items()
                if value is not None
            ]
            if trial.number not in self._outcome.figures_due:
                self._outcome.figures_due.append(trial.number)
        self._outbox.put_points(run_id, metrics)
        self._outbox.put(run_id, tags=tags)
        self._outbox.send(run_id)
        self._client.set_terminated(run_id, STATUS[trial.state], _ms(trial.ended_at or trial.started_at))

    def send_finalist(self, state: SweepState, event: FinalistEvaluated) -> None:
        """Send what a finalist's evaluation found, and its files."""
        self._outcome.missing[event.trial] = missing_files(self._sweep, state.plan.task, event)
        self._finalists.send_evaluation(self._run_id(state, state.trials[event.trial]), state, event)

    def send_retrained(self, state: SweepState, event: FoldEvaluated | SeedEvaluated) -> None:
        """Send how a finalist did on one fold or from one seed."""
        self._finalists.send_retrained(self._run_id(state, state.trials[event.trial]), state, event)

    def send_void(self, state: SweepState, event: EpochEnded | SweepResumed) -> None:
        """Take back what a line of the journal made void; in its place, as points that say the same are not sent."""
        for number, known in state.void.items():
            if any(void.since == event.time for void in known):
                self._finalists.send_void(self._run_id(state, state.trials[number]), state, number, event.time)

    def can_register(self, state: SweepState) -> bool:
        """Tell whether the winner is one of now: a resumed sweep may have made its evaluation void, or its files go."""
        return state.winner in state.finalists and self._weights(state).is_file()

    def register(self, state: SweepState) -> Registered:
        """Register the winner's best weights as a version of the task's model, and ask the policy for its place."""
        assert state.winner is not None
        run_id = self._run_id(state, state.trials[state.winner])
        images, policy = images_of(self._sweep), policy_file(self._home)
        judge = None if images is None else HeldOutImages(self._home, images, "the sweep's images").judge(self._client)
        return register_winner(self._client, state, self._sweep, self._experiment_id, run_id, policy, judge)

    def send_sweep_end(self, state: SweepState) -> None:
        """Close every run that is still open; the parent's note is the leaderboard."""
        for trial in state.trials.values():
            if trial.state == "interrupted":
                self.send_trial_end(state, trial)
            if trial.number in state.finalists:
                self._finalists.send_standing(self._run_id(state, trial), state, trial.number)
        assert self._outcome.run_id is not None and state.ended is not None
        note = to_markdown(leaderboard([state]), state.plan.metric)
        tags = {"mlflow.note.content": note, "orchestrate.state": state.ended.state}
        tags["orchestrate.winner_trial_id"] = "none" if state.winner is None else str(state.winner)
        self._client.log_batch(self._outcome.run_id, tags=[RunTag(key, value) for key, value in tags.items()])
        self.send_report(state)
        self._client.set_terminated(self._outcome.run_id, SWEEP_STATUS[state.ended.state], _ms(state.ended.time))

    def send_report(self, state: SweepState) -> None:
        """Send the report of a sweep that came to its end: of other ends there is none, or an old one."""
        if self._outcome.run_id and state.has_completed and (self._sweep / "report").is_dir():
            self._client.log_artifacts(self._outcome.run_id, str(self._sweep / "report"), "report")

    def reconcile(self, state: SweepState) -> None:
        """Hold MLflow against the journal and send again what is missing: runs, last epochs, statuses."""
        runs = {run.info.run_id: run for run in self._search(state.started.sweep_id)}
        parent = runs.get(self._outcome.run_id or "")
        if state.ended is None and parent is not None and parent.info.status != "RUNNING":
            self._client.update_run(parent.info.run_id, "RUNNING")
        for trial in state.trials.values():
            if trial.state == "waiting" and not trial.epochs:
                continue  # no process has taken it up yet
            run = runs.get(self._outcome.trial_run_ids.get(trial.number, ""))
            if run is None:
                self._outcome.trial_run_ids.pop(trial.number, None)
            if run is None or not _has_everything(run, trial):
                self.send_trial(state, trial)
                self.send_epochs(state, trial.epochs)
            if run is not None and trial.state == "running" and run.info.status != "RUNNING":
                self._client.update_run(run.info.run_id, "RUNNING")
            if trial.state not in ("running", "waiting") and (run is None or run.info.status != STATUS[trial.state]):
                self.send_trial_end(state, trial)
            if run is None:
                self._send_finalist_whole(state, trial.number)
        self.send_all()
        if state.ended and parent is not None and parent.info.status != SWEEP_STATUS[state.ended.state]:
            self.send_sweep_end(state)

    def _send_finalist_whole(self, state: SweepState, number: int) -> None:
        """Send all that was measured of a trial beyond its search."""
        if number in state.finalists:
            self.send_finalist(state, state.finalists[number])
        for known in (state.seeds, state.folds):
            for event in known.get(number, {}).values():
                self.send_retrained(state, event)
        if number in state.void:
            self._finalists.send_void(self._run_id(state, state.trials[number]), state, number)

    def _weights(self, state: SweepState) -> Path:
        assert state.winner is not None
        return self._sweep / "trials" / f"{state.winner:04d}" / BEST_WEIGHTS

    def _run_id(self, state: SweepState, trial: TrialState) -> str:
        """Return the id of the trial's run, created where no earlier sync did."""
        known = self._outcome.trial_run_ids.get(trial.number)
        if known is not None:
            return known
        assert self._outcome.run_id is not None
        run = self._client.create_run(
            self._experiment_id,
            start_time=_ms(trial.started_at),
            run_name=f"{trial.number:04d} {trial.architecture}",
            tags=trial_tags(state, trial, self._outcome.run_id),
        )
        self._outcome.trial_run_ids[trial.number] = run.info.run_id
        return str(run.info.run_id)

    def _search(self, sweep_id: str) -> Iterator[Run]:
        token = None
        while True:
            page = self._client.search_runs(
                [self._experiment_id], f"tags.`{SWEEP_TAG}` = '{sweep_id}'", max_results=1000, page_token=token
            )
            yield from page
            token = page.token
            if not token:
                return

    def send_figures(self, state: SweepState, trial: TrialState) -> None:
        """Draw and send a trial's figures."""
        send_figures(self._client, self._run_id(state, trial), self._sweep, state, trial)


def _ms(time_s: float) -> int:
    return int(time_s * 1000)


def _shown(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _metrics(event: EpochEnded) -> list[Metric]:
    at_ms = _ms(event.time)
    return [Metric(name, value, at_ms, event.epoch) for name, value in event.metrics.items() if value is not None]


def _has_everything(run: Run, trial: TrialState) -> bool:
    """Tell whether parameters and the latest value of each metric are the journal's; earlier ones were sent before."""
    latest = {metric.key: metric for epoch in trial.epochs for metric in _metrics(epoch)}
    return trial.hyperparameters.keys() <= run.data.params.keys() and all(
        run.data.metrics.get(key) == metric.value for key, metric in latest.items()
    )
