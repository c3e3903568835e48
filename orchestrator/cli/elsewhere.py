"""`orchestrate status`, `logs` and `stop` of a sweep on a cluster: the same command runs there, as a short job."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.errors import BadInput, unknown_name
from orchestrator.home import Home
from orchestrator.submission import code_file, command_line, kept_submission, submitted_ids

if TYPE_CHECKING:
    from orchestrator.tuning.jobs import Job, Jobs

OF_A_JOB = ("working_dir", "env_vars", "pip")  # the parts of a runtime environment that `submit` makes
NOT_BEGUN = "no sweep "  # how `orchestrate status` there says that it knows none of that id


def is_elsewhere(home: Home, sweep_id: str, address: str | None) -> bool:
    """Tell whether to ask a cluster: where an address says so, and for what was submitted and is not of this home."""
    if address is not None:
        return True
    return kept_submission(home, sweep_id) is not None and not (home.sweeps / sweep_id).is_dir()


def folder_here(home: Home, sweep_id: str) -> Path:
    """Return the folder of a sweep of this home. Raises BadInput; the nearest name may be a submission's."""
    try:
        return home.sweep_folder(sweep_id)
    except BadInput:
        submitted = submitted_ids(home)
        if not submitted or os.path.lexists(home.sweeps / sweep_id):
            raise
        known = [folder.name for folder in home.sweep_folders()]
        raise BadInput(unknown_name("sweep", sweep_id, {*known, *submitted})) from None


def status(home: Home, sweep_id: str, address: str | None, as_json: bool) -> None:
    """Say what became of the job that runs a sweep, and how far the sweep is."""
    from orchestrator.cli.console import print_json, results
    from orchestrator.tuning.jobs import why

    there = _found(home, sweep_id, address)
    job = there.job
    about: dict[str, Any] = {"sweep_id": sweep_id, "state": "not begun"}
    text = f"the sweep has not begun: {why(job)}\n"
    if job.status != "PENDING":
        code, said = there.ask(["status", sweep_id, *(["--json"] if as_json else [])])
        if code == 0:
            about, text = (_object_in(said) if as_json else about), said
        elif NOT_BEGUN not in said:
            raise BadInput(f"{there.jobs.address}: {_last_line(said)}")
    if as_json:
        print_json(about | {"address": there.jobs.address, "job_id": job.id, "job_status": job.status})
        return
    ended = "" if job.exit_code is None else f", exit code {job.exit_code}"
    results().print(f"job {job.id} on {there.jobs.address}: {job.status}{ended}", soft_wrap=True)
    results().print(text, soft_wrap=True, end="")


def logs(home: Home, sweep_id: str, address: str | None, trial: int | None, lines: int) -> None:
    """Show what trials printed; where the sweep never began, the end of what its job printed."""
    from orchestrator.cli.console import messages, results

    there = _found(home, sweep_id, address)
    code, said = 2, NOT_BEGUN
    if there.job.status != "PENDING":
        code, said = there.ask(
            ["logs", sweep_id, "--lines", str(lines), *([] if trial is None else ["--trial", str(trial)])]
        )
    if code == 0:
        results().print(said, soft_wrap=True, end="")
    elif NOT_BEGUN in said:
        messages().print(f"{sweep_id} has not begun; its job {there.job.id} printed:", soft_wrap=True)
        results().print("\n".join(there.jobs.log(there.job.id).splitlines()[-lines:]), soft_wrap=True)
    else:
        raise BadInput(f"{there.jobs.address}: {_last_line(said)}")


def stop(home: Home, sweep_id: str, address: str | None) -> None:
    """End a sweep so that it can be resumed; a job whose sweep has not begun is ended by Ray."""
    from orchestrator.cli.console import messages

    there = _found(home, sweep_id, address)
    if there.job.is_over:
        raise BadInput(f"{sweep_id}: nobody runs it; orchestrate status {sweep_id} says how it ended")
    code, said = (2, NOT_BEGUN) if there.job.status == "PENDING" else there.ask(["stop", sweep_id])
    if code != 0 and NOT_BEGUN not in said:
        raise BadInput(f"{there.jobs.address}: {_last_line(said)}")
    if code != 0:
        there.jobs.stop(there.job.id)
    messages().print(f"{sweep_id} was ended; to go on, submit it again with --id {sweep_id}", soft_wrap=True)


@dataclass(frozen=True)
class _There:
    """A sweep on a cluster, and the job that ran it last."""

    home: Home
    sweep_id: str
    jobs: "Jobs"
    job: "Job"

    def ask(self, words: list[str]) -> tuple[int, str]:
        """Run a command with the code and the variables of the sweep's job; return exit code and output."""
        known = {name: value for name, value in self.job.runtime_env.items() if name in OF_A_JOB and value}
        code = code_file(self.home, self.sweep_id)
        if code.is_file():  # a cluster forgets what no job needs
            known["working_dir"] = str(code)
        return self.jobs.ask(self.sweep_id, command_line(words), known)


def _found(home: Home, sweep_id: str, address: str | None) -> _There:
    from orchestrator.tuning.jobs import Jobs

    if address is None:
        known = kept_submission(home, sweep_id)
        assert known is not None, "is_elsewhere"
        address = known.address
    jobs = Jobs(address)
    return _There(home, sweep_id, jobs, jobs.newest_of_sweep(sweep_id))


def _object_in(text: str) -> dict[str, Any]:
    for line in reversed(text.splitlines()):
        if line.startswith("{"):
            found: dict[str, Any] = json.loads(line)
            return found
    raise BadInput(f"the cluster's answer holds no JSON: {_last_line(text)}")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("orchestrate: ") if lines else "it said nothing"
