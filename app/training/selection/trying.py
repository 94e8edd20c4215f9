"""Trying candidates: in processes of their own, which share the rows and can be ended when they take too long."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import resource
import signal
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from app.training.candidates import Candidate, build
from app.training.errors import first_line
from app.training.metrics import Metric, find_metric
from app.training.problem import Problem, Rows, Target
from app.training.selection.plan import Result, Rung, Scores, State, Trial
from app.training.split import take_rows

Fold = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]

# A fold's validation rows beyond so many tell nothing new.
_MOST_VALIDATED = 10_000
# After its first folds a candidate that is this many standard errors behind the best is given up.
_HOPELESS = 4.0
_LEAST_FOLDS = 2
_LONGEST_REASON = 200
# Said of a trial whose process is no more: the system ends processes that take too much memory.
DIED = "its process died, for want of memory?"


@dataclass(frozen=True)
class Task:
    """What the processes need to try candidates: the training rows and how they are divided.

    Attributes
    ----------
    problem: its columns and container; the rows are left out of it.
    X, y: the training rows.
    folds: row numbers to fit on and to validate on, in an order drawn by chance.
    objective: the metric's name.
    """

    problem: Problem
    X: Rows
    y: Target
    folds: Sequence[Fold]
    rungs: Sequence[Rung]
    objective: str
    seed: int

    @property
    def metric(self) -> Metric:
        """The metric candidates are compared by."""
        return find_metric(self.objective, self.problem.task)


@dataclass(frozen=True)
class Order:
    """A trial to be done.

    Attributes
    ----------
    known: the scores of its first folds.
    to_beat: the best mean of its rung.
    fold: the number of the only fold to be tried; None for all that are not known.
    """

    trial: Trial
    known: Scores = ()
    to_beat: float | None = None
    fold: int | None = None


@dataclass(frozen=True)
class Fitting:
    """A candidate to be fitted on all training rows and written to `path` with joblib."""

    candidate: Candidate
    path: Path


@dataclass(frozen=True)
class Fitted:
    """What fitting cost: seconds by the clock, seconds of all processors, the most memory in MB beyond the rows'.

    NaN where nothing was fitted, and `why` then says why not.
    """

    seconds: float = math.nan
    cpu_seconds: float = math.nan
    memory_mb: float = math.nan
    why: str | None = None


def run_trial(task: Task, order: Order) -> Result:
    """Fit and validate a candidate on the folds of its rung; a fault of the estimator is part of the result."""
    trial, metric = order.trial, task.metric
    rung = task.rungs[trial.rung]
    began = time.perf_counter()
    scores = list(order.known)

    def result(state: State, why: str | None = None) -> Result:
        tried = max(1, len(scores) - len(order.known))
        seconds = (time.perf_counter() - began) * max(1, len(scores)) / tried
        return Result(trial, tuple(scores), seconds, state, why)

    folds = task.folds[len(scores) : rung.folds] if order.fold is None else [task.folds[order.fold]]
    for train, valid in folds:
        score, why = _score(task, trial.candidate, train[: rung.rows], valid[:_MOST_VALIDATED], metric)
        if why is not None:
            return result("failed", why)
        scores.append(score)
        if order.fold is None and len(scores) < rung.folds and _is_hopeless(scores, order.to_beat):
            behind = f"{order.to_beat - float(np.mean(scores)):.4g} behind the best" if order.to_beat else "far behind"
            why = f"after {len(scores)} of {rung.folds} folds, {behind}"
            return result("stopped early", why)
    return result("finished")


def _score(
    task: Task, candidate: Candidate, train: npt.NDArray[np.intp], valid: npt.NDArray[np.intp], metric: Metric
) -> tuple[float, str | None]:
    """Return the score on one fold, higher being better, or why there is none."""
    try:
        model = build(candidate, task.problem, task.seed)
        with warnings.catch_warnings():
            # A search meets settings that do not converge; their scores tell.
            warnings.simplefilter("ignore")
            model.fit(take_rows(task.X, train), task.y[train])
            score = metric.of(model, take_rows(task.X, valid), task.y[valid])
    except Exception as fault:  # settings drawn by chance make estimators raise anything; the rest goes on
        return np.nan, first_line(fault)[:_LONGEST_REASON]
    if not np.isfinite(score):
        return np.nan, f"its {metric.name} is not defined on these rows"
    return (score if metric.higher_is_better else -score), None


def _is_hopeless(scores: list[float], to_beat: float | None) -> bool:
    if to_beat is None or len(scores) < _LEAST_FOLDS:
        return False
    error = float(np.std(scores, ddof=1)) / np.sqrt(len(scores))
    return bool(float(np.mean(scores)) + _HOPELESS * max(error, 1e-12) < to_beat)


def run_fitting(task: Task, fitting: Fitting) -> Fitted:
    """Fit a candidate on all training rows, and measure what that takes."""
    model = build(fitting.candidate, task.problem, task.seed)
    before = _peak_memory(reset=True)
    cpu, began = time.process_time(), time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(task.X, task.y)
    except Exception as fault:  # as above
        return Fitted(why=first_line(fault)[:_LONGEST_REASON])
    fitted = Fitted(time.perf_counter() - began, time.process_time() - cpu, max(0.0, _peak_memory() - before))
    joblib.dump(model, fitting.path)
    return fitted


def _peak_memory(*, reset: bool = False) -> float:
    """Return the most memory that this process has had, in MB; with `reset`, counted anew from what it has now.

    Only Linux can count anew (proc(5), ``clear_refs``).
    """
    if reset:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1e3
    except (OSError, StopIteration):
        # In bytes on macOS.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


# What a process says once it has read the rows; nobody's time is counted before.
READY = "ready"
# What the processes have imported when they begin: scikit-learn takes a second or more.
_IMPORTED = ["app.training.selection.trying", "sklearn.ensemble"]


def start_forking() -> None:
    """Start the process that the others are forked from, if there is none yet; it does its imports meanwhile.

    They are not forked from this one: where OpenMP has run, a process cannot be.
    """
    multiprocessing.get_context("forkserver").set_forkserver_preload(_IMPORTED)
    # Ctrl-C reaches every process of a terminal; the parent decides what becomes of the search. A process inherits
    # what is held up, and would otherwise be interrupted in the middle of its imports. Python's own helper lets
    # the signal through once it runs.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Worker:
    """A process that tries candidates one after another; its first answer is :data:`READY`."""

    def __init__(self, task_file: Path, threads: int) -> None:
        start_forking()
        context = multiprocessing.get_context("forkserver")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, task_file, threads), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, order: Order | Fitting) -> None:
        """Hand over what is to be done; :attr:`connection` is readable when the answer is there."""
        self.connection.send(order)

    def answer(self) -> Any:
        """Wait for the answer and return it; None where the process has died."""
        try:
            return self.connection.recv()
        except EOFError:
            return None

    def stop(self) -> None:
        """End the process at once."""
        self._process.kill()
        self._process.join()
        self.connection.close()


def _work(connection: Connection, task_file: Path, threads: int) -> None:
    if "fork" in multiprocessing.get_all_start_methods():
        # Nothing is started here; but the locks of joblib's threads have no names then, which a process that is ended
        # in the middle would leave behind.
        multiprocessing.set_start_method("fork", force=True)
    task: Task = joblib.load(task_file, mmap_mode="r")
    connection.send(READY)
    backend = joblib.parallel_config(backend="threading", n_jobs=threads)
    with threadpool_limits(threads), backend, contextlib.suppress(EOFError, OSError):
        while True:
            order = connection.recv()
            connection.send(run_fitting(task, order) if isinstance(order, Fitting) else run_trial(task, order))
