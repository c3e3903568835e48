"""Figures of a run in MLflow's image grid, where they stand beside those of other runs."""

import re
from pathlib import Path

from mlflow import Image, MlflowClient

FOLDER, HAS_IMAGES_TAG = "images", "mlflow.loggedImages"  # MLflow's own
SHOWN_TAG = "orchestrate.images_after_epoch"


def show_in_grid(client: MlflowClient, run_id: str, figures: Path, after_epoch: int) -> None:
    """Show each PNG of a folder under its name; what the run shows already, of the same epoch, is not added again.

    All stand at step 0: the grid shows runs beside each other at one step, and best epochs differ.
    """
    tags = client.get_run(run_id).data.tags
    if tags.get(SHOWN_TAG) == str(after_epoch):
        return
    was_broken_off = HAS_IMAGES_TAG in tags and SHOWN_TAG not in tags
    begun = [Path(item.path).name for item in client.list_artifacts(run_id, FOLDER)] if was_broken_off else []
    for path in sorted(figures.glob("*.png")):
        if not any(re.match(rf"{path.stem}[+%]step[+%].*\.png", name) for name in begun):
            client.log_image(run_id, Image(str(path)), key=path.stem, step=0)
    client.set_tag(run_id, SHOWN_TAG, str(after_epoch))
