"""What reading, decoding and sending look like in the terminal: a bar where that takes time and somebody watches."""

from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn

from orchestrator.cli.console import messages


class DataProgress:
    """A bar while images are read and decoded, or lines sent; silent when that takes no time or nobody watches."""

    def __init__(self, unit: str = "images") -> None:
        self._unit = unit
        self._console = messages()
        self._progress = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            console=self._console, transient=True, disable=not self._console.is_terminal,
        )  # fmt: skip
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, what: str, done: int, of: int) -> None:
        """Show how far a step is; called from the thread that began it."""
        key = f"{what}-{of}"
        if key not in self._tasks:
            self._tasks[key] = self._progress.add_task(f"{what} {self._unit}", total=of)
            self._progress.start()
        self._progress.update(self._tasks[key], completed=done)
        if done == of:
            self._progress.stop()

    def __enter__(self) -> Self:
        """Return itself; the bar appears with the first step."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Take the bar away."""
        self._progress.stop()
