"""Experiment orchestrator for medical imaging: sweeps, their journal, their leaderboards and their registry.

From Python: `from orchestrator import run_sweep, leaderboard, load_model`, which are those of `orchestrator.api`.
"""

import sys
from importlib import import_module
from typing import Any

if sys.version_info < (3, 11):  # noqa: UP036  a cluster's own python, that no installer has checked
    raise ImportError(f"orchestrate needs Python 3.11 or newer, {sys.executable} is {sys.version.split()[0]}")

__version__ = "0.1.0"
__all__ = ["leaderboard", "load_model", "run_sweep"]


def __getattr__(name: str) -> Any:
    """Import the Python interface when it is asked for: it imports pandas and, for models, MLflow."""
    if name in __all__:
        return getattr(import_module("orchestrator.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
