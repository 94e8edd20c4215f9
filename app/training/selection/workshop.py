"""Where candidates are tried and fitted: the files that the processes read, and the processes."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from multiprocessing import connection
from pathlib import Path
from typing import Self

import joblib

from app.training.selection.finalists import Finalist, seconds_to_fit
from app.training.selection.plan import Result, Scores, Trial, failed
from app.training.selection.trying import DIED, READY, Fitted, Fitting, Order, Task, Worker
from app.training.split import Split


class Workshop:
    """Starts processes for a task, and fits finalists on all training rows; what it has written goes with it.

    Parameters
    ----------
    task
        The rows of the search, which may be a sample.
    split
        All training rows.
    jobs
        How many processes share the cores while candidates are tried.
    """

    def __init__(self, task: Task, split: Split, jobs: int) -> None:
        self._task, self._split, self._jobs = task, split, jobs
        self._threads = max(1, (os.cpu_count() or 1) // jobs)
        self._fitted = 0

    def __enter__(self) -> Self:
        self._scratch = tempfile.TemporaryDirectory(prefix="maas-search-")
        self._folder = Path(self._scratch.name)
        joblib.dump(self._task, self._folder / "task.joblib")
        whole = self._task
        if len(self._split.y_train) != len(self._task.y):
            whole = replace(self._task, X=self._split.X_train, y=self._split.y_train)
            joblib.dump(whole, self._folder / "whole.joblib")
        self._whole = "task.joblib" if whole is self._task else "whole.joblib"
        return self

    def __exit__(self, *raised: object) -> None:
        self._scratch.cleanup()

    def start(self) -> Worker:
        """Start a process that tries candidates."""
        return Worker(self._folder / "task.joblib", self._threads)

    def attempt(self, trial: Trial) -> Result:
        """Try one candidate, fold beside fold."""
        return self.attempt_all([(trial, ())])[0]

    def attempt_all(self, trials: Sequence[tuple[Trial, Scores]], patience: float | None = None) -> list[Result]:
        """Try candidates, all of their folds side by side, for at most `patience` seconds.

        With each come the scores of its first folds, as far as they are known.
        """
        folds = [range(len(known), self._task.rungs[trial.rung].folds) for trial, known in trials]
        orders = [Order(trial, fold=fold) for (trial, _), own in zip(trials, folds, strict=True) for fold in own]
        began = time.perf_counter()
        tried = iter(self._try_all(orders, patience))
        taken = time.perf_counter() - began
        too_long = patience is not None and taken >= patience
        why = f"not done after {taken:.0f} s" if too_long else DIED
        return [
            _joined(trial, known, list(islice(tried, len(own))), why)
            for (trial, known), own in zip(trials, folds, strict=True)
        ]

    def fit(self, result: Result, left: float | None = None) -> Finalist:
        """Fit a candidate on all training rows with every core, unless that would take longer than what is `left`."""
        expected = seconds_to_fit(result, self._task.rungs, len(self._split.y_train), self._jobs)
        if left is not None and expected > left:
            remains = f"some {left:.1f} s are left" if left > 0 else "no time is left"
            why = f"fitting on all rows would take some {expected:.1f} s, and {remains}"
            return Finalist(result, self._folder, Fitted(why=why))
        self._fitted += 1
        path = self._folder / f"model-{self._fitted}.joblib"
        worker = Worker(self._folder / self._whole, os.cpu_count() or 1)
        try:
            fitted: Fitted | None = None
            if worker.answer() == READY:
                worker.ask(Fitting(result.trial.candidate, path))
                fitted = worker.answer()
            return Finalist(result, path, fitted or Fitted(why=DIED))
        finally:
            worker.stop()

    def _try_all(self, orders: Sequence[Order], patience: float | None) -> list[Result | None]:
        """Do what is ordered side by side, within `patience` seconds in all; None is what did not come to an end."""
        end = None if patience is None else time.monotonic() + patience
        found: list[Result | None] = [None] * len(orders)
        waiting = list(range(len(orders)))
        workers = [self.start() for _ in range(min(self._jobs, len(orders)))]
        busy: dict[Worker, int] = {}
        try:
            free = [worker for worker in workers if worker.answer() == READY]
            while waiting or busy:
                while waiting and free:
                    worker = free.pop()
                    busy[worker] = waiting.pop(0)
                    worker.ask(orders[busy[worker]])
                left = None if end is None else max(0.0, end - time.monotonic())
                ready = connection.wait([worker.connection for worker in busy], left) if busy else []
                if not ready:
                    break
                for worker in [worker for worker in busy if worker.connection in ready]:
                    number, answer = busy.pop(worker), worker.answer()
                    if answer is not None:
                        found[number] = answer
                        free.append(worker)
            return found
        finally:
            for worker in workers:
                worker.stop()


def _joined(trial: Trial, known: Scores, folds: Sequence[Result | None], why: str) -> Result:
    """Return a trial's result from those of its folds beyond the `known` ones; `why` is why there is none of some."""
    done = [result for result in folds if result is not None]
    seconds = sum(result.seconds for result in done)
    fault = next((result.why for result in done if result.state != "finished"), None)
    if fault is not None or len(done) < len(folds):
        return failed(trial, fault or why, seconds)
    scores = (*known, *(score for result in done for score in result.scores))
    return Result(trial, scores, seconds * len(scores) / len(done))
