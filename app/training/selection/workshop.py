"""Where candidates are tried and fitted: the files that the processes read, and the processes."""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import joblib

from app.training.selection.finalists import Finalist, seconds_to_fit
from app.training.selection.plan import Result
from app.training.selection.trying import DIED, Fitted, Fitting, Order, Task, Worker
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
        self._task, self._split = task, split
        self._threads = max(1, (os.cpu_count() or 1) // jobs)
        self._fitted = 0
        # Processes that have every core, by the file that they have read.
        self._alone: dict[str, Worker] = {}

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
        for worker in self._alone.values():
            worker.stop()
        self._scratch.cleanup()

    def start(self) -> Worker:
        """Start a process that tries candidates."""
        return Worker(self._folder / "task.joblib", self._threads)

    def attempt(self, order: Order, patience: float | None) -> Result:
        """Try one candidate with every core, for at most `patience` seconds."""
        began = time.perf_counter()
        result: Result | None = self._ask("task.joblib", order, patience)
        taken = time.perf_counter() - began
        too_long = patience is not None and taken >= patience
        return result or Result(
            order.trial, (), taken, "failed", f"took longer than {taken:.0f} s" if too_long else DIED
        )

    def fit(self, result: Result, left: float | None = None) -> Finalist:
        """Fit a candidate on all training rows with every core, unless that would take longer than what is `left`."""
        expected = seconds_to_fit(result, self._task.rungs, len(self._split.y_train))
        if left is not None and expected > left:
            remains = f"some {left:.1f} s are left" if left > 0 else "no time is left"
            why = f"fitting on all rows would take some {expected:.1f} s, and {remains}"
            return Finalist(result, self._folder, Fitted(why=why))
        self._fitted += 1
        path = self._folder / f"model-{self._fitted}.joblib"
        fitted: Fitted | None = self._ask(self._whole, Fitting(result.trial.candidate, path), None)
        return Finalist(result, path, fitted or Fitted(why=DIED))

    def _ask(self, file: str, order: Order | Fitting, patience: float | None) -> Any:
        """Return a process's answer; None where it died or took too long."""
        worker = self._alone.get(file)
        if worker is None:
            worker = self._alone[file] = Worker(self._folder / file, os.cpu_count() or 1)
            worker.answer()
        worker.ask(order)
        answer = worker.answer() if worker.connection.poll(patience) else None
        if answer is None:
            self._alone.pop(file).stop()
        return answer
