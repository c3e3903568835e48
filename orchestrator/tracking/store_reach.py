"""What a sweep's user hears of its MLflow store: once why nothing can be sent, once that it goes on."""

from orchestrator.tracking.outcome import FaultKind, SyncOutcome

SAY_AFTER_S = 5.0  # a restarted proxy or a single refused call is not worth a line
HOPEFUL_FOR_S = 10.0  # of a store that is out of reach; a refusal, or a full disk, lasts until somebody mends it


class StoreReach:
    """Turn what sync says of its store into a line where that changes; `uri` as it may be shown."""

    def __init__(self, uri: str, sweep_id: str) -> None:
        self._uri = uri
        self._sweep_id = sweep_id
        self._said: set[FaultKind] = set()
        self._kind: FaultKind = "away"
        self._faulty_since_s: float | None = None

    def faulty_for_s(self, now_s: float) -> float:
        """Return for how long nothing could be sent, 0 where it can."""
        since_s = self._faulty_since_s  # read once: another thread may set it
        return 0.0 if since_s is None else now_s - since_s

    def is_hopeless(self, now_s: float) -> bool:
        """Tell whether the end of a sweep should not wait for the store."""
        return self.faulty_for_s(now_s) > (HOPEFUL_FOR_S if self._kind == "away" else SAY_AFTER_S)

    def hear(self, outcome: SyncOutcome, now_s: float) -> str | None:
        """Take in how sync fares now and return what is to be said, mostly nothing."""
        if outcome.error is None:
            was_said, self._said, self._faulty_since_s = self._said, set(), None
            return f"MLflow {self._uri} is back: what it missed is being sent" if was_said else None
        self._kind = outcome.error_kind
        if self._faulty_since_s is None:
            self._faulty_since_s = now_s
        if self._kind in self._said or self.faulty_for_s(now_s) < SAY_AFTER_S:
            return None
        self._said.add(self._kind)
        return self._in_words(outcome.error)

    def _in_words(self, reason: str) -> str:
        if self._kind == "away":
            return f"MLflow {self._uri} is out of reach ({reason}): the sweep goes on, all is sent when it is back"
        whose = f"MLflow {self._uri} refuses" if self._kind == "refused" else "nothing goes to MLflow from here"
        later = f"mend that, now or later; after its end: orchestrate sync {self._sweep_id}"
        return f"{whose} ({reason}): the sweep goes on; {later}"
