"""What went wrong in a process of Ray, as the user and the journal hear of it: one line, no path of the user."""

import re
import traceback
from pathlib import Path

import torch
from ray.exceptions import RayError

from orchestrator.errors import BadInput, DiskFull, OrchestratorError
from trainables.errors import DataError, TrainingFailed, WeightsError
from trainables.training.disk import is_disk_full

MOST_CHARACTERS = 500
# A reason reaches MLflow, where no path of the user belongs. One in quotes is taken whole; of one without, folders may
# have spaces, so that it ends with its last slash: a word too much is lost rather than a name told.
_START = r"(?:file:/+|~[\w.-]*/|(?<![\w/.])/(?=[^\s/]))"
_QUOTED = re.compile(rf"""(?P<quote>['"`]){_START}(?:(?!(?P=quote))[^\n])*/(?=(?:(?!(?P=quote))[^\n])*(?P=quote))""")
_BARE = re.compile(rf"{_START}(?:[^/\n'\"`:;,<>|]*[^/\n'\"`:;,<>|\s]/+)*")
_COLOURS = re.compile(r"\x1b\[[\d;]*m")


def without_folders(text: str) -> str:
    """Return a text with the last name of each absolute path only."""
    return _BARE.sub("", _QUOTED.sub(lambda found: found["quote"], text))


def in_one_line(text: str) -> str:
    """Return the last line of a text that says something: of a traceback that is what was raised."""
    lines = [line for line in _COLOURS.sub("", text).splitlines() if line.strip()]
    return without_folders(lines[-1].strip())[:MOST_CHARACTERS] if lines else ""


def reason_of(error: Exception) -> str:
    """Return why a trial failed that raised this, as the journal has it."""
    if isinstance(error, TrainingFailed | torch.OutOfMemoryError):
        return without_folders(" ".join(str(error).split()))[:MOST_CHARACTERS]
    return in_one_line("".join(traceback.format_exception_only(error)))


def fault_of_task(error: RayError, folder: Path) -> OrchestratorError:
    """Return how a fault that a task on a finalist raised is told; `folder` is that of its sweep.

    BadInput for data that were changed since the plan, DiskFull for a full disk: the cause has its number, not Ray's
    error around it.
    """
    cause = getattr(error, "cause", None) or error
    if isinstance(cause, DataError):
        return BadInput(str(cause))
    if is_disk_full(cause, folder):
        return DiskFull("the disk is full: a finalist found no room for its files; free some space and resume")
    if isinstance(cause, RayError):  # what was raised cannot be sent, so Ray sends its traceback
        reason = in_one_line(str(cause))
    else:
        words = in_one_line((str(cause).strip() or " ").splitlines()[0])
        is_ours = isinstance(cause, WeightsError | TrainingFailed)
        reason = words if is_ours else f"{type(cause).__name__}: {words}".removesuffix(": ")
    return OrchestratorError(f"a finalist cannot be evaluated: {reason}; orchestrate resume {folder.name} tries again")
