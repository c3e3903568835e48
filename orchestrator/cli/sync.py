"""`orchestrate sync`: a sweep's runs and its winner sent to MLflow later, or to another store."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from orchestrator.tracking.outcome import SyncOutcome


def sync(
    sweep_id: Annotated[str, typer.Argument(metavar="SWEEP_ID")],
    to: Annotated[str | None, typer.Option(help="another store than MLFLOW_TRACKING_URI", metavar="URI")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Send to MLflow what it lacks of a sweep, and register the winner where that is not done yet."""
    from orchestrator.cli import environment
    from orchestrator.cli.console import print_json, results
    from orchestrator.cli.progress import DataProgress
    from orchestrator.late_registration import note_registration_in
    from orchestrator.open_sweep import state_of
    from orchestrator.tracking.catch_up import catch_up

    home = environment.home()
    sweep = home.sweep_folder(sweep_id)
    uri = environment.tracking_uri() if to is None else environment.store_uri("--to", to)
    with DataProgress("lines") as progress:

        def send() -> "SyncOutcome":
            return catch_up(sweep, home, uri, lambda sent, of: progress("sending", sent, of), _say)

        outcome = send()
        if to is None and note_registration_in(sweep, outcome):
            outcome = send()  # the report, which names the version now
    if outcome.missing_in_words:
        _say(f"{sweep_id}: {outcome.missing_in_words}")
    if as_json:
        about = {"sweep_id": sweep_id, "lines_sent": outcome.events_sent, "tracking_uri": outcome.tracking_uri}
        print_json(about | {"registered": outcome.registered.model_dump() if outcome.registered else None})
        return
    console = results()
    console.print(
        f"{sweep_id}: all {outcome.events_sent:,} lines of its journal are in {outcome.tracking_uri}",
        soft_wrap=True,
    )
    if outcome.registered is not None:
        console.print(f"registered: {outcome.registered.name} version {outcome.registered.version}")
        if outcome.registered.decision:
            console.print(f"promotion: {outcome.registered.decision}", soft_wrap=True)
    elif state_of(sweep).winner is not None:
        console.print("not registered: the winner's weights are not in the sweep's folder, or its evaluation is void")


def _say(text: str) -> None:
    from orchestrator.cli.console import messages

    messages().print(text, soft_wrap=True)
