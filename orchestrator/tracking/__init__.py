"""The only package that imports mlflow."""

from pathlib import Path


def registered_model_file() -> Path:
    """Return the file that each registered version carries as its code."""
    return Path(__file__).with_name("registered_model.py")
