"""The head of a Ray cluster as a client sees it: its address, its token, whether it answers, and which Ray it runs."""

import json
import os
from dataclasses import dataclass
from http.client import HTTPException
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from orchestrator.errors import BadInput
from trainables.errors import first_line

RAY_FROM, RAY_BELOW = (2, 60), (3,)  # as in pyproject.toml
ANSWER_WITHIN_S = 8.0
MOST_OF_ANSWER_BYTES = 100_000
TOKEN_WAYS = "set RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH to the file that holds it"
TOKEN_FILE = "~/.ray/auth_token"


@dataclass(frozen=True)
class Head:
    """A dashboard that answered. `token`: what it is shown, and where that was found; None where there is none."""

    address: str
    token: tuple[str, str] | None
    ray_version: str

    @property
    def headers(self) -> dict[str, str]:
        """Return what each request carries."""
        return _headers(self.token)

    @property
    def note(self) -> str:
        """Return what the user should know of its Ray; empty where there is nothing."""
        ours = version("ray")
        return "" if ours == self.ray_version else f"the cluster runs Ray {self.ray_version}, this machine {ours}"


def reached_head(address: str) -> Head:
    """Return the head at an address, as given on the command line, once it has answered a quick call.

    Ray's own client waits for minutes. Raises BadInput for an address of another form, where nothing answers or
    something else does, where it refuses the token, and for a Ray that this project does not run on.
    """
    address, token = _checked(address), _find_token()
    try:
        opener = build_opener(_NoRedirect)
        with opener.open(Request(f"{address}/api/version", headers=_headers(token)), timeout=ANSWER_WITHIN_S) as answer:
            content = answer.read(MOST_OF_ANSWER_BYTES)
    except HTTPError as error:
        if error.code in (401, 403):
            raise refused(address, token) from None
        raise _no_dashboard(address, f"it answers {error.code}") from None
    except HTTPException:
        raise _no_dashboard(address, "it does not speak HTTP") from None
    except OSError as error:
        reason = error.reason if isinstance(error, URLError) else error
        said = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
        raise BadInput(
            f"--address {address}: nothing answers there ({said}); expected the dashboard of a cluster's head, by "
            "default on port 8265"
        ) from None
    return Head(address, token, _ray_version(address, content))


def refused(address: str, token: tuple[str, str] | None) -> BadInput:
    """Return the error of a cluster that refuses a token, or asks for one."""
    if token is not None:
        return BadInput(f"--address {address}: the cluster refuses the token in {token[1]}; {TOKEN_WAYS}")
    is_off = ", and RAY_AUTH_MODE=disabled holds this machine's back" if _mode() == "disabled" else ""
    return BadInput(f"--address {address}: the cluster asks for a token{is_off}; {TOKEN_WAYS}")


class _NoRedirect(HTTPRedirectHandler):
    """Follows nowhere: the token is for the address that the user named."""

    def redirect_request(self, *arguments: Any) -> None:
        """Let a redirection be an error."""


def _checked(address: str) -> str:
    if "@" in address:
        raise BadInput(f"--address: holds a user or password; clusters know users by a token: {TOKEN_WAYS}")
    try:
        parts = urlsplit(address)
        is_right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        parts, is_right = urlsplit(""), False
    if not is_right or parts.query or parts.fragment or not address.isprintable() or " " in address:
        hint = "; ray:// is for Ray's client" if parts.scheme == "ray" else ""
        raise BadInput(f"--address {address}: expected http://HEAD:8265, the dashboard of a cluster's head{hint}")
    return address.rstrip("/")


def _find_token() -> tuple[str, str] | None:
    """Return the token, found as Ray finds it. Raises BadInput where one is asked for and cannot be read."""
    if _mode() == "disabled":
        return None
    if token := os.environ.get("RAY_AUTH_TOKEN", "").strip():
        return _sendable(token, "RAY_AUTH_TOKEN"), "RAY_AUTH_TOKEN"
    given = os.environ.get("RAY_AUTH_TOKEN_PATH")
    try:
        token = Path(given or TOKEN_FILE).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, ValueError, RuntimeError) as error:
        if given:
            reason = getattr(error, "strerror", None) or first_line(error)
            raise BadInput(f"RAY_AUTH_TOKEN_PATH={given}: cannot be read ({reason}); {TOKEN_WAYS}") from None
        token = ""
    if token:
        return _sendable(token, given or TOKEN_FILE), given or TOKEN_FILE
    if given:
        raise BadInput(f"RAY_AUTH_TOKEN_PATH={given}: holds no token; {TOKEN_WAYS}")
    if _mode() == "token":
        raise BadInput(f"RAY_AUTH_MODE=token: there is no token; {TOKEN_WAYS}")
    return None


def _sendable(token: str, whence: str) -> str:
    if not (token.isascii() and token.isprintable()):
        raise BadInput(f"{whence}: holds no token but another text; {TOKEN_WAYS}")
    return token


def _headers(token: tuple[str, str] | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token[0]}"}


def _mode() -> str:
    return os.environ.get("RAY_AUTH_MODE", "").strip().lower()


def _ray_version(address: str, content: bytes) -> str:
    try:
        ray_version = str(json.loads(content)["ray_version"])
        numbers = tuple(int(part) for part in ray_version.split(".")[:2])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _no_dashboard(address, "it tells no version of Ray") from None
    if not RAY_FROM <= numbers < RAY_BELOW:
        raise BadInput(
            f"--address {address}: the cluster runs Ray {ray_version}, this project needs one from "
            f"{'.'.join(map(str, RAY_FROM))} on and below {RAY_BELOW[0]}; install Ray {version('ray')} there"
        )
    return ray_version


def _no_dashboard(address: str, reason: str) -> BadInput:
    return BadInput(f"--address {address}: is no dashboard of a Ray cluster ({reason}); name that of its head")
