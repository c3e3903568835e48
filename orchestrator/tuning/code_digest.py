"""One digest of this project's code, so that two machines can tell whether they run the same."""

import hashlib
from functools import cache
from importlib import import_module
from pathlib import Path

PACKAGES = ("orchestrator", "trainables")


@cache
def code_digest() -> str:
    """Return 16 hex digits that change with any line of code that trials run."""
    digest = hashlib.sha256()
    for package in PACKAGES:
        folder = Path(str(import_module(package).__file__)).parent
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
