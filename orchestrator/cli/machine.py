"""`orchestrate ui`."""

from typing import Annotated

import typer

from orchestrator.errors import BadInput


def ui(
    port: Annotated[int | None, typer.Option(help="a free one by default")] = None,
    host: Annotated[str, typer.Option(help="beyond this machine: ORCHESTRATE_UI_PASSWORD is asked for")] = "127.0.0.1",
) -> None:
    """Open MLflow's own UI on this project's store until Ctrl-C; on this machine only, unless --host says otherwise."""
    from orchestrator.cli import environment
    from orchestrator.cli.console import messages, results
    from orchestrator.tracking.outcome import tracking_uri, without_password
    from orchestrator.tracking.saved_views import LEADERBOARD, shipped_views
    from orchestrator.tracking.server import address_to_serve, running_server
    from orchestrator.tracking.store import open_store, told_as_bad_input

    home = environment.home()
    given = environment.tracking_uri()
    if given is not None and given.startswith(("http:", "https:")):
        raise BadInput(
            f"MLFLOW_TRACKING_URI={without_password(given)}: that store has its own server; open it in a browser"
        )
    address = address_to_serve(host, port, environment.ui_password())
    with told_as_bad_input(home, given):
        views = shipped_views(open_store(home, given))
    try:
        with running_server(tracking_uri(home, given), home.mlflow / "artifacts", address) as server:
            url = server.url
            for one in views:
                results().print(f"{one.registered_name}: {url}{one.addresses[LEADERBOARD.name]}", soft_wrap=True)
                further = {name: link for name, link in one.addresses.items() if name != LEADERBOARD.name}
                for name, link in further.items():
                    results().print(f"    {name.lower()}: {url}{link}", soft_wrap=True)
            results().print(f"MLflow: {url}")
            messages().print("Ctrl-C ends it")
            server.wait()
    except KeyboardInterrupt:
        messages().print("ended")
