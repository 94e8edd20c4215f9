"""The threads that predict, with a bound on the queue before them and a deadline on every call."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from app.errors import DeadlineExceeded, Unavailable

T = TypeVar("T")


class PredictionPool:
    """A few threads that calls wait for.

    Waiting in another thread than the one that predicts is what makes a deadline possible: a call that
    has overrun it is answered, though the model's own code cannot be interrupted.

    Parameters
    ----------
    threads
        Calls that run at once.
    max_queue
        Calls that may wait for a thread.
    timeout
        Seconds from the call to its answer, waiting included.
    """

    def __init__(self, threads: int, max_queue: int, timeout: float) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="predict")
        self._places = threading.BoundedSemaphore(threads + max_queue)
        self._timeout = timeout

    def run(self, call: Callable[[], T]) -> T:
        """Return what `call` returns, or raise what it raises.

        Raises
        ------
        Unavailable
            More calls wait already than may.
        DeadlineExceeded
            The answer was not there in time; a call still waiting is dropped.
        """
        if not self._places.acquire(blocking=False):
            raise Unavailable("more requests are waiting than this service takes on; try again shortly")
        context = contextvars.copy_context()
        try:
            future: Future[T] = self._executor.submit(context.run, call)
        except BaseException:
            self._places.release()
            raise
        future.add_done_callback(lambda _: self._places.release())
        started = time.monotonic()
        try:
            return future.result(self._timeout)
        except TimeoutError:
            if future.done() and time.monotonic() - started < self._timeout:
                raise  # the call's own
            future.cancel()
            raise DeadlineExceeded(f"the answer was not ready within {self._timeout:g} seconds") from None
