"""A Ray cluster that others started: attached to, its nodes known, let go. Its processes are none of ours."""

import logging
import os
import re
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import ray
from ray.autoscaler.sdk import request_resources
from ray.exceptions import AuthenticationError, RayError

from orchestrator.errors import BadInput
from orchestrator.tuning.local_ray import ENVIRONMENT
from orchestrator.tuning.ray_watch import own_handlers, put_back, watched
from orchestrator.tuning.resources import Slots
from orchestrator.tuning.shipping import serve_driver_files, serve_no_longer
from orchestrator.tuning.stopping import Stopping
from trainables.errors import first_line

REACH_S = 5.0
LOOK_S = 1.0
WAIT_S = 900.0  # images of containers are large
LOST_AFTER_LOOKS = 5  # a head that is busy, or restarts, is not gone
MOST_ASKED_FOR = 1024
HOST_AND_PORT = re.compile(r"(?P<host>[^:/\s]+|\[[0-9a-fA-F:]+\]):(?P<port>\d{1,5})")


@dataclass(frozen=True)
class Node:
    """A machine of the cluster that trials may run on: whole CPUs and GPUs as its Ray was told."""

    node_id: str
    address: str
    cpus: int
    gpus: int


def nodes() -> list[Node]:
    """Return the living nodes that have a CPU or a GPU for trials, in the order of their addresses."""
    found = [
        Node(
            node_id=node["NodeID"],
            address=node["NodeManagerAddress"],
            cpus=int(node["Resources"].get("CPU", 0)),
            gpus=int(node["Resources"].get("GPU", 0)),
        )
        for node in ray.nodes()
        if node["Alive"]
    ]
    return sorted((node for node in found if node.cpus or node.gpus), key=lambda node: (node.address, node.node_id))


def attach(address: str) -> list[Node]:
    """Connect this process to a running cluster, see `connect`, and return its nodes. Raises BadInput where none is."""
    connect(address)
    found = nodes()
    if not found:
        raise BadInput(f"--address {address}: none of its nodes has a CPU for trials; add a node, then start again")
    return found


def wait_for_nodes(address: str, count: int, tell: Callable[[str], None]) -> None:
    """Wait for so many nodes of a cluster, WAIT_S at most: with some of them a sweep begins, and more are used later.

    `tell` hears that it waits. Raises BadInput as `attach`.
    """
    connect(address)
    deadline_s, there = time.monotonic() + WAIT_S, -1
    while len(nodes()) < count and time.monotonic() < deadline_s:
        if len(nodes()) != there:
            there = len(nodes())
            tell(f"waiting for nodes: {there} of {count} are there")
        time.sleep(LOOK_S)
    attach(address)


