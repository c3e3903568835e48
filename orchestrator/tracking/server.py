"""MLflow's own server, hardened: one worker, this machine only unless told otherwise, no jobs, models or agents."""

import errno
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

from orchestrator.errors import BadInput, OrchestratorError
from orchestrator.tracking.hardened_app import LOGIN

HOST = "127.0.0.1"
EVERYWHERE = "0.0.0.0"
PASSWORD = "ORCHESTRATE_UI_PASSWORD"
USER = "orchestrate"
LEAST_PASSWORD_CHARACTERS = 12
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


@dataclass(frozen=True)
class Address:
    """Where the server listens; beyond loopback nobody gets in without `login`, name:password."""

    host: str
    port: int
    login: str = ""

    @property
    def near_host(self) -> str:
        """Return the host by which this machine reaches it."""
        return HOST if self.host == EVERYWHERE else self.host

    @property
    def names(self) -> list[str]:
        """Return the hosts by which requests may address it; others are answered 403 (DNS rebinding)."""
        if self.host != EVERYWHERE:
            return list(dict.fromkeys([self.host, *([HOST, "localhost"] if _is_loopback(self.host) else [])]))
        names = [HOST, "localhost", socket.gethostname(), socket.getfqdn()]
        with suppress(OSError):  # a name that nobody resolves
            names += socket.gethostbyname_ex(socket.gethostname())[2]
        return list(dict.fromkeys([*names, self.far_host]))

    @property
    def far_host(self) -> str:
        """Return the host by which other machines reach it: for 0.0.0.0 the address that this one goes out from."""
        if self.host != EVERYWHERE:
            return self.host
        with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))  # sends nothing
            return str(probe.getsockname()[0])
        return self.near_host


def address_to_serve(host: str, port: int | None, password: str | None) -> Address:
    """Return where to serve; a free port where none is given.

    Raises BadInput for a host that is none of this machine's, and for one beyond loopback without a long password.
    """
    if not host or ":" in host:
        raise BadInput(f"--host {host}: expected a name or an IPv4 address of this machine; or leave the flag out")
    if not _is_loopback(host) and (password is None or len(password) < LEAST_PASSWORD_CHARACTERS):
        raise BadInput(
            f"--host {host}: others could reach it; set {PASSWORD} to a password of at least "
            f"{LEAST_PASSWORD_CHARACTERS} characters (name: {USER}), on a network that you trust; or leave the flag out"
        )
    address = Address(host, free_port() if port is None else port, "" if _is_loopback(host) else f"{USER}:{password}")
    _require_free(address, is_given=port is not None)
    return address


def free_port() -> int:
    """Return a loopback port that nobody listens on; another process may still take it first."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class RunningServer:
    """A server that answers."""

    url: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def wait(self) -> NoReturn:
        """Wait for its end, which nobody asked for: Ctrl-C comes first. Raises OrchestratorError."""
        code = self.process.wait()
        raise OrchestratorError(
            f"the MLflow server ended by itself ({code}): {_last_line(self.log)} (more in {self.log})"
        )


@contextmanager
def mlflow_server(uri: str, artifacts: Path, address: Address) -> Iterator[str]:
    """Run the server as `running_server` does, and yield its URL."""
    with running_server(uri, artifacts, address) as server:
        yield server.url


@contextmanager
def running_server(uri: str, artifacts: Path, address: Address) -> Iterator[RunningServer]:
    """Run the server on the store `uri` for the length of the block, which begins once it answers.

    Experiments made through the server keep their files below `artifacts`; those of all others are read from wherever
    the experiment says. What the server says goes to `server.log` beside that folder. Raises OrchestratorError when the
    server does not answer within READY_WITHIN_S.
    """
    artifacts.mkdir(parents=True, exist_ok=True)
    log = artifacts.parent / "server.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            _command(artifacts, address),
            env=_environment(uri, address),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # a process group of its own: Ctrl-C does not reach it, and it ends as a whole
        )
    try:
        _wait_until_healthy(process, address, log)
        yield RunningServer(f"http://{address.far_host}:{address.port}", process, log)
    finally:
        _end(process)


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


def _command(artifacts: Path, address: Address) -> list[str]:
    return [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--app-name", "orchestrate-hardened"),
        *("--host", address.host, "--port", str(address.port), "--workers", "1"),
        *("--allowed-hosts", ",".join(f"{name}:{address.port}" for name in address.names)),
        *("--cors-allowed-origins", ",".join(f"http://{name}:{address.port}" for name in address.names)),
        *("--default-artifact-root", artifacts.absolute().as_uri(), "--no-serve-artifacts"),
        *("--uvicorn-opts", "--log-level=warning"),
    ]


def _environment(uri: str, address: Address) -> dict[str, str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(STILL_INHERITED) or not name.startswith(NOT_INHERITED)
    }
    own = {
        "MLFLOW_BACKEND_STORE_URI": uri,  # it may hold a password, which a command line would show to everybody
        LOGIN: address.login,
        "PYTHONSAFEPATH": "1",  # no file of the working folder is imported in place of a package
    }
    return inherited | dict(SERVER_ENVIRONMENT) | own


def _require_free(address: Address, is_given: bool) -> None:
    port = address.port
    if not 0 < port < 2**16:
        raise BadInput(f"--port {port}: expected 1 to 65535; leave the flag out for a free one")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does: just closed is free
        try:
            probe.bind((address.host, port))
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise BadInput(f"--host {address.host}: is no address of this machine ({error.strerror})") from None
            reason = "reserved by the system" if error.errno == errno.EACCES else "in use"
            way_out = "; leave the flag out for a free one" if is_given else ""
            raise BadInput(f"--port {port}: {reason}{way_out}") from None


def _wait_until_healthy(process: subprocess.Popen[bytes], address: Address, log: Path) -> None:
    deadline_s = time.monotonic() + READY_WITHIN_S
    while process.poll() is None and time.monotonic() < deadline_s:
        if _is_healthy(address):
            return
        time.sleep(POLL_S)
    fault = "did not start" if process.poll() is not None else f"does not answer after {READY_WITHIN_S:.0f} s"
    raise OrchestratorError(f"the MLflow server {fault}: {_last_line(log)} (more in {log})")


def _is_healthy(address: Address) -> bool:
    connection = HTTPConnection(address.near_host, address.port, timeout=5)  # urllib would ask a configured proxy
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
