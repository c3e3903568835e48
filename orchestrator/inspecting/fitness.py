"""Is this machine fit for a sweep? Versions, GPUs, shared memory, ports, disk, data, sweeps that were left behind."""

import os
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement

from orchestrator.errors import BadInput
from orchestrator.history import all_sweeps
from orchestrator.home import Home
from orchestrator.inspecting import from_kaggle
from orchestrator.sweep_lock import living_owner
from orchestrator.words import size_in_words
from trainables.catalog import TASKS

PROJECT = "medical-orchestrate"
INSTALL = "pip install -c constraints.txt -e ."
OBJECT_STORE_BYTES = 200 * 2**20  # what Ray shares between its processes
LITTLE_DISK_BYTES = 5 * 2**30


@dataclass(frozen=True)
class Check:
    """What was looked at and found, with the way out of a fault; `ok` is None for what no sweep needs."""

    name: str
    ok: bool | None
    found: str


def checks_of_machine() -> list[Check]:
    """Look at Python, packages, GPUs, shared memory and ports."""
    return [_python(), *_packages(), _gpus(), _shared_memory(), _ports(), _ray_address(), _kaggle()]


def _python() -> Check:
    found = ".".join(map(str, sys.version_info[:3]))
    is_fit = sys.version_info >= (3, 11)
    return Check("python", is_fit, found + ("" if is_fit else ": install 3.11 or newer and make the environment anew"))


def _packages() -> Iterator[Check]:
    """Yield a check for each package that the project needs: there, and of a version that fits."""
    try:
        needed = [Requirement(text) for text in requires(PROJECT) or []]
    except PackageNotFoundError:
        yield Check(PROJECT, False, f"is not installed: {INSTALL}")
        return
    for one in needed:
        if one.marker is not None and not one.marker.evaluate():
            continue
        try:
            there = version(one.name)
        except PackageNotFoundError:
            yield Check(one.name, False, f"not installed: {INSTALL}")
            continue
        fits = one.specifier.contains(there, prereleases=True)
        yield Check(one.name, fits, there if fits else f"{there}, needed is {one.specifier}: {INSTALL}")


def _gpus() -> Check:
    """Tell whether torch and torchvision load together: a CPU build beside a CUDA build of the other does not."""
    from orchestrator.inspecting.machine import gpu_names

    try:
        names = gpu_names()
    except BadInput as error:
        return Check("torch and torchvision", False, str(error))
    found = ", ".join(names) or "none: sweeps take preset quick and train on CPUs"
    return Check("torch and torchvision", True, f"load together; GPUs: {found}")


def _shared_memory() -> Check:
    folder = Path("/dev/shm")
    if not folder.is_dir():
        return Check("shared memory", None, "/dev/shm is not there: Ray takes files below /tmp instead, slower")
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < OBJECT_STORE_BYTES:
        way_out = "in a container say --shm-size=1g"
        return Check("shared memory", False, f"{size_in_words(free_bytes)} in /dev/shm, Ray takes 200 MiB; {way_out}")
    return Check("shared memory", True, f"{size_in_words(free_bytes)} in /dev/shm")


def _ports() -> Check:
    try:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
    except OSError as error:
        return Check(
            "ports", False, f"none can be opened on 127.0.0.1 ({error.strerror}): Ray's processes talk by them"
        )
    return Check("ports", True, "can be opened on 127.0.0.1")


def _ray_address() -> Check:
    address = os.environ.get("RAY_ADDRESS")
    if address:
        return Check("RAY_ADDRESS", None, f"{address}: is passed over: a sweep takes --address")
    return Check("RAY_ADDRESS", True, "not set: sweeps start a Ray of their own, or take --address")


def _kaggle() -> Check:
    if not from_kaggle.is_installed():
        return Check("kaggle", None, f"kagglehub is not installed, only data fetch needs it: {from_kaggle.INSTALL}")
    if from_kaggle.has_credentials():
        return Check("kaggle", True, "credentials are there, for orchestrate data fetch")
    return Check("kaggle", None, f"no credentials, only data fetch needs them: {from_kaggle.TOKEN}")


def check_of_disk(home: Home) -> Check:
    """Look at the room that sweeps have."""
    free_bytes = shutil.disk_usage(home.root).free
    found = f"{home.root}, {size_in_words(free_bytes)} free"
    if free_bytes < LITTLE_DISK_BYTES:
        return Check("ORCHESTRATE_HOME", None, f"{found}: little for large networks; orchestrate gc, or another disk")
    return Check("ORCHESTRATE_HOME", True, found)


def check_of_data(root: Path | None) -> Check:
    """Look for the sets of the tasks."""
    if root is None:
        return Check("ORCHESTRATE_DATA", None, "not set: without --data sweeps train on phantom images")
    there = [name for name in TASKS if (root / name).is_dir()]
    lacking = [name for name in TASKS if name not in there]
    found = f"{root}: {', '.join(there) or 'no task'}" + (f"; without {', '.join(lacking)}" if lacking else "")
    return Check("ORCHESTRATE_DATA", True if there else None, found)


def checks_of_sweeps(home: Home) -> Iterator[Check]:
    """Yield what sweeps that nobody runs any more, and damaged ones, ask for."""
    states, faults = all_sweeps(home)
    for fault in faults:
        yield Check("sweeps", None, fault)
    for state in states:
        sweep_id = state.started.sweep_id
        is_over = state.ended is not None and state.ended.state in ("completed", "failed")
        if not is_over and living_owner(home.sweep_folder(sweep_id)) is None:
            yield Check("sweeps", None, f"{sweep_id} was broken off: orchestrate resume {sweep_id}, or rm {sweep_id}")