def connect(address: str) -> None:
    """Connect this process to a running cluster, unless it is connected already.

    `address`: auto for the one on this machine, else HOST:PORT of its head. Raises BadInput where there is none, where
    it asks for another token, or runs another version of Ray or Python.
    """
    if not ray.is_initialized():
        _require_reachable(address)
        os.environ.update(ENVIRONMENT)
        logging.getLogger("ray").setLevel(logging.CRITICAL)
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # its C++ says each of its tries on stderr
        handlers = own_handlers()
        try:
            ray.init(
                address=address,
                namespace=f"orchestrate-{secrets.token_hex(8)}",
                runtime_env={"env_vars": ENVIRONMENT},
                log_to_driver=False,
                logging_level=logging.CRITICAL,
            )
        except (RayError, ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            raise BadInput(f"--address {address}: {_reason(error)}") from error
        put_back(handlers)


def detach() -> None:
    """Let the cluster go; it ends what this process began there."""
    serve_no_longer()
    if ray.is_initialized():
        ray.shutdown()


@contextmanager
def attached_ray(
    address: str, slots: Slots, trials: int, stopping: Stopping, stop_request: Path, last_words: Callable[[str], None]
) -> Iterator[None]:
    """Use a cluster until the end of the block, see `attach`; what is heard meanwhile: see `watched`.

    A cluster that grows by itself is asked for room for `trials`, as many at once as there may be.
    """
    attach(address)
    serve_driver_files()
    with watched(stopping, stop_request, last_words, _Reach(), lambda: None, own_handlers()):
        try:
            wanted = min(trials, slots.most or MOST_ASKED_FOR, MOST_ASKED_FOR)
            share = {"GPU": slots.gpu_share} if slots.gpu_share else {}
            request_resources(bundles=[{"CPU": slots.cpus_each, **share}] * wanted)
            yield
        finally:
            if stopping.cause != "ray":
                request_resources(bundles=[])
            detach()


class _Reach:
    """Tells that the cluster is lost once its head, or this machine's node, took no connection for some seconds."""

    def __init__(self) -> None:
        context = ray.get_runtime_context()
        own = next(node for node in ray.nodes() if node["NodeID"] == context.get_node_id())
        self._places = {
            "its head": context.gcs_address,
            "the node of this machine": f"{own['NodeManagerAddress']}:{own['NodeManagerPort']}",
        }
        self._failed_looks, self._looked_at_s = 0, 0.0

    def __call__(self) -> str:
        now_s = time.monotonic()
        if now_s - self._looked_at_s >= LOOK_S:
            self._looked_at_s = now_s
            gone = [name for name, place in self._places.items() if not _takes_connections(place)]
            self._failed_looks = self._failed_looks + 1 if gone else 0
            if self._failed_looks >= LOST_AFTER_LOOKS:
                return f"{' and '.join(gone)} cannot be reached"
        return ""


def _takes_connections(place: str) -> bool:
    host, _, port = place.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=REACH_S):
            return True
    except (OSError, UnicodeError):  # a name with an empty part
        return False


def _require_reachable(address: str) -> None:
    """Raise BadInput for what is no address, and where nothing answers: Ray itself would try for a minute."""
    if address == "auto":
        return
    if address.startswith(("http://", "https://")):
        raise BadInput(
            f"--address {address}: is for orchestrate submit; a sweep attaches by auto, or the head's HOST:PORT"
        )
    if address.startswith("ray://"):
        raise BadInput(
            f"--address {address}: a sweep cannot run through Ray Client; start it on a machine of the cluster, or "
            "send it there: orchestrate submit NAME --address http://HEAD:8265"
        )
    match = HOST_AND_PORT.fullmatch(address)
    if match is None or int(match["port"]) > 65535:
        raise BadInput(
            f"--address {' '.join(address.split())}: expected auto, local, or HOST:PORT of the cluster's head, e.g. "
            "10.0.0.1:6379"
        )
    if not _takes_connections(address):
        raise BadInput(
            f"--address {address}: nothing answers there; is that the head's address, and is its Ray running?"
        )


def _reason(error: Exception) -> str:
    text = str(error)
    if isinstance(error, AuthenticationError) or ("token" in text.lower() and "auth" in text.lower()):
        return (
            "the cluster takes another token; give this process the cluster's: RAY_AUTH_MODE=token and "
            "RAY_AUTH_TOKEN_PATH=FILE"
        )
    versions = re.search(
        r"cluster was started with:\s*Ray: (\S+)\s*Python: (\S+).*started with:\s*Ray: (\S+)\s*Python: (\S+)",
        text,
        re.S,
    )
    if versions:
        theirs, ours = f"Ray {versions[1]}, Python {versions[2]}", f"Ray {versions[3]}, Python {versions[4]}"
        return f"the cluster runs {theirs}, this is {ours}; all machines need the same (constraints.txt)"
    if text.startswith("Failed to connect to Ray cluster"):  # why stands in Ray's own log alone
        return (
            "it answers, and refuses: another token, or no head of a Ray cluster; give this process the cluster's: "
            "RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH=FILE"
        )
    if "Could not find any running Ray" in text:
        return "no Ray runs on this machine; start one with ray start, or give HOST:PORT of a cluster's head"
    return first_line(error)
