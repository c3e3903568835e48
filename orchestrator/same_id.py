"""A second start under the id of a sweep: the same request goes on with it, another one is refused."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from orchestrator.errors import BadInput
from orchestrator.home import Home, check_sweep_id
from orchestrator.journal import SweepStarted, read_events
from orchestrator.open_sweep import JOURNAL
from orchestrator.plan import SweepPlan
from orchestrator.sweep_folder import FILES
from orchestrator.sweep_lock import owned
from orchestrator.sweep_planning import with_budget
from orchestrator.sweep_request import FILE, SweepRequest, images_of, keep_request, name_in_ids, read_request

FLAGS = {  # of fields whose flag is not their name
    "name": "sweep",
    "files": "sweeps",
    "data_root": "ORCHESTRATE_DATA",
    "gpu_share": "--gpus-per-trial",
    "time_s": "--time-budget",
    "max_disk_bytes": "--max-disk",
    "overrides": "--set",
}
OF_THE_BUDGET = ("trials", "epochs", "finalists", "time_s")
# what a resume raises is compared with the first plan's, and what the machine made of it is no wish
_COMPARED_ELSEWHERE = ("name", "files", "trials", "epochs", "finalists", "time_budget_s", "warm_points", "sweep_id")
_WHERE_IT_RUNS = ("address",)  # a sweep may go on elsewhere
_DECIDED_LATER = ("preset", "weights")  # where none was asked for, the kept request holds what became of it


def is_begun(home: Home, sweep_id: str) -> bool:
    """Tell whether there is a sweep of that id; what a start that was killed before its first event left is removed.

    Raises BadInput where that is run by another process, and for a folder that holds other things than a sweep's.
    """
    check_sweep_id(sweep_id)
    folder = home.sweeps / sweep_id
    if not folder.exists():
        return False
    journal = folder / JOURNAL
    if journal.exists() and read_events(home.sweep_folder(sweep_id) / JOURNAL)[0]:
        return True
    strange = [path.name for path in folder.iterdir() if not any(path.match(name) for name in FILES)]
    if strange:
        raise BadInput(f"--id {sweep_id}: {folder} is there and holds {strange[0]}; move it away, or choose another id")
    with owned(folder):
        shutil.rmtree(folder.resolve())
    if folder.is_symlink():
        folder.unlink()
    return False


def require_same_request(now: SweepRequest) -> None:
    """Raise BadInput that names the first thing that is asked for otherwise than when the sweep was started.

    Sweep files may have moved; what is in them is compared by the plan that a resume makes.
    """
    folder = now.home.sweep_folder(str(now.sweep_id))
    kept = read_request(folder)
    if kept is None:
        raise BadInput(f"{folder / FILE}: is missing or damaged; the sweep cannot be resumed, choose another --id")
    first = next(event for event in read_events(folder / JOURNAL)[0] if isinstance(event, SweepStarted))
    for field, before, is_now in _differences(folder, kept, now, first.plan):
        flag = FLAGS.get(field, f"--{field.replace('_', '-')}")
        raise BadInput(
            f"--id {folder.name}: there is a sweep of that id, of which {flag} was {_shown(before)}, not "
            f"{_shown(is_now)}; orchestrate resume {folder.name} goes on with it as it is, or choose another id"
        )
    _follow_moved_files(folder, kept, now)


def _differences(
    folder: Path, kept: SweepRequest, now: SweepRequest, plan: SweepPlan
) -> Iterator[tuple[str, Any, Any]]:
    if name_in_ids(kept.name) != name_in_ids(now.name):
        yield "name", name_in_ids(kept.name), name_in_ids(now.name)
    stems = [[name_in_ids(file) for file in one.files] for one in (kept, now)]
    if stems[0] != stems[1]:
        yield "files", stems[0], stems[1]
    before, is_now = json.loads((folder / FILE).read_text(encoding="utf-8")), _as_kept(now)
    for field in (field.name for field in fields(SweepRequest)):
        if field not in is_now or field in (*_COMPARED_ELSEWHERE, *_WHERE_IT_RUNS):
            continue
        if (field in _DECIDED_LATER and is_now[field] is None) or (field == "data_root" and now.data is not None):
            continue
        if before.get(field) != is_now[field]:
            yield field, before.get(field), is_now[field]
    budget = with_budget(now.load(plan.preset), now).budget
    for field in OF_THE_BUDGET:
        if getattr(plan.budget, field) != getattr(budget, field):
            yield field, getattr(plan.budget, field), getattr(budget, field)


def _as_kept(request: SweepRequest) -> dict[str, Any]:
    """Return a request as it would be read from its file: paths whole, settings of the machine left out."""
    with tempfile.TemporaryDirectory() as folder:
        keep_request(Path(folder), request, Path(folder))
        kept: dict[str, Any] = json.loads((Path(folder) / FILE).read_text(encoding="utf-8"))
    return kept


def _follow_moved_files(folder: Path, kept: SweepRequest, now: SweepRequest) -> None:
    """Let a resume read the sweep files where they are now: a cluster unpacks each submission into another folder."""
    images, moved = images_of(folder), replace(kept, name=now.name, files=now.files)
    before, is_now = _as_kept(kept), _as_kept(moved)
    if images is not None and any(before[field] != is_now[field] for field in ("name", "files")):
        with owned(folder):
            keep_request(folder, moved, images)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={text}" for key, text in value.items()) or "not given"
    if isinstance(value, list | tuple):
        return ",".join(map(str, value)) or "not given"
    return "not given" if value is None else str(value)
