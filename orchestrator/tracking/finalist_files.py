"""Which files of a finalist's evaluation are gone: somebody removed them before they were sent."""

from pathlib import Path

from orchestrator.journal import FinalistEvaluated
from trainables.evaluation.evaluation_files import EXPLANATIONS, EXPLANATIONS_FILE, evaluation_files


def folder_of(sweep: Path, trial: int) -> Path:
    """Return where a finalist's evaluation lies."""
    return sweep / "finalists" / f"{trial:04d}"


def missing_files(sweep: Path, task: str, event: FinalistEvaluated) -> list[str]:
    """Return what is missing, by its path below the sweep's folder; one line where all is."""
    folder = folder_of(sweep, event.trial)
    names = evaluation_files(task, has_test=bool(event.test))
    if any(name.startswith(f"{EXPLANATIONS}/") for name in event.further):
        names.append(f"{EXPLANATIONS}/{EXPLANATIONS_FILE}")
    gone = [name for name in names if not (folder / name).is_file()]
    below = folder.relative_to(sweep)
    return [f"{below}/*"] if gone == names else [f"{below}/{name}" for name in gone]
