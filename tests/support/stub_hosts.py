"""Kaggle and Hugging Face on loopback: what of their interfaces a fetch of a public set asks for."""

import io
import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

from tests_support import Finished

Fetch = Callable[..., Finished]  # (task, environment by name) -> what the command printed
REVISION = "5" * 40


class Asked(NamedTuple):
    """One request."""

    method: str
    path: str
    range: str | None


@dataclass
class Stub:
    """What the hosts hold and how they answer; may be changed between two commands."""

    archive: bytes = field(default=b"", repr=False)  # Kaggle's
    files: dict[str, bytes] = field(default_factory=dict, repr=False)  # Hugging Face's
    status: int = 200  # of whatever is asked first
    cut_at: int | None = None  # the archive's connection is closed there
    md5: str | None = None
    refused: str | None = None  # a file that Hugging Face fails to send
    revision: str = REVISION  # of the files
    is_silent: bool = False  # it accepts, and says nothing
    released: threading.Event = field(default_factory=threading.Event)
    asked: list[Asked] = field(default_factory=list)
    url: str = ""

    def downloads(self) -> list[Asked]:
        return [one for one in self.asked if one.method == "GET" and "/api/" not in one.path]


@contextmanager
def hosts() -> Iterator[Stub]:
    stub = Stub()

    class Handler(_Handler):
        state = stub

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        stub.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield stub
        stub.released.set()
        server.shutdown()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    state: Stub

    def do_POST(self) -> None:
        """Answer as Kaggle's interface: the set's version, then where its archive is."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self._note()
        if self._is_silent():
            return
        if self.state.status != 200:
            self._json({"code": self.state.status, "message": "no"}, self.state.status)
        elif self.path.endswith("/GetDataset"):
            self._json({"currentVersionNumber": 3})
        else:
            self.send_response(302)
            self.send_header("Location", f"{self.state.url}/archive.zip")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def do_HEAD(self) -> None:
        self._file(with_body=False)

    def do_GET(self) -> None:
        if self._is_silent():
            return
        if self.path == "/archive.zip":
            self._note()
            self._archive()
        elif not self.path.startswith("/api/"):
            self._file(with_body=True)
        elif self.state.status != 200:
            self._json({"error": "no"}, self.state.status)
        else:
            siblings = [{"rfilename": path} for path in self.state.files]
            self._json({"id": "somebody/set", "sha": self.state.revision, "siblings": siblings})

    def _archive(self) -> None:
        begin = int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        body = self.state.archive[begin:]
        self.send_response(206 if begin else 200)
        self.send_header("Content-Type", "application/zip")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Accept-Ranges", "bytes")
        if self.state.md5:
            self.send_header("X-Goog-Hash", f"md5={self.state.md5}")
        self.end_headers()
        self.wfile.write(body[: self.state.cut_at])

    def _file(self, with_body: bool) -> None:
        self._note()
        path = self.path.partition(f"/resolve/{self.state.revision}/")[2]
        if with_body and path == self.state.refused:
            self._json({"error": "no"}, 500)
            return
        body = self.state.files[path]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{sha256(body).hexdigest()}"')
        self.send_header("X-Repo-Commit", self.state.revision)
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def _json(self, value: object, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Kaggle-HubVersion", "99.0")  # of which its library tells on stdout
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _is_silent(self) -> bool:
        """Wait where nothing is to be said; whoever has no limit of time is let go after long."""
        return self.state.is_silent and (self.state.released.wait(20) or True)

    def _note(self) -> None:
        self.state.asked.append(Asked(self.command, self.path, self.headers["Range"]))

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def zip_of(files: dict[str, bytes]) -> bytes:
    """Return an archive of name -> content."""
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return into.getvalue()


def names_in(folder: Path) -> set[str]:
    """Return what lies in a folder; nothing where there is none."""
    return {path.name for path in folder.iterdir()} if folder.exists() else set()
