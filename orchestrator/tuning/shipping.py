"""What the driver's machine has and other nodes lack: decoded images go there once; the test ledger stays in one place.

Ray's object store is only the way: on each node the images become a file that all its trials map.
"""

import fcntl
import hashlib
import os
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.cache_upkeep import MAX_CACHE_BYTES, collect_garbage
from orchestrator.test_ledger import TestRead, record_test_read
from trainables.data.cache import mark_as_used
from trainables.durable import put_in_place
from trainables.errors import DataError

if TYPE_CHECKING:
    import numpy as np

    from trainables.data.views import View

NAME = "files of the driver"
CHUNK_BYTES = 16 * 2**20  # few at a time are in Ray's store, however large a set is
AT_ONCE = 8
_serving: dict[str, Any] = {}  # an actor ends with the last handle of those who made it


class DriverFiles:
    """Runs on the driver's node, where images, masks and the ledger of test reads are."""

    def chunk(self, path: Path, offset: int) -> bytes:
        """Return a piece of a file; an empty one is its end."""
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(CHUNK_BYTES)

    def size_bytes(self, path: Path) -> int:
        """Return how long a file is."""
        return path.stat().st_size

    def note_test_read(self, ledger: Path, read: TestRead) -> None:
        """Append a line to the ledger."""
        record_test_read(ledger, read)

    def lesion_mask(self, root: Path, path: str, view: "View") -> "np.ndarray | None":
        """Return the mask of a phantom's image, see LesionMasks."""
        from trainables.explain.masks import LesionMasks

        return LesionMasks(root).find(path, view)


def serve_driver_files() -> None:
    """Let the nodes of the cluster that this process is attached to ask this machine for files, while it is."""
    if NAME in _serving:
        return
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    options = {"num_cpus": 0, "name": NAME, "max_concurrency": AT_ONCE, "max_restarts": -1, "max_task_retries": -1}
    server: Any = ray.remote(DriverFiles)
    _serving[NAME] = server.options(**options, scheduling_strategy=here).remote()
    ray.get(_serving[NAME].__ray_ready__.remote())


def serve_no_longer() -> None:
    """Forget what `serve_driver_files` started; it ends with the connection to the cluster."""
    _serving.clear()


def driver_files() -> Any:
    """Return the actor that `serve_driver_files` started."""
    return ray.get_actor(NAME)


def note_on_driver(ledger: Path, read: TestRead) -> None:
    """Append a line to the ledger on the driver's machine. Raises OSError as `record_test_read`."""
    ray.get(driver_files().note_test_read.remote(ledger, read))


def mask_from_driver(root: Path, path: str, view: "View") -> "np.ndarray | None":
    """Return the mask of a phantom's image that is on the driver's machine, see LesionMasks.find."""
    mask_HW: np.ndarray | None = ray.get(driver_files().lesion_mask.remote(root, path, view))
    return mask_HW


def is_on_this_node(array: Path, digest: str) -> bool:
    """Tell whether `on_this_node` would fetch nothing."""
    return array.is_file() or _shipped(digest).is_file()


def _shipped(digest: str) -> Path:
    return node_cache() / "shipped" / digest / "images.npy"


def on_this_node(array: Path, digest: str) -> Path:
    """Return where the driver's decoded images can be mapped on this node; they are fetched where nobody did before.

    Raises DataError where what arrives is not what was planned, OSError where the disk has no room.
    """
    if array.is_file():  # the driver's own node, or a folder that all share
        return array
    cache = node_cache()
    target = _shipped(digest)
    folder = target.parent
    locks = cache / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    with (locks / digest).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the node's other trials wait for the one that fetches
        if not target.is_file():
            collect_garbage(cache, MAX_CACHE_BYTES)
            folder.mkdir(parents=True, exist_ok=True)
            _fetch(array, digest, target)
    mark_as_used(folder)
    return target


def node_cache() -> Path:
    """Return where this node keeps decoded images: below its own ORCHESTRATE_HOME, else the folder for such files."""
    home = os.environ.get("ORCHESTRATE_HOME")
    return Path(home or Path(tempfile.gettempdir()) / f"orchestrate-{os.getuid()}").absolute() / "cache"


def _fetch(array: Path, digest: str, target: Path) -> None:
    files, part = driver_files(), target.with_suffix(".part")
    size_bytes = ray.get(files.size_bytes.remote(array))
    sha256, offset = hashlib.sha256(), 0
    try:
        with part.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size_bytes)  # a full disk is told before an hour of copying
            while offset < size_bytes:
                piece = ray.get(files.chunk.remote(array, offset))
                if not piece:
                    break
                file.write(piece)
                sha256.update(piece)
                offset += len(piece)
        if sha256.hexdigest() != digest:
            raise DataError(f"{array.parent.name}: the decoded images that reached {socket.gethostname()} are others")
        put_in_place(part, target)
    finally:
        part.unlink(missing_ok=True)
