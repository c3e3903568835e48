"""When all trials end together: asked for, time spent, disk full, Ray lost."""

import time
from typing import Any, Literal

from ray import tune

Cause = Literal["user", "disk", "ray", "node"]
EPOCH_GRACE_S = 4.0  # for epochs that are running when an end is asked for

WORDS: dict[Cause, str] = {
    "user": "interrupted by the user",
    "disk": "the disk is full",
    "ray": "Ray was lost",
    "node": "a node that joined is not fit for the sweep",
}


class Stopping(tune.Stopper):
    """Asked by Tune after every result; the first cause stands.

    After a request each trial ends with its running epoch, or after EPOCH_GRACE_S in the midst of it. Once the time
    budget is spent (`spent_s` of it was before this process) each ends with its running epoch, and no other begins.
    """

    def __init__(self, time_budget_s: float | None = None, spent_s: float = 0.0) -> None:
        self.time_budget_s = time_budget_s
        self._end_s = None if time_budget_s is None else time.monotonic() + time_budget_s - spent_s
        self._deadline_s = self._end_s  # of what runs now
        self._requested_at_s: float | None = None
        self.cause: Cause | None = None
        self.detail = ""
        self.running: set[str] = set()  # Ray's ids of the trials that train

    @property
    def requested(self) -> bool:
        """Tell whether the sweep is to end before its budget is spent."""
        return self.cause is not None

    @property
    def out_of_time(self) -> bool:
        """Tell whether the time budget is spent, or what runs now has had its part of it."""
        return self._deadline_s is not None and time.monotonic() >= self._deadline_s

    @property
    def out_of_time_reason(self) -> str:
        """Return in words that the time budget is spent, or a part of it."""
        part = "" if self._deadline_s == self._end_s else "its part of "
        return f"{part}the time budget of {self.time_budget_s:g} s is spent"

    def allot(self, part: float) -> None:
        """Give what runs from now on a part of the time that is left."""
        if self._end_s is not None:
            self._deadline_s = self._end_s - (1 - part) * max(0.0, self._end_s - time.monotonic())

    @property
    def reason(self) -> str:
        """Return the cause in words."""
        assert self.cause is not None
        return WORDS[self.cause] + (f": {self.detail}" if self.detail else "")

    @property
    def requested_for_s(self) -> float:
        """Return how long ago the end was asked for; 0 where it was not."""
        return 0.0 if self._requested_at_s is None else time.monotonic() - self._requested_at_s

    def request(self, cause: Cause, detail: str = "") -> None:
        """Ask for the end."""
        if self.cause is None:
            self._requested_at_s = time.monotonic()
            self.cause, self.detail = cause, detail

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Tell whether a trial ends with the epoch that it has just reported."""
        return self.requested or self.out_of_time

    def stop_all(self) -> bool:
        """Return False while the run goes on. Raises KeyboardInterrupt where it ends now.

        That leaves Tune at once: its own way out waits up to 15 s for actors that are busy or still start, which end
        with Ray anyway.
        """
        if self.requested and (self.cause == "ray" or not self.running or self.requested_for_s > EPOCH_GRACE_S):
            raise KeyboardInterrupt
        return False

    def __getstate__(self) -> dict[str, object]:
        """Pickle nothing: Ray pickles the whole Tuner once, and never reads it back here."""
        return {}
