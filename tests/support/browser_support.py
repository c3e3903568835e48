"""Pages as a browser shows them, where Chromium is on PATH."""

import shutil
import subprocess
import tempfile

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NO_CHROMIUM = "no Chromium on PATH to open pages with"
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
)  # fmt: skip


def document_of(url: str, *flags: str, rests_within_ms: int = 40_000) -> str:
    """Return a page's document once its scripts have come to rest; that time is virtual."""
    return document_and_console(url, *flags, rests_within_ms=rests_within_ms)[0]


def document_and_console(url: str, *flags: str, rests_within_ms: int = 20_000) -> tuple[str, list[str]]:
    """Return the document, and the lines that its scripts wrote to the console."""
    assert CHROMIUM is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [CHROMIUM, *QUIET, f"--user-data-dir={profile}", f"--virtual-time-budget={rests_within_ms}"]
        done = subprocess.run(
            [*command, "--enable-logging=stderr", "--dump-dom", *flags, url],
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]
