"""A head of a Ray cluster that answers what its Jobs API answers, and runs nothing."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class StubCluster:
    """What it was sent, and what it is to say; `answers` gives exit code and output of a short job's command."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.token: str | None = None
        self.version: Any = {"version": "4", "ray_version": "2.60.0", "ray_commit": "", "session_name": ""}
        self.packages: dict[str, bytes] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.run_status, self.run_exit_code, self.run_message = "RUNNING", None, ""
        self.logs: dict[str, str] = {}
        self.answers: Callable[[str], tuple[int, str]] = lambda command: (0, "")
        self.asked: list[dict[str, Any]] = []
        self.stopped: list[str] = []
        self.clock_ms = 0

    def started(self, given: dict[str, Any]) -> dict[str, Any]:
        job_id, command = given["submission_id"], given["entrypoint"]
        self.clock_ms += 60_000
        if given["metadata"]["orchestrate.purpose"] == "ask":
            self.asked.append(given)
            code, said = self.answers(command)
            status, message = ("FAILED" if code else "SUCCEEDED"), ""
        else:
            code, status, message = self.run_exit_code, self.run_status, self.run_message
            said = self.logs.get("run", "")
        self.logs[job_id] = (
            f"INFO -- Runtime env is setting up.\nRunning entrypoint for job {job_id}: {command}\n{said}"
        )
        self.jobs[job_id] = {
            "type": "SUBMISSION", "submission_id": job_id, "job_id": None, "status": status, "entrypoint": command,
            "message": message, "metadata": given["metadata"], "runtime_env": given["runtime_env"],
            "start_time": self.clock_ms, "end_time": self.clock_ms + 1, "driver_exit_code": code,
        }  # fmt: skip
        return {"job_id": job_id, "submission_id": job_id}


@contextmanager
def stub_cluster() -> Iterator[StubCluster]:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.is_let_in():
                return
            parts = self.path.strip("/").split("/")
            if self.path == "/api/version":
                self.say(200, stub.version)
            elif parts[:2] == ["api", "packages"]:
                self.say(200 if parts[-1] in stub.packages else 404, "")
            elif self.path == "/api/jobs/":
                self.say(200, list(stub.jobs.values()))
            elif parts[2] not in stub.jobs or parts[-1] == "tail":
                self.say(404, f"Job {parts[2]} does not exist")
            elif parts[-1] == "logs":
                self.say(200, {"logs": stub.logs[parts[2]]})
            else:
                self.say(200, stub.jobs[parts[2]])

        def do_PUT(self) -> None:
            if self.is_let_in():
                stub.packages[self.path.rpartition("/")[2]] = self.body()
                self.say(200, "")

        def do_POST(self) -> None:
            if not self.is_let_in():
                return
            given = json.loads(self.body() or b"{}")
            if self.path.endswith("/stop"):
                stub.stopped.append(self.path.split("/")[3])
                self.say(200, {"stopped": True})
            elif given["submission_id"] in stub.jobs:
                said = (
                    f"Traceback:\n  File x\nValueError: Job with submission_id {given['submission_id']} already exists."
                )
                self.say(400, said)
            else:
                self.say(200, stub.started(given))

        def do_DELETE(self) -> None:
            del stub.jobs[self.path.rpartition("/")[2]]
            self.say(200, {"deleted": True})

        def is_let_in(self) -> bool:
            shown = self.headers.get("Authorization")
            if stub.token is None or shown == f"Bearer {stub.token}":
                return True
            if shown is None:
                self.say(401, "Unauthorized: Missing authentication token")
            else:
                self.say(403, "Forbidden: Invalid authentication token")
            return False

        def body(self) -> bytes:
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))

        def say(self, status: int, content: Any) -> None:
            text = (content if isinstance(content, str) else json.dumps(content)).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    stub = StubCluster(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
