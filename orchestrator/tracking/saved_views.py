"""Views that an experiment opens with in MLflow's UI: Leaderboard, Curves and Images, of real and of phantom data.

They are experiment tags in a format of MLflow's own UI, without a promise that it stays: tests/tracking/test_views.py
opens them in a browser. A UI that no longer knows the format shows its usual table.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlflow import MlflowClient

from orchestrator.plan import DataKind, registered_name
from trainables.catalog import TASKS
from trainables.evaluation.metrics import METRICS

TAG = "mlflow.sharedViewState"
MADE_AT_MS = 1_767_225_600_000  # the same for all: views of one version are equal
FIGURES = ("confusion_matrix_validation", "training_curves")
CURVES = ("train/loss", "val/log_loss")


@dataclass(frozen=True)
class SavedView:
    """One view of a task's experiment; `charts` says whether it opens on charts instead of the table."""

    name: str
    charts: bool

    def key(self, kind: DataKind) -> str:
        """Return what addresses the view."""
        return f"orchestrate-{self.name.lower()}-{kind}"

    def address(self, experiment_id: str, kind: DataKind) -> str:
        """Return the part of a URL that opens the view, behind the server's."""
        query = f"viewStateShareKey={self.key(kind)}&workflowType=machine_learning"
        return f"/#/experiments/{experiment_id}/runs?{query}" + ("&compareRunsMode=CHART" if self.charts else "")


LEADERBOARD, CURVES_VIEW, IMAGES = SavedView("Leaderboard", False), SavedView("Curves", True), SavedView("Images", True)
VIEWS = (LEADERBOARD, CURVES_VIEW, IMAGES)


def ship_views(client: MlflowClient, experiment_id: str, task: str, kind: DataKind) -> None:
    """Give an experiment the views of one kind of data; one that somebody changed since is left as it is."""
    held = client.get_experiment(experiment_id).tags
    for view in VIEWS:
        tag = f"{TAG}.{view.key(kind)}"
        if tag not in held:
            name = view.name if kind == "real" else f"{view.name} (phantom)"
            state = json.dumps(_state(view, task, kind))
            client.set_experiment_tag(
                experiment_id, tag, json.dumps({"name": name, "createdAt": MADE_AT_MS, "state": state})
            )


@dataclass(frozen=True)
class ShippedViews:
    """Where the views of one task and kind of data open, behind a server's URL; view name -> address."""

    registered_name: str
    addresses: dict[str, str]


def shipped_views(client: MlflowClient) -> list[ShippedViews]:
    """Return the views of every task that has been swept, the one last written to first."""
    found = []
    for experiment in client.search_experiments(order_by=["last_update_time DESC"]):
        if experiment.name not in TASKS:
            continue
        kinds: tuple[DataKind, ...] = ("real", "phantom")
        for kind in kinds:
            if f"{TAG}.{LEADERBOARD.key(kind)}" in experiment.tags:
                addresses = {view.name: view.address(experiment.experiment_id, kind) for view in VIEWS}
                found.append(ShippedViews(registered_name(TASKS[experiment.name], kind), addresses))
    return found


def _state(view: SavedView, task: str, kind: DataKind) -> dict[str, Any]:
    metric = TASKS[task].primary_metric
    columns = [
        _column("metrics", f"best/{metric}"), _column("metrics", f"test/{metric}"),
        _column("metrics", f"test/{metric}_low"), _column("metrics", f"test/{metric}_high"),
        _column("tags", "orchestrate.finalist"),  # whether what stands under test counts
        _column("tags", "orchestrate.architecture"), _column("tags", "orchestrate.state"),
        _column("tags", "orchestrate.stop_reason"), _column("tags", "orchestrate.sweep_id"),
    ]  # fmt: skip
    charts = {
        LEADERBOARD: [_bars(f"best/{metric}"), _bars(f"test/{metric}")],
        CURVES_VIEW: [_lines(f"val/{metric}"), *map(_lines, CURVES), _bars(f"best/{metric}"), _bars(f"test/{metric}")],
        IMAGES: [_images(key) for key in FIGURES],
    }[view]
    return {
        "searchFilter": f"tags.`orchestrate.role` = 'trial' AND tags.`orchestrate.data_kind` = '{kind}'",
        "orderByKey": _column("metrics", f"best/{metric}"),
        "orderByAsc": METRICS[metric] == "min",
        "lifecycleFilter": "Active",
        "startTime": "ALL",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": columns,
        "columnOrder": columns,
        "runsExpanded": {},
        "runsPinned": [],
        "runsHidden": [],
        "runsVisibilityMap": {},
        "runsHiddenMode": "FIRST_20_RUNS",
        "viewMaximized": False,
        "runListHidden": False,
        "groupBy": None,
        "groupsExpanded": {},
        "autoRefreshEnabled": True,
        "hideEmptyCharts": True,
        "isAccordionReordered": True,
        "compareRunCharts": _numbered(charts),
        "compareRunSections": [_section(view)],
    }


def _column(kind: str, name: str) -> str:
    return f"{kind}.`{name}`"


def _section(view: SavedView) -> dict[str, Any]:
    height_px = 700 if view == IMAGES else 420
    return {
        "uuid": "orchestrate", "name": view.name, "display": True, "isReordered": True, "deleted": False,
        "isGenerated": False, "columns": 2, "cardHeight": height_px,
    }  # fmt: skip


def _numbered(charts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    shared = {"metricSectionId": "orchestrate", "deleted": False, "isGenerated": False, "runsCountToCompare": 20}
    return [chart | shared | {"uuid": f"orchestrate-{number}"} for number, chart in enumerate(charts)]


def _lines(metric: str) -> dict[str, Any]:
    return {
        "type": "LINE", "metricKey": metric, "selectedMetricKeys": [metric], "lineSmoothness": 0, "scaleType": "linear",
        "xAxisKey": "step", "xAxisScaleType": "linear", "selectedXAxisMetricKey": "", "yAxisKey": "metric",
        "yAxisExpressions": [], "range": {}, "useGlobalXaxisKey": True, "useGlobalLineSmoothing": True,
    }  # fmt: skip


def _bars(metric: str) -> dict[str, Any]:
    return {"type": "BAR", "metricKey": metric}


def _images(key: str) -> dict[str, Any]:
    return {"type": "IMAGE", "imageKeys": [key], "step": 0}
