"""Is every node of a cluster fit for the sweep: the same code and packages, the same storage, room for the images."""

import secrets
import shutil
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.errors import BadInput
from orchestrator.object_store import ObjectStore
from orchestrator.tuning.cluster import Node
from orchestrator.tuning.code_digest import PACKAGES as CODE
from orchestrator.tuning.code_digest import code_digest
from orchestrator.tuning.shipping import is_on_this_node, node_cache
from orchestrator.tuning.storage_probe import Probe, probe_in
from orchestrator.words import size_in_words
from trainables.catalog import architecture
from trainables.errors import first_line

PACKAGES = ("torch", "torchvision", "timm", "numpy", "scikit-learn", "safetensors")  # what decides a trial's numbers
ANSWER_S = 120.0  # a node's first process imports torch
SPARE_BYTES = 2**30


@dataclass(frozen=True)
class NodeReport:
    """What one node says of itself."""

    host: str
    python: str
    packages: dict[str, str]
    code_digest: str
    unknown: list[str]  # architectures
    read: str  # of the file that the driver wrote into the storage; else why not
    cards_mib: list[float]  # memory of each GPU
    cache: str
    free_bytes: int
    lacks: list[Path]  # arrays
    weights: str  # why pretrained ones cannot be had


@dataclass(frozen=True)
class Needs:
    """What a sweep asks of a node: architectures, images (array -> digest; fetched where lacking), weights.

    `has_weights` raises BadInput where pretrained ones cannot be had; None where none are wanted.
    """

    architectures: tuple[str, ...]
    arrays: Mapping[Path, str]
    has_weights: Callable[[], None] | None = None


def check_nodes(nodes: Sequence[Node], storage: Path | ObjectStore, needs: Needs) -> list[NodeReport]:
    """Ask every node, and let it write into the storage and read from it. Raises BadInput that names one.

    `storage` must be the same one, whatever the node. Returned are the reports with the GPUs that Ray was told of.
    """
    probe = probe_in(storage)
    try:
        words = secrets.token_hex(16)
        probe.write("driver", words)
        asked = [_ask(node, probe, needs) for node in nodes]
        ours = _look("driver", probe, replace(needs, has_weights=None))
        reports = [_answer(node, reference) for node, reference in zip(nodes, asked, strict=True)]
        for node, report in zip(nodes, reports, strict=True):
            _require_alike(node, report, ours)
            if report.read != words or not _is_there(probe, node.node_id, words):
                raise BadInput(
                    f"--storage {probe.place}: is not shared with node {_name(node, report)} "
                    f"({_how(report, words)}); {probe.way_out}"
                )
            _require_room(node, report)
        return [
            replace(report, cards_mib=report.cards_mib[: node.gpus])
            for node, report in zip(nodes, reports, strict=True)
        ]
    finally:
        probe.remove()


def _ask(node: Node, probe: Probe, needs: Needs) -> Any:
    there = NodeAffinitySchedulingStrategy(node.node_id, soft=False)
    task: Any = ray.remote(_look)
    return task.options(num_cpus=0, max_retries=0, scheduling_strategy=there).remote(node.node_id, probe, needs)


def _look(name: str, probe: Probe, needs: Needs) -> NodeReport:
    """Runs on a node."""
    import torch

    try:
        read = probe.read("driver")
        probe.write(name, read)
    except OSError as error:
        read = error.strerror or str(error)
    cache = node_cache()
    existing = next(folder for folder in (cache, *cache.parents) if folder.exists())
    cards = range(torch.cuda.device_count())
    return NodeReport(
        host=socket.gethostname(),
        python=".".join(map(str, sys.version_info[:2])),
        packages={package: _version(package) for package in PACKAGES},
        code_digest=code_digest(),
        unknown=[one for one in needs.architectures if not _is_known(one)],
        read=read,
        cards_mib=[torch.cuda.get_device_properties(card).total_memory / 2**20 for card in cards],
        cache=str(cache),
        free_bytes=shutil.disk_usage(existing).free,
        lacks=[path for path, digest in needs.arrays.items() if not is_on_this_node(path, digest)],
        weights=_why_no_weights(needs),
    )


def _why_no_weights(needs: Needs) -> str:
    try:
        if needs.has_weights is not None:
            needs.has_weights()
    except BadInput as error:
        return str(error)
    return ""


def _version(package: str) -> str:
    try:
        return version(package).partition("+")[0]  # a driver without GPU may have the CPU's build
    except PackageNotFoundError:
        return "missing"


def _is_known(name: str) -> bool:
    try:
        architecture(name)
    except (KeyError, ValueError):
        return False
    return True


def _answer(node: Node, reference: Any) -> NodeReport:
    try:
        report: NodeReport = ray.get(reference, timeout=ANSWER_S)
        return report
    except GetTimeoutError:
        raise BadInput(
            f"node {node.address}: gave no answer within {ANSWER_S:.0f} s; look at it, or take it out"
        ) from None
    except RayTaskError as error:
        text = str(error)
        if any(f"No module named '{name}" in text for name in CODE):
            raise BadInput(
                f"node {node.address}: this project is not installed there; install it as here, or use orchestrate "
                "submit, which sends the code along"
            ) from error
        raise BadInput(f"node {node.address}: {first_line(error.cause or error)}") from error
    except RayError as error:
        raise BadInput(f"node {node.address}: {first_line(error)}") from error


def _require_alike(node: Node, report: NodeReport, ours: NodeReport) -> None:
    name = _name(node, report)
    theirs = {"python": report.python, **report.packages}
    for what, here in {"python": ours.python, **ours.packages}.items():
        if theirs[what] != here:
            raise BadInput(
                f"node {name}: has {what} {theirs[what]}, here it is {here}; its numbers would differ: install both "
                "with constraints.txt"
            )
    if report.code_digest != ours.code_digest:
        raise BadInput(f"node {name}: runs another version of this project than the driver; install the same on both")
    if len(report.cards_mib) < node.gpus:
        raise BadInput(
            f"node {name}: Ray was told of {node.gpus} GPUs there, torch sees {len(report.cards_mib)}; install torch "
            "for its GPUs, or start its Ray with --num-gpus=0"
        )
    if report.weights:
        raise BadInput(f"node {name}: {report.weights}")
    if report.unknown:
        raise BadInput(
            f"node {name}: does not know architecture {report.unknown[0]}; install the package that brings it"
        )


def _require_room(node: Node, report: NodeReport) -> None:
    images_bytes = sum(path.stat().st_size for path in report.lacks)
    if report.free_bytes < images_bytes + SPARE_BYTES:
        what = f"the decoded images that it lacks take {size_in_words(images_bytes)}" if images_bytes else "it is full"
        raise BadInput(
            f"node {_name(node, report)}: {size_in_words(report.free_bytes)} free in {report.cache}, and {what}; free "
            f"{size_in_words(images_bytes + SPARE_BYTES)} there, or set its ORCHESTRATE_HOME to another disk"
        )


def _is_there(probe: Probe, name: str, words: str) -> bool:
    try:
        return probe.read(name) == words
    except OSError:
        return False


def _name(node: Node, report: NodeReport) -> str:
    return f"{report.host} ({node.address})"


def _how(report: NodeReport, words: str) -> str:
    if report.read == words:
        return "what it wrote did not arrive"
    return report.read if len(report.read) < 80 else "it reads other files"
