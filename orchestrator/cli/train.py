"""`orchestrate train`: flags in, one configuration trained in the foreground, its folder out."""

import sys
from contextlib import redirect_stdout
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from orchestrator.cli.console import messages, print_json, results, visible
from orchestrator.cli.flags import one_of, settings

if TYPE_CHECKING:
    from orchestrator.train import TrainedModel
    from orchestrator.train_planning import PlannedTraining
    from trainables.training.run import EpochRecord


def train(
    architecture: Annotated[str, typer.Argument(help="an architecture's name, or timm/NAME")],
    task: Annotated[str, typer.Option(help="what is predicted; orchestrate list tasks")],
    data: Annotated[str | None, typer.Option(help="folder of images, or phantom", metavar="DIR|phantom")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="one hyperparameter, e.g. lr=1e-4", metavar="KEY=VALUE")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="epochs at most; the published number where there is one")] = None,
    seed: Annotated[int, typer.Option(help="every random number derives from it", min=0)] = 0,
    metric: Annotated[str | None, typer.Option(help="validation metric that decides which epoch is kept")] = None,
    weights: Annotated[
        str | None, typer.Option(help="to begin from", metavar="pretrained|random|FILE.safetensors")
    ] = None,
    split: Annotated[str | None, typer.Option(help="shipped or grouped; shipped where a test set ships")] = None,
    test: Annotated[bool, typer.Option("--test", help="judge it on test, too; noted in the ledger")] = False,
    out: Annotated[Path | None, typer.Option(help="folder of the result", metavar="DIR")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on with the interrupted training in --out")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Train one configuration here and now: no search, no MLflow, no registry."""
    from orchestrator.cli import environment
    from orchestrator.cli.progress import DataProgress
    from orchestrator.own_tasks import task_named
    from orchestrator.train import run_training
    from orchestrator.train_planning import TrainRequest

    task_name, task_text = task_named(environment.home(), task)
    named: Any = weights if weights in (None, "pretrained", "random") else Path(str(weights))
    request = TrainRequest(
        architecture=architecture,
        task=task_name,
        task_text=task_text,
        home=environment.home(),
        data=data,
        data_root=environment.data_root(),
        epochs=epochs,
        seed=seed,
        metric=metric,
        weights=named,
        split=one_of("--split", split, ("shipped", "grouped")),
        test=test,
        out=out,
        resume=resume,
        max_cache_bytes=environment.max_cache_bytes(),
        overrides=settings(overrides or []),
    )
    with redirect_stdout(sys.stderr), DataProgress() as progress, TrainingProgress() as live:
        trained = run_training(request, progress, live)
    print_json(_as_json(trained)) if as_json else _show(trained)


class TrainingProgress:
    """A banner, a bar over the batches of the running epoch, a line per finished epoch."""

    def __init__(self) -> None:
        self._console = messages()
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            console=self._console, transient=True, disable=not self._console.is_terminal,
        )  # fmt: skip
        self._task = self._bar.add_task("epoch 1", total=None)
        self._planned: PlannedTraining | None = None

    def begin(self, planned: "PlannedTraining") -> None:
        """Say what will be trained, on what."""
        from orchestrator.cli.banner import data_lines

        self._planned = planned
        weights = planned.weights.name if isinstance(planned.weights, Path) else f"{planned.weights} weights"
        self._say(
            f"{planned.architecture} on {planned.task.name}: {planned.epochs} epochs at most, {weights}, "
            f"{planned.device}, seed {planned.seed}; the epoch of the best validation {planned.metric} is kept"
        )
        for line in data_lines(planned.summary):
            self._say(line)
        self._bar.start()

    def batch(self, done: int, of: int) -> None:
        """Move the bar."""
        self._bar.update(self._task, completed=done, total=of)

    def epoch(self, record: "EpochRecord") -> None:
        """Print one line."""
        assert self._planned is not None
        metric = f"val/{self._planned.metric}"
        names = list(dict.fromkeys(["train/loss", "val/log_loss", "train/accuracy", "val/accuracy", metric]))
        shown = ", ".join(f"{name} {_number(record.metrics.get(name))}" for name in names)
        mark = " (best)" if record.is_best else ""
        self._say(f"epoch {record.epoch}: {shown}, {record.metrics['perf/epoch_s']:.1f} s{mark}")
        if record.stop_reason:
            self._say(f"stopped: {record.stop_reason}")
        self._bar.reset(self._task, description=f"epoch {record.epoch + 1}", total=None)

    def _say(self, text: str) -> None:
        self._console.print(visible(text), soft_wrap=not self._console.is_terminal)

    def __enter__(self) -> Self:
        """Return itself; the bar appears with the first batch."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Take the bar away."""
        self._bar.stop()


def _show(trained: "TrainedModel") -> None:
    """Print the scores of the best epoch, and where all of it lies."""
    from orchestrator.ranking import format_interval

    evaluation, planned = trained.evaluation, trained.planned
    sides = {"validation": evaluation.validation.overall}
    if evaluation.test is not None:
        sides["test"] = evaluation.test.overall
    leak_free = evaluation.test_leak_free
    if planned.summary.leaks and leak_free is not None and leak_free.scores is not None:
        sides[f"test without leaks, {leak_free.images} images"] = leak_free.scores
    table = Table("metric", *(f"{side} (95 % interval)" for side in sides), box=None)
    for name, value in sides["validation"].metrics.items():
        if value is None and all(scores.metrics[name] is None for scores in sides.values()):
            continue
        cells = [(scores.metrics[name], *scores.intervals.get(name, (None, None))) for scores in sides.values()]
        table.add_row(name, *map(format_interval, cells))
    console = results()
    console.print(f"best of {trained.epochs} epochs: {trained.best_epoch} ({trained.stop_reason})")
    console.print(table)
    if planned.summary.leaks and leak_free is not None and leak_free.scores is None:
        console.print(f"test without leaks: none; {leak_free.reason}")
    warning = sides["validation"].warning if "test" not in sides else sides["test"].warning
    if warning:
        console.print(warning)
    console.print(f"{trained.wall_s:.0f} s; tables and figures: {planned.folder}", soft_wrap=True)


def _as_json(trained: "TrainedModel") -> dict[str, Any]:
    planned, evaluation = trained.planned, trained.evaluation
    leak_free = evaluation.test_leak_free
    return {
        "architecture": planned.architecture,
        "task": planned.task.name,
        "data_kind": planned.summary.kind,
        "hyperparameters": planned.hyperparameters,
        "seed": planned.seed,
        "epochs": trained.epochs,
        "best_epoch": trained.best_epoch,
        "stop_reason": trained.stop_reason,
        "validation": evaluation.validation.overall.metrics,
        "test": None if evaluation.test is None else _with_bounds(evaluation.test.overall),
        "test_leak_free": None if leak_free is None or leak_free.scores is None else _with_bounds(leak_free.scores),
        "leak_free_images": None if leak_free is None else leak_free.images,
        "leak_free_reason": "" if leak_free is None else leak_free.reason,
        "folder": str(planned.folder),
        "wall_s": trained.wall_s,
    }


def _with_bounds(scores: Any) -> dict[str, list[float | None]]:
    """Return metric -> [value, low, high], as a sweep's winner has it."""
    return {name: [value, *scores.intervals.get(name, (None, None))] for name, value in scores.metrics.items()}


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"
