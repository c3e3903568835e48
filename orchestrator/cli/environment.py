"""The environment variables that are settings of a command; nothing else reads them."""

import math
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from orchestrator.cache_upkeep import MAX_CACHE_BYTES
from orchestrator.errors import BadInput, unknown_name
from orchestrator.home import Home, open_home
from orchestrator.tracking.outcome import without_password

STORE_SCHEMES = ("http", "https", "sqlite", "postgresql", "mysql", "mssql")


def home() -> Home:
    """Return ORCHESTRATE_HOME, by default ./var, proven to be writable and to have room for a sweep."""
    return open_home(_home_folder())


def home_to_read() -> Home:
    """Return ORCHESTRATE_HOME as it is: what is there can be read on a full disk, too."""
    folder = _home_folder().absolute()
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"ORCHESTRATE_HOME={folder}: is no folder; set ORCHESTRATE_HOME to one")
    there = Home(folder)
    there.require_shape()
    return there


def load_own_tasks() -> None:
    """Let every command know the user's own tasks; what is wrong with one is told and harms no other."""
    folder = _home_folder()
    if not (folder / "tasks").is_dir():  # the usual case, which imports nothing
        return
    from orchestrator import own_tasks
    from orchestrator.cli.console import messages

    for fault in own_tasks.load_own_tasks(Home(folder.absolute())):
        messages().print(fault, soft_wrap=True)


def tracking_uri() -> str | None:
    """Return MLFLOW_TRACKING_URI where set. Raises BadInput for one that no MLflow store answers to."""
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    return store_uri("MLFLOW_TRACKING_URI", uri) if uri else None


def ui_password() -> str | None:
    """Return ORCHESTRATE_UI_PASSWORD, which `orchestrate ui --host` beyond this machine asks of everybody."""
    return os.environ.get("ORCHESTRATE_UI_PASSWORD")


def store_uri(where: str, uri: str) -> str:
    """Return the URI of an MLflow store as given. Raises BadInput that names where for one that none answers to."""
    scheme = uri.partition(":")[0].partition("+")[0] if ":" in uri else ""
    if scheme not in STORE_SCHEMES:
        raise BadInput(f"{where}: {unknown_name('kind of store', scheme or 'without scheme', STORE_SCHEMES)}")
    try:
        urlsplit(uri)
    except ValueError as error:
        raise BadInput(f"{where}={without_password(uri)}: is no address ({error})") from None
    if scheme == "sqlite":
        if not uri.partition("///")[2] or ":memory:" in uri:
            raise BadInput(f"{where}={uri}: would be gone with this command; expected sqlite:///FILE")
        path = Path(uri.partition("///")[2])
        if path.is_dir() or not path.absolute().parent.is_dir():
            raise BadInput(f"{where}={uri}: expected sqlite:///FILE in a folder that exists")
    return uri


def data_root(*, is_made: bool = False) -> Path | None:
    """Return ORCHESTRATE_DATA where set. Raises BadInput when it is no folder, unless the command makes it.

    Never a silent fallback.
    """
    value = os.environ.get("ORCHESTRATE_DATA")
    if not value:
        return None
    root = Path(value)
    if not is_made and not root.is_dir():
        raise BadInput(f"ORCHESTRATE_DATA={value}: no such folder; set it to the one that holds <task>/, or unset it")
    return root


def max_cache_bytes(given: str | None = None) -> int:
    """Return how much decoded data may be kept: as given, else ORCHESTRATE_MAX_CACHE, else 50 GiB. Raises BadInput."""
    if given is not None:
        return size_bytes("--max-cache", given)
    return size_bytes("ORCHESTRATE_MAX_CACHE", os.environ.get("ORCHESTRATE_MAX_CACHE") or str(MAX_CACHE_BYTES))


def size_bytes(where: str, text: str) -> int:
    """Return a size such as 20GiB in bytes. Raises BadInput that names where it was given."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]i?B?|B)?", text.strip(), re.IGNORECASE)
    unit = ((match and match[2]) or "B")[0].upper()
    size = float(match[1]) * 1024 ** "BKMGT".index(unit) if match else math.inf
    if size == math.inf:  # too many digits, too
        raise BadInput(f"{where}={text[:40]}: expected a size such as 20GiB or 500MiB")
    return int(size)


def _home_folder() -> Path:
    value = os.environ.get("ORCHESTRATE_HOME") or "var"
    try:
        return Path(value).expanduser()
    except RuntimeError as error:
        raise BadInput(f"ORCHESTRATE_HOME={value}: {error}") from error
