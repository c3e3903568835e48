"""`orchestrate init`: your own images -> a task file, checked."""

from pathlib import Path
from typing import Annotated

import typer


def init(
    data: Annotated[Path, typer.Argument(metavar="DIR", help="folder of images, or a CSV or parquet file")],
    name: Annotated[str | None, typer.Option(help="the task's; by default the folder's")] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE.yaml", help="by default NAME.yaml here")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Look at a folder of images, write a task file for it, and check the data."""
    from orchestrator.cli import environment
    from orchestrator.cli.console import messages, print_json, results
    from orchestrator.cli.data import show_report
    from orchestrator.cli.progress import DataProgress
    from orchestrator.init_task import init_task

    with DataProgress() as progress:
        done = init_task(data, out, name, environment.home(), progress)
    if as_json:
        about = {"task": done.task.name, "file": str(done.file), "layout": done.guess.layout}
        checked = {**done.checked.report.to_json(), "notes": list(done.checked.notes)}
        print_json({**about, "classes": done.guess.classes, **checked, "report": str(done.checked.page)})
        return
    results().print(done.file.read_text(encoding="utf-8").rstrip(), soft_wrap=True)
    show_report(done.checked.report, done.checked.notes)
    messages().print(f"with pictures: {done.checked.page}", soft_wrap=True)
    messages().print(f"next: look at {done.file}, then: orchestrate sweep --task {done.file}", soft_wrap=True)
