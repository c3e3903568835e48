"""Figures of a run in MLflow's image grid, where they stand beside those of other runs."""

from pathlib import Path

from mlflow import Image, MlflowClient

SHOWN_TAG = "orchestrate.images_after_epoch"


def show_in_grid(client: MlflowClient, run_id: str, figures: Path, after_epoch: int) -> None:
    """Show each PNG of a folder under its name; what the run shows already, of the same epoch, is not added again.

    All stand at step 0: the grid shows runs beside each other at one step, and best epochs differ.
    """
    if client.get_run(run_id).data.tags.get(SHOWN_TAG) == str(after_epoch):
        return
    for path in sorted(figures.glob("*.png")):
        client.log_image(run_id, Image(str(path)), key=path.stem, step=0)
    client.set_tag(run_id, SHOWN_TAG, str(after_epoch))
