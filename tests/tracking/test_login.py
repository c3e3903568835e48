"""Who is let in by the server of `orchestrate ui --host` and by a team's; without a server."""

import asyncio
import base64
import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from orchestrator.tracking.hardened_app import LOGIN, create_app, create_team_app


def test_a_login_may_hold_any_letters_and_the_challenge_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answered(scope: dict, receive: object, send: Callable) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    monkeypatch.setitem(sys.modules, "mlflow.server.fastapi_app", SimpleNamespace(app=answered))  # it takes seconds
    monkeypatch.setenv(LOGIN, "orchestrate:Größe über alles ½")
    app = create_app()

    def asked(login: str | None, encoding: str = "utf-8") -> dict:
        token = base64.b64encode((login or "").encode(encoding))
        headers = [] if login is None else [(b"authorization", b"Basic " + token)]
        said: list[dict] = []

        async def send(message: dict) -> None:
            said.append(message)

        asyncio.run(app({"type": "http", "path": "/", "headers": headers}, None, send))
        return said[0]

    refused = asked(None)
    assert refused["status"] == 401
    assert dict(refused["headers"])[b"www-authenticate"] == b'Basic realm="orchestrate", charset="UTF-8"'
    assert asked("orchestrate:Größe über alles ½")["status"] == 200
    assert asked("orchestrate:Größe über alles ½", "latin-1")["status"] == 401, "what a browser sent, not knowing"


def test_a_teams_users_are_asked_by_mlflow_and_reach_no_assistant(monkeypatch: pytest.MonkeyPatch) -> None:
    async def with_users(scope: dict, receive: object, send: Callable) -> None:
        await send({"type": "http.response.start", "status": 401, "headers": []})

    monkeypatch.setitem(sys.modules, "mlflow.server.auth", SimpleNamespace(create_app=lambda: with_users))
    monkeypatch.setenv(LOGIN, "orchestrate:of another server")
    app = create_team_app()

    def asked(path: str) -> tuple[int, dict]:
        said: list[dict] = []

        async def send(message: dict) -> None:
            said.append(message)

        asyncio.run(app({"type": "http", "path": path, "headers": []}, None, send))
        return said[0]["status"], dict(said[0]["headers"])

    assert asked("/api/2.0/mlflow/runs/search") == (401, {})
    assert asked("/ajax-api/3.0/mlflow/assistant/message")[0] == 404
