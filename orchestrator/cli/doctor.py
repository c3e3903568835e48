"""`orchestrate doctor`: everything that makes a first sweep fail, and what to do about it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.errors import BadInput

if TYPE_CHECKING:
    from orchestrator.home import Home
    from orchestrator.inspecting.fitness import Check


def doctor(as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False) -> None:
    """Say what is here, and what to do about each fault; exits 2 when a sweep could not run."""
    from orchestrator.cli.console import print_json, results
    from orchestrator.inspecting.fitness import checks_of_machine

    checks = [*checks_of_machine(), *_checks_of_settings()]
    if as_json:
        print_json({"checks": [{"name": one.name, "ok": one.ok, "found": one.found} for one in checks]})
    else:
        for one in checks:
            mark = {True: "ok   ", False: "FAULT", None: "note "}[one.ok]
            results().print(f"{mark} {one.name}: {one.found}", soft_wrap=True)
    if any(one.ok is False for one in checks):
        raise typer.Exit(2)


def _checks_of_settings() -> "list[Check]":
    """Look at what the environment variables name; without a home nothing below it can be looked at."""
    from orchestrator.cli import environment
    from orchestrator.inspecting.fitness import check_of_data, check_of_disk, checks_of_sweeps

    checks = _told("ORCHESTRATE_DATA", lambda: [check_of_data(environment.data_root())])
    checks += _told("ORCHESTRATE_HOME", lambda: [check_of_disk(environment.home())])
    if all(one.ok is not False for one in checks):
        home = environment.home()
        checks += checks_of_sweeps(home)
        checks += _told("MLflow store", lambda: _store(home, environment.tracking_uri()))
    return checks


def _told(name: str, look: "Callable[[], list[Check]]") -> "list[Check]":
    from orchestrator.inspecting.fitness import Check

    try:
        return look()
    except BadInput as error:
        return [Check(name, False, str(error))]


def _store(home: "Home", given: str | None) -> "list[Check]":
    """Ask the MLflow store for something, as a sweep would, and for locks of promotions."""
    from orchestrator.inspecting.fitness import Check
    from orchestrator.tracking.outcome import tracking_uri, without_password
    from orchestrator.tracking.promotion_lock import locks_in_words
    from orchestrator.tracking.store import open_store, told_as_bad_input

    with told_as_bad_input(home, given):
        client = open_store(home, given)
        client.search_experiments(max_results=1)
        locks = locks_in_words(client)
    answers = Check("MLflow store", True, f"{without_password(tracking_uri(home, given))} answers")
    return [answers, Check("promotion locks", None if locks else True, "; ".join(locks) or "none is held")]
