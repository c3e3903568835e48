"""Which trials of a finished sweep train further when its epochs are raised, and why others do not."""

from orchestrator.leaderboard import choose_finalists
from orchestrator.sweep_state import SweepState, TrialState
from trainables.configs.training import RATES_END


def trials_with_more_epochs(state: SweepState, epochs: int) -> list[int]:
    """Return the best trials that trained to what was the end so far and can go on to `epochs`."""
    return [trial.number for trial in choose_finalists(state) if not why_it_stays(trial, epochs)]


def why_it_stays(trial: TrialState, epochs: int) -> str:
    """Return why a trial does not train further, in words; empty where it does."""
    if trial.state != "completed":
        return "it was stopped early" if trial.state == "pruned" else f"it is {trial.state}"
    if trial.last_epoch >= epochs:
        return "it has trained all epochs"
    if trial.epochs[-1].stop_reason:
        return trial.epochs[-1].stop_reason
    schedule = trial.hyperparameters.get("lr_schedule")
    if schedule in RATES_END:
        return f"its rates ({schedule}) ended with epoch {trial.last_epoch}"
    return ""
