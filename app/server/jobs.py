"""Requests that are answered in threads, beside the loop: how many, and until when."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from app.server.connection import Connection
from app.server.http1 import Request
from app.server.wsgi import Response


@dataclass(slots=True, eq=False)
class Job:
    """A request in a thread.

    Attributes
    ----------
    until: the moment (``time.monotonic()``) at which its deadline ends.
    started: the moment (``time.perf_counter()``) at which it began to wait.
    response: its answer, once there is one.
    abandoned: whether its deadline was first, so that nobody waits for the answer any more.
    """

    connection: Connection
    request: Request
    until: float
    started: float
    response: Response | None = None
    abandoned: bool = False


class Jobs:
    """The threads of a worker; every method is for the loop's own thread.

    Parameters
    ----------
    threads
        Jobs that run at once.
    queue
        Jobs that may wait for a thread.
    deadline
        Seconds from a job's start to its answer, waiting included.
    wake_up
        Ends the loop's wait; called in the threads, whenever a job is done.
    """

    def __init__(self, threads: int, queue: int, deadline: float, wake_up: Callable[[], None]) -> None:
        self.deadline = deadline
        self._threads = threads
        self._most = threads + queue
        self._wake_up = wake_up
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="predict")
        self._under_way: set[Job] = set()
        self._done: deque[Job] = deque()

    def __len__(self) -> int:
        """Return how many jobs run or wait; an abandoned one counts until its thread is free again."""
        return len(self._under_way)

    @property
    def full(self) -> bool:
        """Whether no more may wait."""
        return len(self._under_way) >= self._most

    @property
    def running(self) -> int:
        """How many jobs run, at most."""
        return min(len(self._under_way), self._threads)

    def start(self, connection: Connection, request: Request, answer: Callable[[], Response]) -> Job:
        """Let a thread call `answer`, which never raises."""
        job = Job(connection, request, time.monotonic() + self.deadline, time.perf_counter())
        self._under_way.add(job)
        self._executor.submit(self._do, job, answer)
        return job

    def _do(self, job: Job, answer: Callable[[], Response]) -> None:
        if not job.abandoned:
            job.response = answer()
        self._done.append(job)
        self._wake_up()

    def finished(self) -> Iterator[Job]:
        """Yield the jobs that are done and whose answers are still wanted."""
        while self._done:
            job = self._done.popleft()
            self._under_way.discard(job)
            if not job.abandoned and job.response is not None:
                yield job

    def overdue(self, now: float) -> list[Job]:
        """Return the jobs whose deadline has ended since the last time; they are abandoned from now on."""
        late = [job for job in self._under_way if now >= job.until and not job.abandoned]
        for job in late:
            job.abandoned = True
        return late

    def stop(self) -> None:
        """Start no more of those that wait."""
        self._executor.shutdown(wait=False, cancel_futures=True)
