"""What a cluster is asked to run for a sweep, and what this machine remembers of it: neither token nor values."""

import json
import os
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from orchestrator.errors import BadInput
from orchestrator.home import SWEEP_ID, Home
from trainables.errors import first_line

# a job's folder goes with the cluster; where its machines say nothing, sweeps are kept beside it
AT_HOME = 'ORCHESTRATE_HOME="${ORCHESTRATE_HOME:-$HOME/orchestrate}"'


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A sweep that was submitted: where, as which job, with which environment. Whoever asks again starts from it."""

    sweep_id: str
    address: str
    job_id: str
    command: str
    environment: str  # installed or pip
    variables: tuple[str, ...]  # their names; the cluster has their values
    code_files: int
    code_bytes: int
    submitted_at: float  # seconds since 1970


_SUBMISSION = TypeAdapter(Submission)


def command_line(words: Sequence[str]) -> str:
    """Return the shell's line that runs one of this project's commands in the folder of its code."""
    return f"{AT_HOME} python -m orchestrator.cli.main {shlex.join(words)}"


def code_file(home: Home, sweep_id: str) -> Path:
    """Return where the code that a sweep was submitted with is kept: a cluster forgets it with the last job."""
    return home.submitted / f"{sweep_id}.zip"


def keep_submission(home: Home, submission: Submission) -> None:
    """Remember a submission, for this user alone. Raises BadInput where it cannot be written."""
    path = _file(home, submission.sweep_id)
    part = path.with_name(f"{path.name}.part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(json.dumps(asdict(submission), indent=2) + "\n")
        os.replace(part, path)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}; see that it can be written") from error


def kept_submission(home: Home, sweep_id: str) -> Submission | None:
    """Return what is remembered of a sweep's submission; None where nothing is. Raises BadInput for a damaged file."""
    if not SWEEP_ID.fullmatch(sweep_id):
        return None
    path = _file(home, sweep_id)
    try:
        return _SUBMISSION.validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        why = f"{where}: {fault['msg']}" if where else fault["msg"]
        raise BadInput(f"{path}: is damaged ({why}); say --address, or remove it") from error
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({first_line(error)}); say --address, or remove it") from error


def submitted_ids(home: Home) -> list[str]:
    """Return the sweeps that this machine submitted, or tried to."""
    return sorted({path.stem for kind in ("json", "zip") for path in home.submitted.glob(f"*.{kind}")})


def forget_submission(home: Home, sweep_id: str) -> None:
    """Forget a submission and its code; the cluster keeps what it has. Raises BadInput where they cannot be removed."""
    note = _file(home, sweep_id)
    for path in (note, note.with_name(f"{note.name}.part"), code_file(home, sweep_id)):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise BadInput(f"{path}: {error.strerror or error}; see that it can be removed") from error


def _file(home: Home, sweep_id: str) -> Path:
    return home.submitted / f"{sweep_id}.json"
