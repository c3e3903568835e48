"""Figures of a run in MLflow's image grid, where they stand beside those of other runs."""

import re
from pathlib import Path

from mlflow import Image, MlflowClient

FOLDER, HAS_IMAGES_TAG = "images", "mlflow.loggedImages"  # MLflow's own


def show_in_grid(client: MlflowClient, run_id: str, figures: Path, at_ms: int) -> None:
    """Show each PNG of a folder under its name; one that the run shows already, of the same time, is not added again.

    All stand at step 0: the grid shows runs beside each other at one step, and best epochs differ. What is there is
    asked of the files, not of a tag: a store that is put back from a backup knows less than lies beside it.
    """
    held = [Path(item.path).name for item in client.list_artifacts(run_id, FOLDER)]
    due = [path for path in sorted(figures.glob("*.png")) if not any(_shows(name, path, at_ms) for name in held)]
    for path in due:
        client.log_image(run_id, Image(str(path)), key=path.stem, step=0, timestamp=at_ms)
    if held and not due:
        client.set_tag(run_id, HAS_IMAGES_TAG, "True")


def _shows(name: str, figure: Path, at_ms: int) -> bool:
    """Tell whether a file of the grid is a figure of some time; MLflow parts its name by + or, formerly, %."""
    return re.match(rf"{re.escape(figure.stem)}[+%]step[+%]0[+%]timestamp[+%]{at_ms}[+%].*\.png", name) is not None
