"""MLflow stores that misbehave: a proxy that is slow or spoils answers, a lock on SQLite, a server that is killed."""

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from process_support import pids_on

HOLD_LOCK = (
    "import sqlite3, sys\n"
    "connection = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)\n"
    "connection.execute('BEGIN EXCLUSIVE')\n"
    "print('locked', flush=True)\n"
    "sys.stdin.read()\n"
)
HOP_BY_HOP = ("connection", "keep-alive", "transfer-encoding", "content-length", "host")


@dataclass(frozen=True)
class Spoilt:
    """What a caller gets instead of the server's answer: a status, or a closed connection where that is None."""

    status: int | None
    carried_out: bool  # the server has done what it was asked for


class Proxy:
    """A loopback server that passes requests on; `delay_s` before each, `spoil` says which answers are spoilt.

    `spoil` hears method, path and how many calls there were before. Without a target every connection is closed.
    """

    def __init__(self, target: str | None, port: int = 0) -> None:
        self.target = target
        self.delay_s = 0.0
        self.spoil: Callable[[str, str, int], Spoilt | None] = lambda method, path, nth: None
        self.calls: list[str] = []
        self._counting = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def _pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with proxy._counting:
                    nth = len(proxy.calls)
                    proxy.calls.append(f"{self.command} {urlsplit(self.path).path}")
                time.sleep(proxy.delay_s)
                spoilt = proxy.spoil(self.command, self.path, nth) if proxy.target else Spoilt(None, False)
                status, headers, content = 500, [("Content-Type", "text/plain")], b"spoilt\n"
                if proxy.target and (spoilt is None or spoilt.carried_out):
                    try:
                        status, headers, content = proxy._ask(self, body)
                    except OSError:
                        spoilt = Spoilt(None, False)
                if spoilt is not None and spoilt.status is None:
                    self.close_connection = True
                    with contextlib.suppress(OSError):
                        self.connection.shutdown(socket.SHUT_RDWR)
                    return
                if spoilt is not None:
                    status, headers, content = spoilt.status, [("Content-Type", "text/plain")], b"spoilt\n"
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _pass_on

            def log_message(self, *about: object) -> None: ...

        return Handler

    def _ask(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = HTTPConnection(urlsplit(self.target or "").netloc, timeout=60)
        try:
            headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
            connection.request(request.command, request.path, body or None, headers)
            answer = connection.getresponse()
            passed = [(name, value) for name, value in answer.getheaders() if name.lower() not in HOP_BY_HOP]
            return answer.status, passed, answer.read()
        finally:
            connection.close()


@contextmanager
def proxy_of(target: str | None, port: int = 0) -> Iterator[Proxy]:
    proxy = Proxy(target, port)
    try:
        yield proxy
    finally:
        proxy.close()


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Hold an SQLite file locked by another process for the length of the block."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD_LOCK, str(database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "locked\n"
        with contextlib.closing(sqlite3.connect(database, timeout=0)) as probe:
            try:
                probe.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                pass
            else:
                raise AssertionError("it is not locked")
        yield
    finally:
        holder.communicate()


def kill_server(port: int) -> None:
    """End every process of the server on a port as a crash of its machine would."""
    for pid in pids_on(port):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
