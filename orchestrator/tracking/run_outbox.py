"""What is to be sent of runs, gathered: parameters, tags and metrics of a run go in one call, and no point twice."""

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag

ITEMS_PER_CALL = 1000  # MLflow takes no more
Point = tuple[int, float]  # time in ms, value


@dataclass
class _Parcel:
    """What waits to be sent of one run."""

    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: list[Metric] = field(default_factory=list)


class RunOutbox:
    """Parcels of runs until they are sent; what they held is lost with a call that fails, and put in again."""

    def __init__(self, client: MlflowClient) -> None:
        self._client = client
        self._waiting: dict[str, _Parcel] = {}
        self._last: dict[tuple[str, str], Metric] = {}  # by run and metric, of runs that were there already
        self._held: dict[tuple[str, str], dict[int, list[Point]]] = {}  # of those, asked for: the store's, by step
        self._series: dict[tuple[str, str, int], list[Point]] = {}  # by run, metric and step, as it will be

    def note_held(self, run: Run) -> None:
        """Take in what the store has of a run that was there already."""
        for metric in run.data.to_proto().metrics:
            last = Metric(metric.key, metric.value, metric.timestamp, metric.step)
            self._last[run.info.run_id, metric.key] = last

    def put(
        self,
        run_id: str,
        *,
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        metrics: Iterable[Metric] = (),
    ) -> None:
        """Let a run's parameters, tags and metrics wait; of one tag the last value counts."""
        parcel = self._waiting.setdefault(run_id, _Parcel())
        parcel.params |= params or {}
        parcel.tags |= tags or {}
        parcel.metrics += metrics

    def put_points(self, run_id: str, metrics: Iterable[Metric]) -> None:
        """Let metrics wait but for those of a step that the store has: it would keep a second point of another time."""
        self.put(run_id, metrics=[metric for metric in metrics if not self._has(run_id, metric)])

    def put_changes(self, run_id: str, metrics: Iterable[Metric]) -> None:
        """Let metrics wait whose value at one step may change: the latest by time is what MLflow shows.

        One that says what the point before or after it in time says is left out: it was told again.
        """
        for metric in metrics:
            series = self._series_of(run_id, metric)
            place = bisect_right(series, metric.timestamp, key=lambda point: point[0])
            if not any(_is_same(value, metric.value) for _, value in series[max(0, place - 1) : place + 1]):
                series.insert(place, (metric.timestamp, metric.value))
                self.put(run_id, metrics=[metric])

    def send(self, run_id: str) -> None:
        """Send what waits of one run."""
        parcel = self._waiting.pop(run_id, _Parcel())
        params = [Param(key, value) for key, value in parcel.params.items()]
        tags = [RunTag(key, value) for key, value in parcel.tags.items()]
        metrics = parcel.metrics
        while params or tags or metrics:
            room = ITEMS_PER_CALL - len(params) - len(tags)
            self._client.log_batch(run_id, metrics=metrics[:room], params=params, tags=tags)
            params, tags, metrics = [], [], metrics[room:]

    def send_all(self) -> None:
        """Send what waits of every run."""
        for run_id in list(self._waiting):
            self.send(run_id)

    def _has(self, run_id: str, metric: Metric) -> bool:
        """Tell whether the store has a point of this step; it is asked only where that is not beyond its last one."""
        last = self._last.get((run_id, metric.key))
        if last is None or metric.step > last.step:
            return False
        return metric.step in self._points(run_id, metric.key)

    def _series_of(self, run_id: str, metric: Metric) -> list[Point]:
        """Return the points of a metric at one step; the store is asked only for those before its last one."""
        key = (run_id, metric.key, metric.step)
        if key not in self._series:
            last = self._last.get((run_id, metric.key))
            if last is None or metric.step > last.step:
                held = []
            elif metric.step == last.step and metric.timestamp >= last.timestamp:
                held = [(last.timestamp, last.value)]
            else:
                held = self._points(run_id, metric.key).get(metric.step, [])
            self._series[key] = sorted(held)
        return self._series[key]

    def _points(self, run_id: str, name: str) -> dict[int, list[Point]]:
        if (run_id, name) not in self._held:
            by_step: dict[int, list[Point]] = {}
            for point in self._client.get_metric_history(run_id, name):
                by_step.setdefault(point.step, []).append((point.timestamp, point.value))
            self._held[run_id, name] = by_step
        return self._held[run_id, name]


def _is_same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))
