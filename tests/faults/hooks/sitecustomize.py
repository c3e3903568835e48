"""Read by every process of a sweep under test: notes what of it is on disk, and takes out a safeguard."""

import os
import sys
from pathlib import Path

_without, _note = os.environ.get("FAULTS_WITHOUT", ""), os.environ.get("FAULTS_SYNCED", "")
_fsync = os.fsync


def _noting(number: int) -> None:
    path = Path(f"/proc/self/fd/{number}")
    name = str(path.readlink()) if path.exists() else ""
    if not name.endswith("journal.jsonl"):
        _fsync(number)
        if "/trials/" in name:
            with Path(f"{_note}.files").open("a") as notes:
                notes.write(f"{os.fstat(number).st_ino}\n")
    elif _without != "fsync":
        size_bytes = os.fstat(number).st_size
        _fsync(number)
        Path(_note).write_text(str(size_bytes))


if _note:
    os.fsync = _noting
if _without == "tags" and "orchestrator.tracking.sync" in " ".join(sys.orig_argv):
    import orchestrator.tracking.runs

    orchestrator.tracking.runs.SweepRuns.adopt = lambda self, sweep_id: None
