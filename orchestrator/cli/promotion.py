"""`orchestrate promote`, `rollback` and `verify`: which model is in use, and whether what is said of it holds."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.errors import BadInput, PromotionRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.home import Home
    from orchestrator.promotion.checks import Check
    from orchestrator.tracking.rival import HeldOutImages

MOST_REASON_CHARACTERS = 2000
Task = Annotated[str, typer.Argument(metavar="TASK", help="a task or <task>_phantom")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object")]


def promote(
    task: Task,
    version: Annotated[str | None, typer.Option(metavar="N", help="default: the challenger")] = None,
    policy: Annotated[Path | None, typer.Option(metavar="FILE", help="rules such as mlflow/promotion.yaml")] = None,
    force: Annotated[bool, typer.Option("--force", help="promote whatever the checks say; needs --reason")] = False,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="why it is forced; kept on the version")] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="DIR|phantom", help="the challenger's images, for a champion that was tested on others"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Let a version be champion if it meets the policy; prints every check, exits 4 where one fails."""
    from orchestrator.cli import environment
    from orchestrator.cli.console import messages, print_json, results
    from orchestrator.cli.progress import DataProgress
    from orchestrator.promotion.checks import SAME_IMAGES_CHECK
    from orchestrator.promotion.policy import policy_file, read_policy
    from orchestrator.tracking.promotion import CHALLENGER, aliases_of
    from orchestrator.tracking.promotion import promote as promote_version
    from orchestrator.tracking.registry import check_name, find_model
    from orchestrator.tracking.store import open_store, told_as_bad_input

    if force != bool(reason and reason.strip()):
        raise BadInput("--force: needs --reason TEXT, which is kept" if force else "--reason: is of --force; add that")
    if reason and any(0xD800 <= ord(char) <= 0xDFFF for char in reason):
        raise BadInput("--reason: is no UTF-8 text")
    if reason and len(reason) > MOST_REASON_CHARACTERS:
        raise BadInput(f"--reason: {len(reason)} characters, more than {MOST_REASON_CHARACTERS}; a sentence will do")
    home, uri = environment.home(), environment.tracking_uri()
    images = None if data is None else _held_out_images(task, data, home)
    path = policy or policy_file(home)
    rules = read_policy(path, task.removesuffix("_phantom"))
    with told_as_bad_input(home, uri):
        client = open_store(home, uri)
        check_name(task)
        if version is None and CHALLENGER not in aliases_of(client, task):
            raise BadInput(f"{task}: no version waits as challenger; --version N names one (orchestrate models {task})")
        found = find_model(client, f"{task}@{version or CHALLENGER}")
        with DataProgress() as progress:
            judge = None if images is None else images.judge(client, progress)
            why = reason if force else None
            done = promote_version(client, found.name, found.version, rules, path.name, why, judge=judge)
    if images is not None and all(check.name != SAME_IMAGES_CHECK for check in done.decision.checks):
        messages().print("--data: not read: there is no champion, or it was tested on the same images")
    if as_json:
        checks = [asdict(check) for check in done.decision.checks]
        print_json(
            {"name": done.name, "version": done.version, "promoted": done.moved is not None, "how": done.moved}
            | {"against": done.rival, "checks": checks}
        )
    else:
        against = f" against version {done.rival}" if done.rival else ", there is no champion yet"
        results().print(f"{done.name} version {done.version}{against}")
        _show_checks(done.decision.checks)
    if done.moved is None:
        failed = ", ".join(check.name for check in done.decision.failed)
        raise PromotionRefused(
            f"{done.name} version {done.version}: not promoted ({failed}); it stays as it was (--force --reason TEXT)"
        )
    if not as_json:
        results().print(f"{done.name}: version {done.version} is champion ({done.moved})")


def _held_out_images(task: str, data: str, home: "Home") -> "HeldOutImages":
    from orchestrator.inspecting.data import find_data
    from orchestrator.tracking.registry import check_name
    from orchestrator.tracking.rival import HeldOutImages
    from trainables.catalog import TASKS

    check_name(task)
    folder, whence = find_data(TASKS[task.removesuffix("_phantom")], data, None, home)
    if not folder.exists():
        raise BadInput(f"{whence} {folder}: no such file or folder")
    return HeldOutImages(home, folder, whence)


def rollback(task: Task, as_json: Json = False) -> None:
    """Let the champion before this one be champion again."""
    from orchestrator.cli import environment
    from orchestrator.cli.console import print_json, results
    from orchestrator.tracking.promotion import roll_back
    from orchestrator.tracking.registry import check_name
    from orchestrator.tracking.store import open_store, told_as_bad_input

    check_name(task)
    home, uri = environment.home(), environment.tracking_uri()
    with told_as_bad_input(home, uri):
        now, before = roll_back(open_store(home, uri), task)
    if as_json:
        print_json({"name": task, "champion": now, "previous": before})
    else:
        results().print(f"{task}: version {now} is champion again, version {before or '-'} was")


def verify(
    reference: Annotated[str, typer.Argument(metavar="TASK[@ALIAS|@N]", help="a task's champion, else its challenger")],
    as_json: Json = False,
) -> None:
    """Reckon every number of a version's evidence again from its stored predictions; exits 4 where one differs."""
    from orchestrator.cli import environment
    from orchestrator.cli.console import print_json, results
    from orchestrator.promotion.checks import Check
    from orchestrator.promotion.verification import verify as reckon_again
    from orchestrator.tracking.model_files import model_checks
    from orchestrator.tracking.promotion import evidence_digest, evidence_of
    from orchestrator.tracking.registry import find_model
    from orchestrator.tracking.store import open_store, told_as_bad_input

    home, uri = environment.home(), environment.tracking_uri()
    with told_as_bad_input(home, uri):
        client = open_store(home, uri)
        found = find_model(client, reference)
        digest = evidence_digest(client, found.name, found.version)
        checks = model_checks(client, found.name, found.version)
        try:
            with evidence_of(client, found.name, found.version, must_hold=False) as folder:
                checks += reckon_again(folder, digest)
        except BadInput as error:
            if digest is None:  # there never was any
                raise
            checks.append(Check("evidence", str(error), "the files that were registered", passed=False))
    holds = all(check.passed for check in checks)
    if as_json:
        print_json(
            {"name": found.name, "version": found.version, "holds": holds, "checks": [asdict(one) for one in checks]}
        )
    else:
        results().print(f"{found.name} version {found.version}")
        _show_checks(checks)
    if not holds:
        raise PromotionRefused(f"{found.name} version {found.version}: its evidence does not hold; do not rely on it")


def _show_checks(checks: "Sequence[Check]") -> None:
    from rich.table import Table

    from orchestrator.cli.console import results

    table = Table("", "check", "value", "rule", box=None)
    for check in checks:
        table.add_row("pass" if check.passed else "FAIL", check.name, check.value, check.rule)
    results().print(table)
