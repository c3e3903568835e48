"""What a sweep's user hears of its MLflow store: once that it is out of reach, once that it is back."""

SAY_AFTER_S = 5.0  # a restarted proxy or a single refused call is not worth a line


class StoreReach:
    """Turn what sync says of its store into a line where that changes; `uri` as it may be shown."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._was_said = False
        self._faulty_since_s: float | None = None

    def faulty_for_s(self, now_s: float) -> float:
        """Return how long the store has been out of reach, 0 where it is not."""
        since_s = self._faulty_since_s  # read once: another thread may set it
        return 0.0 if since_s is None else now_s - since_s

    def hear(self, fault: str | None, now_s: float) -> str | None:
        """Take in the fault of now and return what is to be said, mostly nothing."""
        if fault is None:
            was_said, self._was_said, self._faulty_since_s = self._was_said, False, None
            return f"MLflow {self._uri} is back: what it missed is being sent" if was_said else None
        if self._faulty_since_s is None:
            self._faulty_since_s = now_s
        if self._was_said or self.faulty_for_s(now_s) < SAY_AFTER_S:
            return None
        self._was_said = True
        return f"MLflow {self._uri} is out of reach ({fault}): the sweep goes on, all is sent when it is back"
