"""The environment variables that the command line reads; nothing else reads any."""

import os
from pathlib import Path

from orchestrator.errors import BadInput
from orchestrator.home import Home, open_home


def home() -> Home:
    """Return ORCHESTRATE_HOME, by default ./var, proven to be writable."""
    return open_home(Path(os.environ.get("ORCHESTRATE_HOME") or "var"))


def tracking_uri() -> str | None:
    """Return MLFLOW_TRACKING_URI where set."""
    return os.environ.get("MLFLOW_TRACKING_URI") or None


def data_root() -> Path | None:
    """Return ORCHESTRATE_DATA where set. Raises BadInput when it is no folder: never a silent fallback."""
    value = os.environ.get("ORCHESTRATE_DATA")
    if not value:
        return None
    root = Path(value)
    if not root.is_dir():
        raise BadInput(f"ORCHESTRATE_DATA={value}: no such folder; set it to the one that holds <task>/, or unset it")
    return root
