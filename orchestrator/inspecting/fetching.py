"""Download a task's public data set with its host's own client, where there is one; else say how to do it by hand."""

import shutil
import subprocess
from pathlib import Path

from orchestrator.errors import BadInput
from orchestrator.inspecting.new_folder import whole_folder
from trainables.catalog import Task
from trainables.data.sources import SOURCES, Source


def fetch_data(task: Task, target: Path) -> Source:
    """Download the task's data set into `target`, which appears whole or not at all.

    Raises BadInput with the way to do it by hand where the client is missing, has no credentials or no network.
    """
    if task.name not in SOURCES:
        raise BadInput(f"{task.name}: is your own task; known sets: {', '.join(SOURCES)}")
    source = SOURCES[task.name]
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise BadInput(f"{target}: exists already; remove it, or use it: --data {target}")
    try:
        with whole_folder(target) as part:
            _from_kaggle(source, part) if source.host == "kaggle" else _from_huggingface(source, part)
    except _NotFetched as error:
        raise BadInput(
            f"{task.name}: {error}; by hand: download {source.page}, unpack it to {target}, then: "
            f"orchestrate data check {task.name} --data {target}"
        ) from error
    return source


class _NotFetched(Exception):
    """Why a client could not download."""


def _from_kaggle(source: Source, folder: Path) -> None:
    client = shutil.which("kaggle")
    if client is None:
        raise _NotFetched("the kaggle client is not installed (pip install kaggle, then its credentials)")
    done = subprocess.run(
        [client, "datasets", "download", "-d", source.name, "-p", str(folder), "--unzip"],
        capture_output=True,
        text=True,
    )
    if done.returncode != 0 or not any(folder.iterdir()):
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise _NotFetched(f"kaggle ended with {done.returncode}: {lines[-1][:200] if lines else 'no word why'}")


def _from_huggingface(source: Source, folder: Path) -> None:
    from huggingface_hub import snapshot_download

    try:
        snapshot_download(source.name, repo_type="dataset", local_dir=folder, allow_patterns=["*.parquet", "*.md"])
    except Exception as error:  # the hub's client raises its own kinds for each way of having no network
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise _NotFetched(f"{source.page} cannot be reached ({reason[:160]})") from error
    if not any(folder.rglob("*.parquet")):
        raise _NotFetched(f"{source.page} holds no parquet files")
