"""MLflow's own server, hardened: this machine only, one worker, and nothing on it that runs jobs, models or agents."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import MappingProxyType

from orchestrator.errors import BadInput, OrchestratorError

HOST = "127.0.0.1"
READY_WITHIN_S = 60.0
END_WITHIN_S = 10.0
POLL_S = 0.1

SERVER_ENVIRONMENT: Mapping[str, str] = MappingProxyType(
    {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_ENABLE_AI_GATEWAY": "false",
        "MLFLOW_ENABLE_REMOTE_ASSISTANT": "false",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    }
)
"""Settings of every server of this project; `mlflow/server.env` holds the same for operators."""

# A variable of the caller may switch the Host check off or start another application: only access to stores passes.
NOT_INHERITED = ("MLFLOW_", "_MLFLOW_", "UVICORN_")
STILL_INHERITED = ("MLFLOW_S3_", "MLFLOW_GCS_", "MLFLOW_SQLALCHEMYSTORE_")
SQLALCHEMY_TRAILERS = ("(Background on this error", "[SQL:", "[parameters:")  # follow the line that names the fault


def free_port() -> int:
    """Return a loopback port that nobody listens on; another process may still take it first."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def mlflow_server(uri: str, artifacts: Path, port: int) -> Iterator[str]:
    """Run the server on the store `uri` for the length of the block; yield its URL once it answers.

    Experiments made through the server keep their files below `artifacts`; those of all others are read from wherever
    the experiment says. What the server says goes to `server.log` beside that folder. Raises BadInput for a port that
    cannot be had, OrchestratorError when the server does not answer within READY_WITHIN_S.
    """
    _require_free(port)
    artifacts.mkdir(parents=True, exist_ok=True)
    log = artifacts.parent / "server.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            _command(artifacts, port),
            env=_environment(uri),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # a process group of its own: Ctrl-C does not reach it, and it ends as a whole
        )
    try:
        _wait_until_healthy(process, port, log)
        yield f"http://{HOST}:{port}"
    finally:
        _end(process)


def _command(artifacts: Path, port: int) -> list[str]:
    return [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--app-name", "orchestrate-hardened"),
        *("--host", HOST, "--port", str(port), "--workers", "1"),
        *("--allowed-hosts", f"{HOST}:{port},localhost:{port}"),
        *("--default-artifact-root", artifacts.absolute().as_uri(), "--no-serve-artifacts"),
        *("--uvicorn-opts", "--log-level=warning"),
    ]


def _environment(uri: str) -> dict[str, str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(STILL_INHERITED) or not name.startswith(NOT_INHERITED)
    }
    own = {
        "MLFLOW_BACKEND_STORE_URI": uri,  # it may hold a password, which a command line would show to everybody
        "PYTHONSAFEPATH": "1",  # no file of the working folder is imported in place of a package
    }
    return inherited | dict(SERVER_ENVIRONMENT) | own


def _require_free(port: int) -> None:
    if not 0 < port < 2**16:
        raise BadInput(f"--port {port}: expected 1 to 65535; leave the flag out for a free one")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does: just closed is free
        try:
            probe.bind((HOST, port))
        except OSError as error:
            reason = "reserved by the system" if isinstance(error, PermissionError) else "in use"
            raise BadInput(f"--port {port}: {reason}; leave the flag out for a free one") from None


def _wait_until_healthy(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline_s = time.monotonic() + READY_WITHIN_S
    while process.poll() is None and time.monotonic() < deadline_s:
        if _is_healthy(port):
            return
        time.sleep(POLL_S)
    fault = "did not start" if process.poll() is not None else f"does not answer after {READY_WITHIN_S:.0f} s"
    raise OrchestratorError(f"the MLflow server {fault}: {_last_line(log)} (more in {log})")


def _is_healthy(port: int) -> bool:
    connection = HTTPConnection(HOST, port, timeout=5)  # urllib would ask a configured proxy
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    said = (line.strip() for line in reversed(lines) if line.strip() and not line.startswith(SQLALCHEMY_TRAILERS))
    return next(said, "it said nothing")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process group politely, then whatever is left of it, even when a second Ctrl-C cuts the wait short."""
    try:
        _signal_group(process, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(END_WITHIN_S)
    finally:
        _signal_group(process, signal.SIGKILL)
        process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # the group is gone; macOS says the latter of a zombie
        os.killpg(process.pid, number)
