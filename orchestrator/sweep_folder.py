"""The names that a sweep keeps in its folder: which are files, which are folders."""

from pathlib import Path

from orchestrator.errors import BadInput

CODE, CODE_RESUMED = "code.patch", "code_resumed.patch"  # how the code differed from its commit, at first and last
FOLDERS = ("trials", "finalists", "data", "report", "ray")
FILES = (
    *("lock", "owner.json*", "stop_requested", "journal.*", "request.json*", "store.json", "sync-*", "sync.log"),
    *("development.csv", "test.csv", "trial_setup.json", CODE, CODE_RESUMED),
)


def require_shape(folder: Path) -> None:
    """Raise BadInput where a folder is in the place of a file of a sweep, or a file in that of a folder."""
    for path in sorted(folder.iterdir()):
        if path.name in FOLDERS and not path.is_dir():
            raise BadInput(f"{path}: is no folder, and a sweep has one of that name; move it away")
        if path.is_dir() and any(path.match(name) for name in FILES):
            raise BadInput(f"{path}: is a folder, and a sweep has a file of that name; move it away")
