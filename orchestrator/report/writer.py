"""The report's folder: a page, and the figures of finalists beside it."""

import os
import secrets
import shutil
from pathlib import Path

from orchestrator.errors import BadInput
from orchestrator.report.content import Importances, content_of
from orchestrator.report.data_audit import read_audit
from orchestrator.report.page import GENERATOR, Beside, page_of
from orchestrator.sweep_request import read_request
from orchestrator.sweep_state import SweepState
from trainables.evaluation.evaluation_files import FOR_EVIDENCE

FOLDER = "report"
PAGE = "index.html"
_FIGURES = "figures"
_SHEETS = ("preprocessing.png", "samples.png")
_HEAD_BYTES = 1000  # of a page, in which it says whose it is


def write_report(sweep_folder: Path, state: SweepState, importances: Importances, out: Path | None = None) -> Path:
    """Write the report of a sweep into its own folder, or into `out`, and return the page's path.

    The page comes last and is replaced whole: it never names a figure that is not there. Raises OSError.
    """
    folder = out or sweep_folder / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    figures = {number: _copied(sweep_folder, folder, number) for number in state.finalists}
    data = sweep_folder / "data"
    is_at_home = out is None  # elsewhere, the sweep's other files are not beside it
    beside = Beside(
        asked=read_request(sweep_folder),
        audit=read_audit(data / "audit.json"),
        figures=figures,
        audit_link="../data/audit.html" if is_at_home and (data / "audit.html").is_file() else None,
        sheets=[f"../data/{name}" for name in _SHEETS if is_at_home and (data / name).is_file()],
    )
    page = page_of(content_of(state, importances), beside)
    _replace(folder / PAGE, page.encode("utf-8", "replace"))
    for old in (folder / _FIGURES).glob("*"):
        if old.name not in {f"{number:04d}" for number in figures}:
            shutil.rmtree(old, ignore_errors=True)
    return folder / PAGE


def page_of_sweep(sweep_folder: Path) -> Path:
    """Return where the page of a sweep is, once it was written."""
    return sweep_folder / FOLDER / PAGE


def require_own_or_new(out: Path) -> None:
    """Raise BadInput for a place where a report would be written over something else."""
    if out.is_symlink() and not out.exists():
        raise BadInput(f"--out {out}: is a link to nowhere; name a folder")
    if out.exists() and not out.is_dir():
        raise BadInput(f"--out {out}: is a file; name a folder")
    if not out.is_dir() or not any(out.iterdir()):
        return
    try:
        with (out / PAGE).open("rb") as page:
            is_ours = f'content="{GENERATOR}"'.encode() in page.read(_HEAD_BYTES)
    except OSError:
        is_ours = False
    if not is_ours:
        raise BadInput(f"--out {out}: is not empty and holds no report; name a new folder")


def _copied(sweep_folder: Path, folder: Path, number: int) -> list[str]:
    """Copy a finalist's figures; return their paths below its folder."""
    source = sweep_folder / "finalists" / f"{number:04d}"
    target = folder / _FIGURES / f"{number:04d}"
    names = sorted(path.relative_to(source).as_posix() for path in source.rglob("*.png") if path.is_file())
    names = [name for name in names if not name.startswith(f"{FOR_EVIDENCE}/")]  # of a version; most_wrong.png is here
    for name in names:
        _replace(target / name, (source / name).read_bytes())
    return names


def _replace(path: Path, content: bytes) -> None:
    """Write a whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
