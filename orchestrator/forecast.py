"""What a sweep will take, from the preflight's seconds per step: said before its first trial."""

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.journal import ArchitectureChecked
from orchestrator.plan import SweepPlan
from orchestrator.sweep_sections import Budget, Scheduler
from orchestrator.words import in_words, size_in_words

COPIES_OF_A_RUNNING_TRIAL = 8  # of its weights: two states with what the optimizer holds, and the best ones twice


@dataclass(frozen=True)
class Forecast:
    """Trials, epochs and seconds of the search; finalists are evaluated after it.

    `usual_s`: if the scheduler stops as many as it should; `most_s`: if it stops none, or the time budget.
    """

    trials: int
    most_epochs: int
    usual_s: float
    most_s: float
    gpus: int
    disk_bytes: int

    @property
    def gpu_hours(self) -> float:
        """Return GPU-hours as usual; 0 on CPUs."""
        return self.gpus * self.usual_s / 3600

    @property
    def sentence(self) -> str:
        """Return one line for people."""
        at_most = f", at most {in_words(self.most_s)}" if in_words(self.most_s) != in_words(self.usual_s) else ""
        on_gpus = f", {self.gpu_hours:.1f} GPU-hours" if self.gpus else ""
        disk = size_in_words(self.disk_bytes)
        return (
            f"forecast: {self.trials} trials, at most {self.most_epochs} epochs, about {in_words(self.usual_s)}"
            f"{at_most}{on_gpus}, {disk} of disk at once; then the finalists"
        )


def forecast(
    plan: SweepPlan, checked: Mapping[str, ArchitectureChecked], at_once: Mapping[str, int], gpus: int
) -> Forecast:
    """Return what the trials of a plan take, of each architecture so many at once, and each with its share of them."""
    budget, usual = plan.budget, 0.0
    for name in plan.architectures:
        usual += budget.trials / len(plan.architectures) * checked[name].epoch_s / at_once[name]
    share = usual_epochs(plan.scheduler, budget) / budget.epochs
    most_s = usual * budget.epochs
    if budget.time_s is not None:
        most_s = min(most_s, budget.time_s)
    return Forecast(
        trials=budget.trials,
        most_epochs=budget.trials * budget.epochs,
        usual_s=min(most_s, usual * budget.epochs * share),
        most_s=most_s,
        gpus=gpus,
        disk_bytes=max(
            least_disk_bytes(event.total_parameters, at_once[name], budget) for name, event in checked.items()
        ),
    )


def usual_epochs(scheduler: Scheduler, budget: Budget) -> float:
    """Return the mean epochs of a trial where one of `reduction_factor` trials passes each rung of ASHA."""
    if scheduler.name != "asha":
        return budget.epochs
    epochs, rung, share = 0.0, 0, 1.0
    following = min(scheduler.grace_epochs, budget.epochs)
    while rung < budget.epochs:
        epochs += share * (following - rung)
        share /= scheduler.reduction_factor
        rung, following = following, min(following * scheduler.reduction_factor, budget.epochs)
    return epochs


def least_disk_bytes(parameters: int, slots: int, budget: Budget) -> int:
    """Return what the trials of a sweep need at once, for a model of so many parameters."""
    return 4 * parameters * (COPIES_OF_A_RUNNING_TRIAL * slots + budget.finalists)
