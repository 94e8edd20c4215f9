"""Models that the workers share: loaded by gunicorn's master, forked with everything else.

What a worker loads after a promotion is its own; four workers would hold a large model four times. So the
master follows the store too, and once it has loaded what is new, the workers are replaced one by one by
forks that share it. Meanwhile the old ones serve the new version from their own copies.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from app.store import LiveModels

log = logging.getLogger(__name__)

# What a smaller model would save is not worth a new process.
MIN_SHARED_BYTES = 32 * 1024 * 1024
POLL_SECONDS = 2.0
_PATIENCE_SECONDS = 180.0
_LOOK_SECONDS = 0.1


class Sharing:
    """The master's copy of the live models, and the replacement of the workers after it has changed.

    Parameters
    ----------
    arbiter
        gunicorn's master.
    models
        The master's live models, loaded before the first fork.
    """

    def __init__(self, arbiter: Any, models: LiveModels) -> None:
        self._arbiter = arbiter
        self._models = models
        self._last: int | None = None
        # A fork in the middle of a load would give the child locks that nobody releases.
        self._loading = threading.Lock()

    def start(self) -> None:
        """Follow the store, in a thread that ends with the process."""
        os.register_at_fork(
            before=self._loading.acquire, after_in_parent=self._loading.release, after_in_child=self._loading.release
        )
        threading.Thread(target=self._follow, name="sharing", daemon=True).start()

    def _follow(self) -> None:
        known = self._models.loaded_bytes()
        while True:
            time.sleep(POLL_SECONDS)
            try:
                with self._loading:
                    self._models.refresh()
                loaded = self._models.loaded_bytes()
                if any(size >= MIN_SHARED_BYTES for key, size in loaded.items() if key not in known):
                    self.replace_workers()
                known = loaded
            except Exception:
                log.exception("sharing what is new in the store failed; the workers have copies of their own")

    def replace_workers(self) -> None:
        """Have every worker replaced by a fork of the master as it is now; one more runs meanwhile."""
        retiring = list(self._arbiter.WORKERS)
        wanted = self._arbiter.num_workers
        log.info("replacing %d workers by ones that share the models' memory", len(retiring))
        self._arbiter.num_workers = wanted + 1
        self._arbiter.wakeup()
        try:
            for pid in retiring:
                self._wait_until(lambda: len(self._arbiter.WORKERS) > wanted)
                self._last = pid if pid == retiring[-1] else None
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGWINCH)
                self._wait_until(functools.partial(self._has_ended, pid))
        finally:
            self._last = None
            self._arbiter.num_workers = wanted

    def worker_gone(self, pid: int) -> None:
        """Take note, in the master's own thread, that a worker has ended and before another is forked.

        In the place of the last one that retires nobody is needed. Were the number lowered before it has ended,
        gunicorn would stop it at once, and whoever has a connection to it would lose that.
        """
        if pid == self._last:
            self._arbiter.num_workers -= 1

    def _has_ended(self, pid: int) -> bool:
        return pid not in self._arbiter.WORKERS

    def _wait_until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + _PATIENCE_SECONDS
        while not condition() and time.monotonic() < end:
            time.sleep(_LOOK_SECONDS)
