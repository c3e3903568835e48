"""Ray Jobs on a cluster: asked over HTTP at its head's dashboard; every fault of the way there is one line."""

import asyncio
import logging
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
from ray.exceptions import AuthenticationError
from ray.job_submission import JobDetails, JobSubmissionClient

from orchestrator.errors import BadInput, unknown_name
from orchestrator.tuning.cluster_head import reached_head, refused
from trainables.errors import first_line

ASK_WITHIN_S = 180.0  # a job of its own on a busy head: Ray starts an actor, Python imports
POLL_S = 0.5
SETTLED_MS = 10_000  # after its end Ray looks at a job no more
AGAIN_S = (1.0, 2.0, 4.0, 8.0, 16.0)  # between tries to follow a log whose connection was lost
RAYS_OWN_ADDRESSES = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS")  # that Ray would take for the one it is given
OVER = ("SUCCEEDED", "FAILED", "STOPPED")
SWEEP, PURPOSE = "orchestrate.sweep", "orchestrate.purpose"  # keys of a job's metadata
RUN, ASK = "run", "ask"


@dataclass(frozen=True)
class Job:
    """What a cluster says of one job."""

    id: str
    status: str  # PENDING, RUNNING or one of OVER
    message: str
    command: str
    exit_code: int | None  # of its process; None before its end, and where it never began or was killed
    runtime_env: Mapping[str, Any]

    @property
    def is_over(self) -> bool:
        """Tell whether it has ended, one way or another."""
        return self.status in OVER


class Jobs:
    """The jobs of one cluster. Every call raises BadInput where the cluster does not answer, or refuses the token."""

    def __init__(self, address: str) -> None:
        self.head = reached_head(address)
        self.address = self.head.address
        for name in ("job.sdk", "dashboard_sdk"):
            logging.getLogger(f"ray.dashboard.modules.{name}").setLevel(logging.ERROR)
        with self._told(), _without_rays_own_addresses():
            self._client = JobSubmissionClient(self.address, headers=self.head.headers)

    def of_sweep(self, sweep_id: str) -> list[Job]:
        """Return the jobs that ran a sweep, first to last."""
        with self._told():
            known = self._client.list_jobs()
        own = [one for one in known if (one.metadata or {}).get(SWEEP) == sweep_id]
        runs = [one for one in own if (one.metadata or {}).get(PURPOSE) == RUN]
        return [_job(one) for one in sorted(runs, key=lambda one: one.start_time or 0)]

    def newest_of_sweep(self, sweep_id: str) -> Job:
        """Return the job that ran a sweep last. Raises BadInput where there is none."""
        runs = self.of_sweep(sweep_id)
        if runs:
            return runs[-1]
        with self._told():
            others = {(one.metadata or {}).get(SWEEP) for one in self._client.list_jobs()}
        known = unknown_name("submitted sweep", sweep_id, [other for other in others if other])
        raise BadInput(f"{self.address}: {known}; a cluster that was started anew has forgotten its jobs: submit again")

    def job(self, job_id: str) -> Job:
        """Return one job."""
        with self._told():
            return _job(self._client.get_job_info(job_id))

    def log(self, job_id: str) -> str:
        """Return all that a job has printed."""
        with self._told():
            return self._client.get_job_logs(job_id)

    def submit(
        self, job_id: str, sweep_id: str, command: str, runtime_env: Mapping[str, Any], purpose: str = RUN
    ) -> None:
        """Start a job on the head's machine; a zip file as its working_dir is sent, where the cluster has it not."""
        with self._told():
            self._client.submit_job(
                entrypoint=command,
                submission_id=job_id,
                runtime_env=dict(runtime_env),
                metadata={SWEEP: sweep_id, PURPOSE: purpose},
            )

    def stop(self, job_id: str) -> None:
        """Let Ray end a job: SIGTERM, and SIGKILL after 3 s, which a sweep that trains would not survive whole."""
        with self._told():
            self._client.stop_job(job_id)

    def ask(self, sweep_id: str, command: str, runtime_env: Mapping[str, Any]) -> tuple[int, str]:
        """Run a short command on the head's machine; return its exit code and what it printed.

        Raises BadInput where it does not begin or not end.
        """
        job_id = f"{sweep_id}-{ASK}-{secrets.token_hex(4)}"  # a point would make its log part of the other's
        self.submit(job_id, sweep_id, command, runtime_env, ASK)
        deadline_s = time.monotonic() + ASK_WITHIN_S
        while not (job := self.job(job_id)).is_over:
            if time.monotonic() > deadline_s:
                self.stop(job_id)
                raise BadInput(f"{self.address}: has run no short job within {ASK_WITHIN_S:.0f} s; is its head busy?")
            time.sleep(POLL_S)
        text = _after_rays_lines(self.log(job_id))
        with suppress(BadInput):  # it only tidies up
            self._forget_asked_before(sweep_id, job_id)
        if job.exit_code is None:
            raise BadInput(f"{self.address}: a short job did not begin: {why(job)}")
        return job.exit_code, text

    def _forget_asked_before(self, sweep_id: str, job_id: str) -> None:
        """Delete the short jobs before this one; one that ended just now Ray would bring back, as failed."""
        with self._told():
            began_ms = self._client.get_job_info(job_id).start_time or 0
            for one in self._client.list_jobs():
                is_ours = (one.metadata or {}).get(SWEEP) == sweep_id and (one.metadata or {}).get(PURPOSE) == ASK
                if is_ours and one.submission_id and 0 < (one.end_time or 0) < began_ms - SETTLED_MS:
                    self._client.delete_job(one.submission_id)

    def follow(self, job_id: str, write: Callable[[str], None]) -> Job:
        """Hand on what a job prints until it ends; return how it ended. Raises BadInput where the cluster is lost."""
        shown = _Shown(write)
        failures = 0
        while True:
            reason = "it closed the connection"
            try:
                asyncio.run(self._tail(job_id, shown))
            except BrokenPipeError:  # whoever read what was handed on has left
                raise
            except (OSError, RuntimeError, aiohttp.ClientError) as fault:
                reason = first_line(fault)
            try:
                job = self.job(job_id)
                if job.is_over:
                    shown.whole(self.log(job_id))
                    return job
                failures = 0 if shown.has_grown() else failures + 1
            except BadInput:
                failures += 1
            if failures >= len(AGAIN_S):
                raise BadInput(f"{self.address}: the log cannot be followed ({reason}); the job may well go on")
            time.sleep(AGAIN_S[failures])

    async def _tail(self, job_id: str, shown: "_Shown") -> None:
        shown.begin()
        async for text in self._client.tail_job_logs(job_id):
            shown.more(text)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Tell faults of Ray's client in one line."""
        try:
            yield
        except AuthenticationError:
            raise refused(self.address, self.head.token) from None
        except OSError as error:  # all of requests' errors are
            raise BadInput(f"{self.address}: no longer answers ({type(error).__name__})") from error
        except (RuntimeError, ValueError) as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip(" .")]
            raise BadInput(f"{self.address}: {lines[-1] if lines else type(error).__name__}") from error


