"""What is to be sent of runs, gathered: parameters, tags and metrics of a run go in one call, and no point twice."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag

ITEMS_PER_CALL = 1000  # MLflow takes no more


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
        self._last_step: dict[tuple[str, str], int] = {}  # by run and metric, of runs that were there already
        self._held: dict[tuple[str, str], set[int]] = {}  # of those: every step that the store has

    def note_held(self, run: Run) -> None:
        """Take in what the store has of a run that was there already."""
        self._last_step |= {(run.info.run_id, metric.key): metric.step for metric in run.data.to_proto().metrics}

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
        key = (run_id, metric.key)
        if metric.step > self._last_step.get(key, -1):
            return False
        if key not in self._held:
            self._held[key] = {point.step for point in self._client.get_metric_history(run_id, metric.key)}
        return metric.step in self._held[key]
