"""The tags by which MLflow's runs are found, filtered and coloured."""

from orchestrator.sweep_state import SweepState, TrialState
from orchestrator.tracking.logged_model import SWEEP_TAG
from orchestrator.warm_start import warm_mark

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")  # Okabe and Ito


def sweep_tags(state: SweepState) -> dict[str, str]:
    """Return what the parent run says of its sweep: what decides its results, and where it ran."""
    started, plan = state.started, state.plan
    return {
        **_common_tags(state),
        "orchestrate.role": "sweep",
        "orchestrate.sweep": plan.sweep,
        "orchestrate.weights": plan.weights,
        "orchestrate.device": started.device,
        **{f"orchestrate.hardware.{name}": value for name, value in started.hardware.items()},
        "orchestrate.grouped_by": plan.data.grouped_by,
        "orchestrate.split": plan.data.split,
        "orchestrate.test_digest": plan.data.test_digest,
        "orchestrate.unreadable_images": str(plan.data.unreadable),
        **{f"orchestrate.git_{key}": value for key, value in started.git.items()},
        **{f"orchestrate.version.{name}": value for name, value in started.versions.items()},
    }


def resumption_tags(state: SweepState) -> dict[str, str]:
    """Return what the parent run says of a sweep's last resumption, beside what it said first: trials are of either.

    Its code and versions have names of their own; plan and budget are those that hold now.
    """
    assert state.resumed is not None
    budget = state.plan.budget
    return {
        "orchestrate.trials": str(budget.trials),
        "orchestrate.epochs": str(budget.epochs),
        "orchestrate.plan_digest": state.plan_digest,
        **{f"orchestrate.resumed_git_{key}": value for key, value in state.resumed.git.items()},
        **{f"orchestrate.resumed_version.{name}": value for name, value in state.resumed.versions.items()},
    }


def trial_tags(state: SweepState, trial: TrialState, parent_run_id: str) -> dict[str, str]:
    """Return what a trial's run says of itself when it begins; its colour is that of its architecture."""
    order = list(state.plan.architectures).index(trial.architecture)
    return {
        **_common_tags(state),
        "mlflow.parentRunId": parent_run_id,
        "mlflow.runColor": COLOURS[order % len(COLOURS)],
        "orchestrate.role": "trial",
        "orchestrate.architecture": trial.architecture,
        "orchestrate.trial_id": str(trial.number),
        "orchestrate.published": str(trial.published).lower(),
        **({"orchestrate.warm_start": mark} if (mark := warm_mark(state.plan, trial)) else {}),
    }


def _common_tags(state: SweepState) -> dict[str, str]:
    plan = state.plan
    return {
        SWEEP_TAG: state.started.sweep_id,
        "orchestrate.plan_digest": state.plan_digest,
        "orchestrate.data_digest": plan.data.digest,
        "orchestrate.split_digest": plan.data.split_digest,
        "orchestrate.data_kind": plan.data.kind,
        "orchestrate.leaking_test_images": str(sum(plan.data.leaks.values())),
        "orchestrate.preset": plan.preset,
        "orchestrate.seed": str(plan.seed),
        "orchestrate.task": plan.task,
    }