class _Shown:
    """How much of a log was handed on, so that a second connection repeats nothing."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._characters = 0
        self._at_begin = 0
        self._read = 0

    def begin(self) -> None:
        """Hear that the log comes from its beginning again."""
        self._read, self._at_begin = 0, self._characters

    def more(self, text: str) -> None:
        """Hand on what of a further part is new."""
        new = text[max(0, self._characters - self._read) :]
        self._read += len(text)
        if new:
            self._characters += len(new)
            self._write(new)

    def whole(self, text: str) -> None:
        """Hand on what of the whole log is new."""
        self.begin()
        self.more(text)

    def has_grown(self) -> bool:
        """Tell whether the last connection brought something."""
        return self._characters > self._at_begin


def why(job: Job) -> str:
    """Return in one line why a job did not begin, or how it ended."""
    lines = [line.strip() for line in job.message.splitlines() if line.strip()]
    return lines[-1] if lines else job.status.lower()


def _job(known: JobDetails) -> Job:
    return Job(
        id=known.submission_id or known.job_id or "",
        status=str(getattr(known.status, "value", known.status)),
        message=known.message or "",
        command=known.entrypoint,
        exit_code=known.driver_exit_code,
        runtime_env=known.runtime_env or {},
    )


def _after_rays_lines(log: str) -> str:
    """Return what the command itself printed: Ray tells the command line before."""
    return log.partition("Running entrypoint for job ")[2].partition("\n")[2]


@contextmanager
def _without_rays_own_addresses() -> Iterator[None]:
    kept = {name: os.environ.pop(name) for name in RAYS_OWN_ADDRESSES if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)
