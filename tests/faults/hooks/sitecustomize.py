"""Read by every process of a sweep under test: notes what of it is on disk, and takes out a safeguard.

Finalists are judged, but their sides are not drawn nor their answers explained: a third of a case, and no record.
"""

import importlib.util
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


class _JudgesAlone:
    """Change the module that judges as soon as it is loaded."""

    def find_spec(self, name, path, target=None):
        if name != "trainables.judging":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            judge = module.judge
            module.draw_side = lambda *about: None
            module.judge = lambda *about: judge(*about[:6])

        spec.loader.exec_module = exec_module
        return spec


if _note:
    sys.meta_path.insert(0, _JudgesAlone())
