"""Files in a bucket of an object store, below one address; fsspec speaks the protocols."""

import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from orchestrator.errors import BadInput
from trainables.durable import put_in_place
from trainables.errors import first_line

PACKAGES = {"s3": "s3fs", "gs": "gcsfs"}  # an extra of this project is named as the scheme
_BUCKET_AND_PREFIX = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.=+-]+)*/?")
_NO_KEYS = {"NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError", "CredentialRetrievalError"}
_NO_ANSWER = {
    *("EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ConnectionClosedError"),
    *("ClientConnectorError", "ServerDisconnectedError", "FSTimeoutError", "TransportError"),
}
MOST_CHARACTERS = 200
AGAIN_S = 2.0
_TRIES = {"retries": {"max_attempts": 2}}  # who calls tries again by itself, and says so
T = TypeVar("T")


class StoreFault(OSError):
    """An object store that did not do what was asked: why, and the way out, in one line."""


@dataclass(frozen=True)
class ObjectStore:
    """Files below an address such as s3://bucket/prefix, each whole or not there. All methods raise StoreFault."""

    uri: str  # without a slash at its end

    def below(self, name: str) -> "ObjectStore":
        """Return a folder of it."""
        return ObjectStore(f"{self.uri}/{name}")

    def read(self, key: str) -> bytes | None:
        """Return what a file holds, None where there is none."""
        system, root = self._open()
        with suppress(FileNotFoundError), self._told():
            content: bytes = system.cat_file(f"{root}/{key}")
            return content
        return None

    def read_all(self, keys: Sequence[str]) -> list[bytes]:
        """Return what files hold, many at once. Raises FileNotFoundError where one is gone."""
        system, root = self._open()
        with self._told():
            found: dict[str, bytes] = system.cat([f"{root}/{key}" for key in keys]) if keys else {}
            return [found[f"{root}/{key}"] for key in keys]

    def write(self, key: str, content: bytes) -> None:
        """Write a file, whatever was there."""
        system, root = self._open()
        with self._in_a_bucket(), self._told():
            system.pipe_file(f"{root}/{key}", content)

    def put(self, path: Path, key: str) -> None:
        """Copy a file of this machine there. Raises FileNotFoundError where it is gone."""
        system, root = self._open()
        path.stat()
        with self._in_a_bucket(), self._told():
            system.put_file(str(path), f"{root}/{key}")

    def get(self, key: str, path: Path) -> None:
        """Copy a file here, whole or not at all. Raises FileNotFoundError where there is none."""
        system, root = self._open()
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")  # several of a machine may want it
        try:
            with self._told():
                system.get_file(f"{root}/{key}", str(part))
            put_in_place(part, path)
        finally:
            part.unlink(missing_ok=True)

    def keys(self, folder: str = "") -> list[str]:
        """Return the files below, in the order of their names, by their path from here."""
        system, root = self._open()
        with suppress(FileNotFoundError), self._told():
            found: list[str] = system.find(f"{root}/{folder}".rstrip("/"))
            return sorted(name.removeprefix(f"{root}/") for name in found if name.startswith(f"{root}/"))
        return []

    def remove(self, keys: Sequence[str]) -> None:
        """Remove files; one that is gone is no fault."""
        system, root = self._open()
        for key in keys:
            with suppress(FileNotFoundError), self._told():
                system.rm_file(f"{root}/{key}")

    def require_usable(self) -> None:
        """Write, read, list and remove a file."""
        key = f".probe-{secrets.token_hex(8)}"
        self.write(key, b"probe")
        if self.read(key) != b"probe" or key not in self.keys():
            raise StoreFault("what was written cannot be read back; give this user the right to read and list there")
        self.remove([key])

    def _open(self) -> tuple[Any, str]:
        """Return the file system, one for a process, and the path in it."""
        from fsspec.config import conf
        from fsspec.core import url_to_fs

        kind = self.uri.partition(":")[0]
        options: dict[str, Any] = {"use_listings_cache": False}  # others write there, too
        if kind == "s3":
            options["config_kwargs"] = _TRIES | conf.get("s3", {}).get("config_kwargs", {})
        with self._told():
            system, root = url_to_fs(self.uri, **options)
        return system, str(root).rstrip("/")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Raise StoreFault for what the package of a protocol raises, but for a file that is not there."""
        try:
            yield
        except (FileNotFoundError, StoreFault):
            raise
        except Exception as error:
            raise StoreFault(_why(error)) from error

    @contextmanager
    def _in_a_bucket(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:  # of what is written
            raise StoreFault("there is no such bucket; make it, or name another") from error


def patiently(act: Callable[[], T], within_s: float) -> T:
    """Return what `act` returns, tried again for so long while the store fails. Raises StoreFault."""
    deadline_s = time.monotonic() + within_s
    while True:
        try:
            return act()
        except StoreFault:
            if time.monotonic() >= deadline_s:
                raise
        time.sleep(AGAIN_S)


def is_address(value: str) -> bool:
    """Tell whether a text is the address of a bucket, or of a place in one, in a store that there is a package for."""
    scheme, _, place = value.partition("://")
    is_place = _BUCKET_AND_PREFIX.fullmatch(place) is not None and not {".", ".."} & set(place.split("/"))
    return scheme in PACKAGES and is_place


def object_store(value: str) -> ObjectStore:
    """Return the store that --storage names. Raises BadInput where it cannot be used: it is tried at once."""
    scheme = value.partition("://")[0]
    package = PACKAGES.get(scheme)
    known = " or ".join(f"{name}://bucket/prefix" for name in PACKAGES)
    if package is None:
        raise BadInput(f"--storage {value}: {scheme}:// is no store for sweeps; name a shared folder, or {known}")
    if not is_address(value):
        raise BadInput(
            f"--storage {value}: expected {scheme}://bucket/prefix, in letters, digits, points and dashes, without .."
        )
    if find_spec(package) is None:
        raise BadInput(f"--storage {value}: needs {package}: pip install -c constraints.txt -e '.[{scheme}]'")
    store = ObjectStore(value.rstrip("/"))
    try:
        store.require_usable()
    except StoreFault as fault:
        raise BadInput(f"--storage {value}: {fault}") from fault
    return store


def _why(error: Exception) -> str:
    names, cause = set(), error.__cause__ or error.__context__
    for one in (error, cause):
        names |= {kind.__name__ for kind in type(one).__mro__}
    said = first_line(error, MOST_CHARACTERS)
    if names & _NO_KEYS:
        return "no keys were found; set those of the store, e.g. AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    if isinstance(error, ImportError):
        return f"cannot be spoken to ({said}); install this project with the extra of the store, e.g. '.[s3]'"
    if isinstance(error, PermissionError) or said.startswith("Forbidden") or getattr(error, "code", 0) in (401, 403):
        return f"the store refuses it ({said}); give this user's keys the right to read, write, list and delete there"
    if names & _NO_ANSWER or isinstance(error, ConnectionError | TimeoutError):
        return f"cannot be reached ({said}); look at the network, and at AWS_ENDPOINT_URL where it is not Amazon's"
    return said
