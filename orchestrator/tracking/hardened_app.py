"""MLflow's application without the routes that run shell commands, coding agents, jobs and language models.

Started by `mlflow server --app-name orchestrate-hardened`, where LOGIN is one name and password for everything but the
health check (HTTP Basic), or by `--app-name orchestrate-team`, which asks MLflow's own users and their rights (entry
points `mlflow.app` in pyproject.toml). MLflow has switches for jobs and gateway, none for its assistant, which any user
of this machine could call: without a login in the plain application, with any login in its `basic-auth`.
"""

import base64
import hmac
import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

LOGIN = "ORCHESTRATE_UI_LOGIN"  # name:password

# Not anchored, so that a static prefix does not open them again; /gateway itself could be part of an artifact's path.
SWITCHED_OFF = re.compile(
    r"^/gateway(/|$)|"
    r"/(ajax-)?api/\d+\.\d+/"
    r"(jobs|mlflow/(assistant|jobs|gateway|gateway-proxy|prompt-optimization/jobs|runs/create-promptlab-run|"
    r"(genai/evaluate|issues|scorer)/invoke))(/|$)"
)


def create_app() -> "ASGIApp":
    """Wrap MLflow's application; a factory, so that looking it up does not load the server."""
    from mlflow.server.fastapi_app import app

    return _hardened(app, os.environ.get(LOGIN, ""))


def create_team_app() -> "ASGIApp":
    """Wrap MLflow's application with users and rights; needs `mlflow[auth]`, the secret key and a first password."""
    from mlflow.server.auth import create_app as create_app_with_users

    return _hardened(create_app_with_users(), login="")


def _hardened(mlflow_app: "ASGIApp", login: str) -> "ASGIApp":
    from starlette.responses import PlainTextResponse

    switched_off = PlainTextResponse("switched off on this server\n", status_code=404)
    ask = {"WWW-Authenticate": 'Basic realm="orchestrate", charset="UTF-8"'}  # RFC 7617: umlauts, too
    login_wanted = PlainTextResponse("name and password, please\n", status_code=401, headers=ask)

    async def hardened(scope: "Scope", receive: "Receive", send: "Send") -> None:
        answer = mlflow_app
        if scope["type"] in ("http", "websocket"):
            if login and scope["path"] != "/health" and not _is_logged_in(scope, login):
                answer = login_wanted
            elif SWITCHED_OFF.search(scope["path"]):
                answer = switched_off
        await answer(scope, receive, send)

    return hardened


def _is_logged_in(scope: "Scope", login: str) -> bool:
    wanted = b"Basic " + base64.b64encode(os.fsencode(login))  # the bytes that the variable holds
    given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    return hmac.compare_digest(given, wanted)
