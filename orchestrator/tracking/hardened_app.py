"""MLflow's application without the routes that run shell commands, coding agents, jobs and language models.

Started by `mlflow server --app-name orchestrate-hardened` (entry point `mlflow.app` in pyproject.toml). MLflow has
switches for jobs and gateway, none for its assistant, which any user of this machine could call without a login.
"""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

# Not anchored, so that a static prefix does not open them again; /gateway itself could be part of an artifact's path.
SWITCHED_OFF = re.compile(
    r"^/gateway(/|$)|"
    r"/(ajax-)?api/\d+\.\d+/"
    r"(jobs|mlflow/(assistant|jobs|gateway|gateway-proxy|prompt-optimization/jobs|runs/create-promptlab-run|"
    r"(genai/evaluate|issues|scorer)/invoke))(/|$)"
)


def create_app() -> "ASGIApp":
    """Wrap MLflow's application; a factory, so that looking it up does not load the server."""
    from mlflow.server.fastapi_app import app as mlflow_app
    from starlette.responses import PlainTextResponse

    switched_off = PlainTextResponse("switched off on this server\n", status_code=404)

    async def hardened(scope: "Scope", receive: "Receive", send: "Send") -> None:
        is_off = scope["type"] == "http" and SWITCHED_OFF.search(scope["path"])
        await (switched_off if is_off else mlflow_app)(scope, receive, send)

    return hardened
