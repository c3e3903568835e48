"""A PostgreSQL of a test's own: Debian's programs, a folder and a loopback port of its own, no rights beyond them."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PASSWORD = "s/ecret"  # a slash as people have them
READY_WITHIN_S = 60.0


def postgres_programs() -> Path | None:
    """Return the folder of initdb and postgres, the newest version's; None where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).resolve().parent if on_path else None


@dataclass
class Postgres:
    """A database that can be killed and started again."""

    programs: Path
    folder: Path
    port: int
    as_user: dict[str, Any]  # PostgreSQL refuses root
    process: "subprocess.Popen[bytes] | None" = None

    def uri(self, driver: str = "postgresql") -> str:
        return f"{driver}://mlflow:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        settings = {
            "listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": "", "shared_buffers": "16MB",
        }  # fmt: skip
        command = [str(self.programs / "postgres"), "-D", str(self.folder / "data")]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                **self.as_user,
            )  # fmt: skip
        deadline_s = time.monotonic() + READY_WITHIN_S
        ask = [str(self.programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(ask, cwd=self.folder, check=False).returncode != 0:
            log = (self.folder / "log").read_text(errors="replace")
            assert self.process.poll() is None and time.monotonic() < deadline_s, log
            time.sleep(0.1)

    def end(self, number: signal.Signals) -> None:
        """End it and the processes of its connections: SIGINT politely, SIGKILL as a crash would."""
        if self.process is None:
            return
        whole_group = number == signal.SIGKILL
        (os.killpg if whole_group else os.kill)(self.process.pid, number)
        self.process.wait(timeout=30)
        self.process = None


@contextmanager
def postgres_server(programs: Path, port: int) -> Iterator[Postgres]:
    """Run a new, empty PostgreSQL for the length of the block."""
    as_user: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="orchestrate-postgres-") as name:
        folder = Path(name)
        if os.geteuid() == 0:
            known = {entry.pw_name: entry for entry in pwd.getpwall()}
            entry = known.get("postgres") or known["nobody"]
            as_user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
            shutil.chown(folder, entry.pw_uid, entry.pw_gid)
        secret = folder / "password"
        secret.write_text(PASSWORD)
        if as_user:
            shutil.chown(secret, as_user["user"])
        command = [
            str(programs / "initdb"), "-D", str(folder / "data"), "-U", "mlflow", "-A", "scram-sha-256",
            f"--pwfile={secret}", "-E", "UTF8", "--locale=C", "--no-sync",
        ]  # fmt: skip
        made = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, **as_user)
        assert made.returncode == 0, made.stderr
        server = Postgres(programs, folder, port, as_user)
        try:
            server.start()
            yield server
        finally:
            server.end(signal.SIGINT)
