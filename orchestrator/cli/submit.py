"""`orchestrate submit`: a sweep as a job of a Ray cluster, with the code of this installation."""

import os
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.flags import one_of
from orchestrator.errors import BadInput, Interrupted

if TYPE_CHECKING:
    from orchestrator.home import Home
    from orchestrator.tuning.jobs import Job, Jobs

PASSES_ON = {"allow_extra_args": True, "ignore_unknown_options": True}
ENVIRONMENTS = ("installed", "pip")
PROJECT = "medical-orchestrate"
RUNS_ON = "auto"  # the cluster that the job is on
# what `submit` says itself, or what would run here
NOT_PASSED_ON = ("sweeps", "task", "sweep_id", "address", "as_json", "dry_run", "every_task", "task_files")


def submit(
    context: typer.Context,
    address: Annotated[str, typer.Option(help="the dashboard of the cluster's head", metavar="http://HEAD:8265")],
    follow: Annotated[bool, typer.Option("--follow", help="show the job's log to its end; Ctrl-C leaves it")] = False,
    sweep_id: Annotated[str | None, typer.Option("--id", help="the sweep's id; else its name and the time")] = None,
    variables: Annotated[
        list[str] | None,
        typer.Option(
            "--env", help="a variable for the job; without =VALUE that of this machine", metavar="NAME[=VALUE]"
        ),
    ] = None,
    environment: Annotated[
        str,
        typer.Option(
            help="installed: its machines have the project's dependencies; pip: Ray installs them, in the versions "
            "that are installed here",
            metavar="installed|pip",
        ),
    ] = "installed",
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Run a sweep on a Ray cluster, as a job there: submit NAME|FILE.yaml... --address URL [flags of sweep].

    Every flag of `orchestrate sweep` is passed on; paths in them, as that of --data, are those of the cluster's
    machines, sweep files and task files alone are sent, with the code of this installation. Submitted again with the
    same --id a sweep goes on. The cluster says by ORCHESTRATE_HOME (else ~/orchestrate of the head) and
    ORCHESTRATE_DATA where things are, or --env does; MLFLOW_TRACKING_URI is passed on where it is of http or https.
    Whoever may see the cluster's jobs may see these variables. Its token: RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH.
    """
    from orchestrator.cli import environment as of_machine
    from orchestrator.cli.console import messages, print_json
    from orchestrator.home import check_sweep_id, new_sweep_id
    from orchestrator.sweep_request import name_in_ids

    one_of("--environment", environment, ENVIRONMENTS)
    check_sweep_id(sweep_id)
    home = of_machine.home()
    asked = _asked(home, context.args)
    sweep_id = sweep_id or new_sweep_id(name_in_ids(asked.name))
    runtime_env: dict[str, Any] = {"env_vars": _variables(variables or [])}
    if environment == "pip":
        runtime_env["pip"] = _requirements()
    from orchestrator.tuning.jobs import Jobs

    jobs = Jobs(address)
    if jobs.head.note:
        messages().print(jobs.head.note, soft_wrap=True)
    job_id = _started(jobs, home, sweep_id, asked, runtime_env)
    if as_json:
        print_json({"sweep_id": sweep_id, "address": jobs.address, "job_id": job_id})
    if follow:
        raise typer.Exit(_followed(jobs, sweep_id, job_id, is_log_result=not as_json))
    messages().print(f"orchestrate status {sweep_id} | logs {sweep_id} | stop {sweep_id}", soft_wrap=True)


def _started(jobs: "Jobs", home: "Home", sweep_id: str, asked: "_Asked", runtime_env: dict[str, Any]) -> str:
    """Start the job of a sweep, unless one runs it already, and remember it; return the job's id."""
    from orchestrator.cli.console import messages
    from orchestrator.inspecting.machine import packed_from
    from orchestrator.packed_code import pack_code
    from orchestrator.submission import Submission, code_file, command_line, keep_submission, kept_submission

    command = command_line([*asked.words, "--id", sweep_id, "--address", RUNS_ON])
    earlier, known = jobs.of_sweep(sweep_id), kept_submission(home, sweep_id)
    running = earlier[-1] if earlier and not earlier[-1].is_over else None
    if running is not None:
        job_id, sent = _same_job(sweep_id, running, command), (0, 0)
        messages().print(f"{sweep_id}: runs there already, as job {job_id}; nothing was submitted", soft_wrap=True)
        if known is not None and known.job_id == job_id:
            return job_id
    else:
        job_id = f"{sweep_id}-run-{len(earlier) + 1}" if earlier else sweep_id
        packed = pack_code(code_file(home, sweep_id), {**asked.files, **dict([packed_from()])})
        jobs.submit(job_id, sweep_id, command, {"working_dir": str(packed.path), **runtime_env})
        sent = packed.files, packed.size_bytes
        about = f"{packed.files} files, {packed.size_bytes / 1024:.0f} KiB"
        messages().print(f"{sweep_id}: submitted to {jobs.address} as job {job_id} ({about})", soft_wrap=True)
    submission: Submission = Submission(
        sweep_id=sweep_id,
        address=jobs.address,
        job_id=job_id,
        command=command,
        environment="pip" if "pip" in runtime_env else "installed",
        variables=tuple(sorted(runtime_env["env_vars"])),
        code_files=sent[0],
        code_bytes=sent[1],
        submitted_at=time.time(),
    )
    keep_submission(home, submission)
    return job_id


@dataclass(frozen=True)
class _Asked:
    """A sweep to submit: its name, the words that run it in the folder of its code, and the files that go there."""

    name: str
    words: tuple[str, ...]
    files: dict[str, bytes]


def _asked(home: "Home", words: Sequence[str]) -> _Asked:
    """Return what the words after `submit` ask for. Raises BadInput as `sweep` would, for all but the data."""
    from orchestrator.asked_sweeps import asked_sweeps
    from orchestrator.chosen_architectures import Choice
    from orchestrator.own_tasks import task_named

    given, values, flags = _parsed(words)
    for flag, name in (("--dry-run", "dry_run"), ("--all", "every_task"), ("--task-file", "task_files")):
        if given[name]:
            raise BadInput(f"submit: {flag} cannot be submitted; orchestrate sweep knows it")
    if given["storage"] is not None:
        _require_shared(given["storage"])
    sweeps, task = list(given["sweeps"] or []), given["task"]
    task_name = None if task is None else task_named(home, task)[0]
    all_asked = asked_sweeps(sweeps, task_name, every_task=False)
    if len(all_asked) > 1:
        raise BadInput(f"submit: {', '.join(sweeps)} are of several tasks; submit one sweep for each")
    choice = Choice(values["architectures"], values["exclude"])
    asked = all_asked[0]
    of_task = asked.load(values["preset"] or "full", values["overrides"], choice).task
    files: dict[str, bytes] = {}
    line = ["sweep", *(_sent(files, f"sweeps/{place}", name) for place, name in enumerate(sweeps))]
    own_task = home.tasks / f"{of_task}.yaml"
    if task is not None:
        is_own = not _is_file(task) and own_task.is_file()
        line += ["--task", _sent(files, "tasks", str(own_task) if is_own else task)]
    elif own_task.is_file():
        line += ["--task-file", _sent(files, "tasks", str(own_task))]
    return _Asked(asked.name, (*line, *flags), files)


def _parsed(words: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Return `sweep`'s own arguments, what they mean, and the flags of those that are no default. Raises BadInput."""
    from typer.main import get_command

    from orchestrator.cli.sweep_flags import flag_values
    from orchestrator.cli.sweeps import sweep

    app = typer.Typer(add_completion=False)
    app.command("sweep")(sweep)
    command = get_command(app)
    with command.make_context("submit", list(words)) as context:
        given: dict[str, Any] = dict(context.params)
    values = flag_values(given)
    flags: list[str] = []
    for parameter in command.params:
        name = str(parameter.name)
        value = given.get(name)
        if name in NOT_PASSED_ON or value is None or value == parameter.default:
            continue
        if value is True:
            flags.append(parameter.opts[0])
        else:
            for one in value if isinstance(value, list | tuple) else [value]:
                flags += [parameter.opts[0], str(one)]
    return given, values, flags


def _is_file(name: str) -> bool:
    return name.endswith((".yaml", ".yml"))


def _sent(files: dict[str, bytes], folder: str, name: str) -> str:
    """Return what a sweep or task is called on the cluster; a file is sent there."""
    if not _is_file(name):
        return name
    there = f"{folder}/{Path(name).name}"
    try:
        files[there] = Path(name).read_bytes()
    except OSError as error:
        raise BadInput(f"{name}: cannot be read ({error.strerror or error})") from error
    return there


def _variables(given: Sequence[str]) -> dict[str, str]:
    """Return the variables of a job. Raises BadInput."""
    from orchestrator.cli import environment
    from orchestrator.cli.console import messages

    values = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not name.isidentifier():
            raise BadInput(f"--env {name}: expected NAME=VALUE, or NAME for the value it has here")
        if not equals and name not in os.environ:
            raise BadInput(f"--env {name}: is not set here; say {name}=VALUE")
        values[name] = value if equals else os.environ[name]
    uri = environment.tracking_uri()
    if uri is not None and "MLFLOW_TRACKING_URI" not in values:
        if uri.startswith(("http://", "https://")):
            values["MLFLOW_TRACKING_URI"] = uri
        else:
            messages().print(
                "MLFLOW_TRACKING_URI is a store of this machine and is not passed on; the job keeps one of its own",
                soft_wrap=True,
            )
    return values


def _requirements() -> list[str]:
    """Return the project's dependencies but Ray, which is the cluster's, in the versions that are installed here.

    Raises BadInput where this code was never installed.
    """
    try:
        wanted = requires(PROJECT) or []
    except PackageNotFoundError:
        raise BadInput(
            f"--environment pip: {PROJECT} is not installed here, so its dependencies are not known"
        ) from None
    found = []
    for requirement in wanted:
        name = requirement.partition(";")[0].strip()
        for sign in "<>=!~ ":
            name = name.partition(sign)[0]
        if ";" not in requirement and not name.startswith("ray["):
            found.append(f"{name}=={version(name.partition('[')[0]).partition('+')[0]}")
    return found


def _same_job(sweep_id: str, job: "Job", command: str) -> str:
    from orchestrator.tracking.outcome import without_password

    if job.command != command:
        raise BadInput(
            f"--id {sweep_id}: job {job.id} runs it there, asked for otherwise ({without_password(job.command)}); wait "
            f"for it, end it with: orchestrate stop {sweep_id}, or choose another id"
        )
    return job.id


def _followed(jobs: "Jobs", sweep_id: str, job_id: str, is_log_result: bool) -> int:
    """Show a job's log to its end; return the exit code of its sweep."""
    from orchestrator.cli.console import visible
    from orchestrator.tuning.jobs import why

    stream = sys.stdout if is_log_result else sys.stderr

    def write(text: str) -> None:
        stream.write(visible(text, but="\n\t"))
        stream.flush()

    try:
        job = jobs.follow(job_id, write)
    except KeyboardInterrupt:
        raise Interrupted(
            f"the job goes on without you; orchestrate status {sweep_id} says how far it is, "
            f"orchestrate stop {sweep_id} ends it"
        ) from None
    lacks = _missing_package(jobs.log(job_id)) if job.exit_code == 1 else ""
    if lacks:
        raise BadInput(
            f"{jobs.address}: the Python there lacks {lacks}; start Ray in an environment that has this project's "
            "dependencies, or say --environment pip, which installs them"
        )
    if job.exit_code is not None:
        return job.exit_code if job.exit_code >= 0 else 128 - job.exit_code
    if job.status == "STOPPED":
        raise Interrupted(f"{sweep_id}: its job was stopped; submit it again with --id to go on")
    raise BadInput(f"{sweep_id}: its job did not come to an end of its own: {why(job)}")


def _missing_package(log: str) -> str:
    """Return the package for want of which a job's Python ended, empty where that is not why."""
    found = re.search(r"^ModuleNotFoundError: No module named '([\w.]+)'\s*\Z", log, re.MULTILINE)
    return found[1] if found else ""


def _require_shared(storage: str) -> None:
    from orchestrator.manifests.request import shared_place

    try:
        shared_place(storage)
    except ValueError as error:
        raise BadInput(f"--storage={storage}: {error}") from None
