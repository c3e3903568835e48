"""A Ray cluster of several nodes on this machine: a token, own ports, own homes, a mount and host name of each node."""

import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from process_support import descendants, is_alive
from tests_support import clean_environment

START_S = 150.0
OBJECT_STORE_BYTES = 100 * 2**20
STARTS = 3


def free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def can_make_namespaces() -> bool:
    tried = subprocess.run(["unshare", "--mount", "--uts", "true"], capture_output=True)
    return tried.returncode == 0


needs_namespaces = pytest.mark.skipif(
    sys.platform != "linux" or not can_make_namespaces(), reason="mount namespaces need Linux and root"
)


@dataclass
class StartedNode:
    """A node of the cluster: its process, home, and host name."""

    name: str
    home: Path
    process: "subprocess.Popen[bytes]"

    def kill(self) -> None:
        """End it as a machine ends that loses its power."""
        pids = [self.process.pid, *descendants(self.process.pid)]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()
        deadline = time.monotonic() + 10
        while any(map(is_alive, pids)) and time.monotonic() < deadline:
            time.sleep(0.05)


@dataclass
class StartedCluster:
    """Nodes by name; `token` is what each process of it needs."""

    root: Path
    port: int
    token: Path
    ray: Path  # its sessions; a socket's path may have 107 letters
    dashboard_port: int
    nodes: dict[str, StartedNode] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def dashboard(self) -> str:
        """Where jobs are submitted."""
        return f"http://127.0.0.1:{self.dashboard_port}"

    @property
    def environment(self) -> dict[str, str]:
        return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(self.token)}

    def add(self, name: str, cpus: int, hidden: list[Path], **environment: str) -> StartedNode:
        """Start a node that cannot read `hidden` folders; the first one is the head."""
        for _ in range(STARTS):
            node = self._start(name, cpus, hidden, environment)
            if self._has_started(node):
                self.nodes[name] = node
                return node
            node.kill()
        raise AssertionError(self._log(name).read_text(errors="replace")[-2000:])

    def _start(self, name: str, cpus: int, hidden: list[Path], environment: dict[str, str]) -> StartedNode:
        home = self.root / f"home-{name}"
        home.mkdir(exist_ok=True)
        agent_http, agent_grpc, metrics = free_ports(3)
        line = [
            str(Path(sys.executable).with_name("ray")), "start", "--block", "--disable-usage-stats",
            f"--num-cpus={cpus}", "--num-gpus=0", f"--object-store-memory={OBJECT_STORE_BYTES}",
            "--node-ip-address=127.0.0.1", f"--dashboard-agent-listen-port={agent_http}",
            f"--dashboard-agent-grpc-port={agent_grpc}", f"--metrics-export-port={metrics}",
        ]  # fmt: skip
        if self.nodes:
            line.append(f"--address={self.address}")
            unpacked = (self.ray / "session_latest").resolve() / "runtime_resources"  # what each node unpacks anew
            unpacked.mkdir(parents=True, exist_ok=True)
            hidden = [*hidden, unpacked]
        else:
            line += ["--head", f"--port={self.port}", "--dashboard-host=127.0.0.1"]
            line += [f"--dashboard-port={self.dashboard_port}", f"--temp-dir={self.ray}"]
            line += [f"--ray-client-server-port={free_ports(1)[0]}"]
        hide = "".join(f"mount -t tmpfs none {shlex.quote(str(folder))} && " for folder in hidden)
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # a job is run by this Python
        script = f"hostname {name} && {hide}exec {shlex.join(line)}"
        with self._log(name).open("wb") as log:
            process = subprocess.Popen(
                ["unshare", "--mount", "--uts", "sh", "-c", script],
                env=clean_environment(home, PATH=path, **self.environment, OMP_NUM_THREADS="1", **environment),
                cwd=self.root, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        return StartedNode(name, home, process)

    def _has_started(self, node: StartedNode) -> bool:
        """Wait for a node; on a busy machine its raylet gives up, as an agent has 15 s to begin."""
        deadline = time.monotonic() + START_S
        while "Ray runtime started" not in self._log(node.name).read_text(errors="replace"):
            if node.process.poll() is not None or time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def _log(self, name: str) -> Path:
        return self.root / f"{name}.log"


@contextmanager
def started_cluster(root: Path, head_cpus: int = 0, **environment: str) -> Iterator[StartedCluster]:
    """Start a cluster whose head runs no trial, unless it has cores for them; end all of it with the block."""
    root.mkdir(parents=True, exist_ok=True)
    token = root / "token"
    token.write_text(secrets.token_hex(32))
    token.chmod(0o600)
    ray = Path(tempfile.mkdtemp(prefix="ray-"))
    port, dashboard_port = free_ports(2)
    cluster = StartedCluster(root, port, token, ray, dashboard_port)
    try:
        cluster.add("head", head_cpus, [], **environment)
        yield cluster
    finally:
        for node in cluster.nodes.values():
            node.kill()
        shutil.rmtree(ray, ignore_errors=True)
