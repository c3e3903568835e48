"""`orchestrate data check|phantom|fetch` and `orchestrate gc`: data before, and after, a sweep."""

import shutil
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.errors import BadInput, unknown_name
from trainables.catalog import TASKS, Task

if TYPE_CHECKING:
    from trainables.audit.findings import AuditReport

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Check a data set, make a synthetic one, fetch one."
)
SHOWN_EXAMPLES = 3
COLOURS = {"leak": "bold red", "warning": "yellow", "note": "dim"}


@app.command("check")
def check(
    task: Annotated[str, typer.Argument(metavar="TASK|FILE.yaml")],
    data: Annotated[str | None, typer.Option(help="folder, parquet file or CSV manifest", metavar="DIR")] = None,
    out: Annotated[Path | None, typer.Option(help="where audit.html goes; by default below ORCHESTRATE_HOME")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Look for copies, slices of one subject, leaks and shortcuts in a data set, before anything is trained on it."""
    from orchestrator.cli import environment
    from orchestrator.cli.console import messages, print_json
    from orchestrator.cli.progress import DataProgress
    from orchestrator.inspecting.data import check_data, find_data
    from orchestrator.own_tasks import keep_task, task_named

    if out is not None and not out.name:
        raise BadInput("--out: an empty path; name a folder for the page")
    home = environment.home()
    name, text = task_named(home, task)
    found = _task(name)
    folder, whence = find_data(found, data, environment.data_root(), home)
    with DataProgress() as progress:
        checked = check_data(found, folder, whence, home, out, progress)
    if text:
        keep_task(home, name, text)
    if as_json:
        print_json({**checked.report.to_json(), "notes": list(checked.notes), "report": str(checked.page)})
        return
    show_report(checked.report, checked.notes)
    messages().print(f"with pictures: {checked.page}", soft_wrap=True)


@app.command("phantom")
def phantom(
    task: Annotated[str, typer.Argument(metavar="TASK")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="a new or empty folder")],
    patients: Annotated[int, typer.Option(help="synthetic patients in all")] = 72,
    seed: Annotated[int, typer.Option(help="the same seed gives the same images", min=0)] = 0,
    variant: Annotated[
        str, typer.Option(help="standard; of tumor_ct_mri also combination: CT and MR tell the class together only")
    ] = "standard",
) -> None:
    """Write a synthetic set in the layout of the task's real one, with a mask of every planted finding."""
    from orchestrator.cli.console import results
    from orchestrator.inspecting.data import write_phantom

    found = _task(task)
    write_phantom(found, folder, patients, seed, variant)
    results().print(f"{patients} patients of {found.name} in {folder}", soft_wrap=True)


@app.command("fetch")
def fetch(
    task: Annotated[str, typer.Argument(metavar="TASK")],
    out: Annotated[Path | None, typer.Option(help="by default $ORCHESTRATE_DATA/<task>")] = None,
) -> None:
    """Download the task's public data set from its host, or go on with a download that broke off."""
    from orchestrator.cli import environment
    from orchestrator.cli.console import messages, results
    from orchestrator.inspecting.fetching import fetch_data

    found = _task(task)
    if out is None:
        root = environment.data_root(is_made=True)
        if root is None:
            raise BadInput("data fetch: say where to: --out DIR, or set ORCHESTRATE_DATA")
        out = root / found.name
    fetch_data(found, out, partial(messages().print, soft_wrap=True))
    results().print(str(out), soft_wrap=True)


def gc(
    max_cache: Annotated[str | None, typer.Option(help="keep at most this much, e.g. 20GiB", metavar="SIZE")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show what would go, remove nothing")] = False,
) -> None:
    """Remove decoded images that no sweep has used for long, and what killed sweeps left half done."""
    from orchestrator.cache_upkeep import MIB, cache_entries, collect_garbage, garbage
    from orchestrator.cli import environment
    from orchestrator.cli.console import messages, results
    from orchestrator.words import in_words

    cache = environment.home_to_read().cache
    limit = environment.max_cache_bytes(max_cache)
    going = garbage(cache, limit)
    for entry in going:
        unused = (
            "left by a killed sweep" if entry.is_leftover else f"unused for {in_words(time.time() - entry.used_at)}"
        )
        about = f"{entry.path.relative_to(cache)}: {entry.size_bytes / MIB:.1f} MiB, {unused}"
        messages().print(about, soft_wrap=True)
    removed = [] if dry_run else collect_garbage(cache, limit)
    kept = cache_entries(cache)
    kept_bytes = sum(entry.size_bytes for entry in kept)
    freed = sum(entry.size_bytes for entry in removed)
    if dry_run and going:
        messages().print("nothing is removed yet; leave --dry-run out to remove it")
    free = shutil.disk_usage(cache if cache.is_dir() else Path()).free
    results().print(
        f"removed {len(removed)} {'entry' if len(removed) == 1 else 'entries'}, {freed / MIB:.1f} MiB; "
        f"{kept_bytes / MIB:.1f} MiB of decoded images are kept, "
        f"{free / 2**30:.1f} GiB of disk are free"
    )
    if kept_bytes > limit and not dry_run:
        messages().print("more than asked for is kept: it was used within a day, or a running sweep holds it")


def _task(name: str) -> Task:
    if name not in TASKS:
        raise BadInput(unknown_name("task", name, TASKS))
    return TASKS[name]


def show_report(report: "AuditReport", notes: tuple[str, ...]) -> None:
    """Print what a data check found."""
    from rich.text import Text

    from orchestrator.cli.console import results, visible

    console = results()
    about = (
        f": {report.images} images in {report.groups} groups, {len(report.unreadable)} unreadable, "
        f"exact copies: {report.exact_duplicates}, near-duplicates: {report.near_duplicates}, "
        f"leaking test images: {report.cross_split_leaks}"
    )
    console.print(Text.assemble((report.verdict, "bold"), about))
    for note in notes:
        console.print(Text.assemble(("read ", "dim"), visible(note)), soft_wrap=True)
    for finding in report.findings:
        console.print(Text.assemble((finding.severity, COLOURS[finding.severity]), f" {visible(finding.title)}"))
        for example in finding.examples[:SHOWN_EXAMPLES]:
            paths = " = ".join(report.paths[image] for image in example.images)
            said = " ".join(part for part in (paths, example.words) if part)
            console.print(f"    {visible(said)}", soft_wrap=True)
        console.print(f"    -> {visible(finding.done)}", soft_wrap=True)
