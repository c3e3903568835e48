"""`orchestrate ui` and `orchestrate doctor`."""

import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
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


def doctor(as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False) -> None:
    """Say what is here, and what to do about each fault; exits 2 when a sweep could not run."""
    from orchestrator.cli.console import print_json, results

    checks = [_python(), *(_package(name) for name in PACKAGES), _gpus(), _home(), _kaggle()]
    if as_json:
        print_json({"checks": [{"name": name, "ok": ok, "found": found} for name, ok, found in checks]})
    else:
        for name, ok, found in checks:
            mark = {True: "ok   ", False: "FAULT", None: "note "}[ok]
            results().print(f"{mark} {name}: {found}", soft_wrap=True)
    if any(ok is False for _, ok, _ in checks):
        raise typer.Exit(2)


Check = tuple[str, bool | None, str]
PACKAGES = ("torch", "torchvision", "timm", "ray", "optuna", "mlflow", "opencv-python-headless", "grad-cam")


def _python() -> Check:
    found = ".".join(map(str, sys.version_info[:3]))
    return ("python", sys.version_info >= (3, 11), found)


def _package(name: str) -> Check:
    try:
        return (name, True, version(name))
    except PackageNotFoundError:
        return (name, False, "not installed: pip install -c constraints.txt -e .")


def _gpus() -> Check:
    from orchestrator.inspecting.machine import gpu_names

    try:
        names = gpu_names()
    except BadInput as error:
        return ("torch and torchvision", False, str(error))
    found = ", ".join(names) or "none: sweeps take preset quick and train on CPUs"
    return ("torch and torchvision", True, f"load together; GPUs: {found}")


def _home() -> Check:
    from orchestrator.cli import environment

    try:
        home = environment.home()
    except BadInput as error:
        return ("ORCHESTRATE_HOME", False, str(error))
    free_gib = shutil.disk_usage(home.root).free / 2**30
    return ("ORCHESTRATE_HOME", True, f"{home.root}, {free_gib:.1f} GiB free")


def _kaggle() -> Check:
    found = shutil.which("kaggle")
    return ("kaggle", None, found or "not installed: nothing needs it, data sets are then downloaded by hand")
