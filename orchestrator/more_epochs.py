"""Which trials of a finished sweep train further when its epochs are raised, and for how many each was planned."""

from collections.abc import Iterable

from orchestrator.journal import Event, SweepResumed, SweepStarted, TrialSuggested
from orchestrator.ranking import choose_finalists
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


def epochs_to_repeat(events: Iterable[Event], trial: TrialState) -> int | None:
    """Return how many epochs a training that is to be the same as a trial's is planned for; None where any will do."""
    return epochs_planned(events, trial.number) if trial.hyperparameters.get("lr_schedule") in RATES_END else None


def epochs_planned(events: Iterable[Event], number: int) -> int:
    """Return how many epochs a trial was planned for when it was suggested; rates that end do so with the last."""
    epochs = 0
    for event in events:
        if isinstance(event, SweepStarted | SweepResumed):
            epochs = event.plan.budget.epochs
        elif isinstance(event, TrialSuggested) and event.trial == number:
            break
    return epochs
