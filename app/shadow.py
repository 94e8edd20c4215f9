"""Shadow traffic: a challenger is asked what clients were answered, and its answers are only compared.

Nothing of it reaches a client: a request leaves its rows and its answer in a bounded queue, and one thread of the
worker asks the challenger later. What the queue has no room for is dropped and counted.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from app.engines import Answer
from app.monitor.metrics import Metrics
from app.signature import Array, Batch
from app.store import LoadedModel
from app.store.golden import agreeing

log = logging.getLogger(__name__)

# What may wait: requests, bytes of rows and answers together, and rows of one request.
MOST_WAITING = 2048
MOST_BYTES = 32 * 1024 * 1024
MOST_ROWS = 10_000
# Requests gather for so long, to be asked together: a call costs more than its rows.
GATHER_SECONDS = 0.02
MOST_TOGETHER = 512
# After each call the thread rests so many times as long as that took: a shadow takes a fifth of its worker at most.
_REST = 4.0


@dataclass(frozen=True, slots=True)
class _Shown:
    """What a client was answered, and by whom."""

    shadow: LoadedModel
    model: LoadedModel
    method: str
    batch: Batch
    answer: Answer
    bytes: int


class Shadows:
    """The challengers of one process, and the thread that asks them.

    Attributes
    ----------
    waiting: how many requests wait to be asked.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        # What may be asked in one call waits in one line.
        self._lines: dict[tuple[int, int, str], deque[_Shown]] = {}
        self.waiting = 0
        self._bytes = 0
        self._lock = threading.Lock()
        self._some = threading.Event()
        self._thread: threading.Thread | None = None
        self._told: set[tuple[str, int]] = set()

    def ask(self, shadow: LoadedModel, model: LoadedModel, method: str, batch: Batch, answer: Answer) -> None:
        """Let `shadow` answer the rows that `model` has answered, some time later; from any thread, without waiting."""
        size = _bytes(batch, answer)
        with self._lock:
            room = self.waiting < MOST_WAITING and self._bytes + size <= MOST_BYTES and batch.rows <= MOST_ROWS
            if room:
                line = self._lines.setdefault((id(shadow), id(model), method), deque())
                line.append(_Shown(shadow, model, method, batch, answer, size))
                self.waiting += 1
                self._bytes += size
            if self._thread is None:
                # Not before there is something to ask: threads do not survive the fork of a worker.
                self._thread = threading.Thread(target=self._ask_on_and_on, name="shadow", daemon=True)
                self._thread.start()
        if not room:
            self._metrics.shadow_lost(shadow.key, "dropped")
        elif not self._some.is_set():
            self._some.set()

    def _ask_on_and_on(self) -> None:
        while True:
            self._some.wait()
            time.sleep(GATHER_SECONDS)
            self._some.clear()
            while together := self._take():
                started = time.perf_counter()
                self._ask_together(together)
                del together
                time.sleep(_REST * (time.perf_counter() - started))

    def _take(self) -> list[_Shown]:
        """Take from the line that has waited longest what may be asked in one call; empty where nothing waits."""
        with self._lock:
            if not self._lines:
                return []
            key, line = next(iter(self._lines.items()))
            together = [line.popleft()]
            rows = together[0].batch.rows
            if together[0].shadow.shares(together[0].method):
                while line and rows + line[0].batch.rows <= MOST_TOGETHER:
                    together.append(line.popleft())
                    rows += together[-1].batch.rows
            del self._lines[key]
            if line:
                self._lines[key] = line
            self.waiting -= len(together)
            self._bytes -= sum(shown.bytes for shown in together)
            return together

    def _ask_together(self, together: Sequence[_Shown]) -> None:
        """Ask once for all; where that fails each is asked alone, so that none is counted for another."""
        shadow, method = together[0].shadow, together[0].method
        started = time.perf_counter()
        try:
            _check_same_inputs(together[0].model, shadow)
            batch = together[0].batch if len(together) == 1 else Batch.join([shown.batch for shown in together])
            answer = shadow.engine.run(batch, method)
            apart, distance = difference(answer, _joined([shown.answer for shown in together]), batch.rows)
        except BaseException as fault:  # a challenger may raise anything, SystemExit too; this thread goes on
            if len(together) > 1:
                for shown in together:
                    self._ask_together([shown])
            else:
                self._note_failure(shadow, method, fault)
            return
        self._metrics.shadow_took(shadow.key, time.perf_counter() - started)
        starts = np.cumsum([0, *(shown.batch.rows for shown in together[:-1])])
        requests = len(together), int(np.logical_or.reduceat(apart, starts).sum())
        self._metrics.shadow_compared(shadow.key, method, requests, (batch.rows, int(apart.sum())), distance)

    def _note_failure(self, shadow: LoadedModel, method: str, fault: BaseException) -> None:
        self._metrics.shadow_lost(shadow.key, "failed")
        if shadow.key not in self._told:
            self._told.add(shadow.key)
            told = "model %s: version %d, the shadow, failed to answer %s; further failures are only counted"
            log.warning(told, *shadow.key, method, exc_info=fault)


def difference(answer: Answer, shown: Answer, rows: int) -> tuple[npt.NDArray[np.bool_], float]:
    """Compare a challenger's answer with the one that was sent.

    Returns
    -------
    Which rows differ (labels exactly, numbers beyond 1e-9 of their size), of shape (rows,); and the absolute
    differences of floats, a row's mean, added up, but for those that are not finite.
    """
    parts = answer if isinstance(answer, list) else [answer]
    others = shown if isinstance(shown, list) else [shown]
    if [part.shape for part in parts] != [other.shape for other in others]:
        return np.ones(rows, dtype=bool), 0.0
    differs, total = np.zeros(rows, dtype=bool), 0.0
    for part, other in zip(parts, others, strict=True):
        differs |= ~agreeing(part, other).reshape(rows, -1).all(axis=1)
        if part.dtype.kind == other.dtype.kind == "f":
            apart = np.abs(part.astype(np.float64) - other).reshape(rows, -1).mean(axis=1)
            total += float(apart[np.isfinite(apart)].sum())
    return differs, total


def _joined(answers: Sequence[Answer]) -> Answer:
    """Put the answers of one version and method, one after another, into one."""
    first = answers[0]
    if len(answers) == 1:
        return first
    if isinstance(first, list):
        return [np.concatenate([answer[part] for answer in answers]) for part in range(len(first))]
    return np.concatenate(answers)


def _check_same_inputs(model: LoadedModel, shadow: LoadedModel) -> None:
    """Raise ValueError where rows that were read for `model` are none of `shadow`'s."""
    if _inputs(model) != _inputs(shadow):
        raise ValueError(f"its inputs are not those of version {model.version}, which answers")


def _inputs(model: LoadedModel) -> tuple[Any, ...]:
    signature = model.signature
    return signature.container, *((column.name, column.dtype, column.used) for column in signature.inputs)


def _bytes(batch: Batch, answer: Answer) -> int:
    """Return roughly how much memory rows and their answer take."""
    data = batch.data
    if isinstance(data, list):
        size = sum(map(len, data))
    else:
        size = sum(map(_array_bytes, data.values())) if isinstance(data, dict) else _array_bytes(data)
    return size + (sum(map(_array_bytes, answer)) if isinstance(answer, list) else _array_bytes(answer))


def _array_bytes(array: Array) -> int:
    # An object takes some fifty bytes beside the eight of its place.
    return array.nbytes * 8 if array.dtype.hasobject else array.nbytes
