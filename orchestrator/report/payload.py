"""What the page's scripts know of each trial: for tips, curves and the comparison."""

from collections.abc import Sequence
from typing import Any

from orchestrator.ranking import format_interval
from orchestrator.report.content import ReportContent, TrialLine, rounded, shown, title_of
from orchestrator.report.learning_curves import COLOURS, thinned
from trainables.evaluation.metrics import METRICS


def payload_of(content: ReportContent) -> dict[str, Any]:
    """Return plain values; lists instead of objects where there is one per trial or epoch, for size."""
    lines = content.lines
    metrics = [name for name in METRICS if any(line.trial.validation.get(name) is not None for line in lines)]
    metrics.sort(key=lambda name: name != content.metric)
    curves = {f"val/{content.metric}": f"validation {title_of(content.metric)}"}
    curves |= {"val/log_loss": "validation log loss", "train/loss": "training loss"}
    names = list(dict.fromkeys(name for line in lines for name in line.trial.hyperparameters))
    return {
        "architectures": content.architectures,
        "colours": COLOURS,
        "direction": content.state.plan.direction,
        "metrics": [{"title": title_of(name), "better": METRICS[name]} for name in metrics],
        "curves": list(curves.values()),
        "hyperparameters": names,
        "finalists": [line.number for line in lines if line.number in content.state.finalists],
        "trials": [_trial(line, content, metrics, list(curves), names) for line in lines],
    }


def _trial(
    line: TrialLine, content: ReportContent, metrics: Sequence[str], curves: Sequence[str], names: Sequence[str]
) -> dict[str, Any]:
    trial = line.trial
    epochs = [trial.epochs[place] for place in thinned(trial.epochs, len(content.lines))]
    test = line.row.test if line.row else None
    return {
        "n": trial.number,
        "a": content.architectures.index(trial.architecture),
        "rank": line.rank,
        "state": trial.state,
        "why": trial.reason,
        "seconds": round(trial.compute_s, 1),
        "epochs": len(trial.epochs),
        "best": trial.best.epoch if trial.best else None,
        "val": [rounded(trial.validation.get(name)) for name in metrics],
        "test": [format_interval(test[name]) if name in test else None for name in metrics] if test else None,
        "x": [epoch.epoch for epoch in epochs],
        "y": [[rounded(epoch.metrics.get(key)) for epoch in epochs] for key in curves],
        "h": [_value(line, content, name) for name in names],
    }


def _value(line: TrialLine, content: ReportContent, name: str) -> str | None:
    """Return a hyperparameter in words; None where the trial does not have it, or it is not in force."""
    trial = line.trial
    is_searched = name in content.state.plan.architectures[trial.architecture]
    if name not in trial.hyperparameters or (is_searched and name not in line.chosen):
        return None
    return shown(trial.hyperparameters[name])
