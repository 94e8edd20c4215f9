"""A search from its beginning to the chosen model."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import connection
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from app.training.candidates import Candidate, spaces
from app.training.errors import TrainingError
from app.training.metrics import Metric
from app.training.problem import Problem
from app.training.selection import finals
from app.training.selection.finals import Finalist, Limits
from app.training.selection.journal import Journal, forget, open_journal
from app.training.selection.plan import Plan, Result, Rung, Trial, count_folds, make_rungs
from app.training.selection.trying import Fitted, Fitting, Order, Task, Worker, run_trial
from app.training.split import Split, make_folds, take_rows

# A proposal is made once all but the last few before it are learnt: however many processes there are, the same.
LOOKAHEAD = 4
# Of the budget for the search, what is kept for fitting and measuring the finalists.
_SHARE_OF_FINALS = 0.25
# One trial may take at most this share of the budget.
_SHARE_OF_TRIAL = 0.34
_LONGEST_TRIAL = 600.0
# So many trials in a row without a better one end a search.
PATIENCE = 150
# More rows than this are sampled for the search; the finalists are fitted on all.
_MOST_ROWS = 200_000
_TICK_SECONDS = 0.25


@dataclass(frozen=True)
class Wish:
    """What a search is asked to do; at least one of `seconds` and `trials` is given."""

    metric: Metric
    seconds: float | None
    trials: int | None
    jobs: int
    seed: int
    limits: Limits
    resume: bool = False


@dataclass(frozen=True)
class Found:
    """What a search came to.

    Attributes
    ----------
    model: the fitted pipeline of the chosen finalist.
    told: all that a report says of the search, as JSON values.
    """

    model: Any
    chosen: Finalist
    finalists: tuple[Finalist, ...]
    told: dict[str, Any]


class Watcher:
    """Is told what a search does; this one keeps it to itself."""

    def began(self, wish: Wish, rungs: list[Rung], known: int) -> None:
        """Take note that the search begins, with so many results from before."""

    def tried(self, plan: Plan, result: Result, left: float | None) -> None:
        """Take note of a result, with so many seconds left."""

    def tick(self, left: float | None) -> None:
        """Take note that time goes by."""

    def ended(self, why: str) -> None:
        """Take note that no more is tried."""

    def measured(self, finalist: Finalist) -> None:
        """Take note that a finalist was fitted and measured."""


def select(
    problem: Problem, split: Split, wish: Wish, folder: Path, about: Mapping[str, Any], watcher: Watcher
) -> Found:
    """Search for the best model within the limits, using the training rows alone.

    Parameters
    ----------
    folder
        The model's folder in the store, for the journal.
    about
        What else the results depend on, for :func:`app.training.selection.journal.open_journal`.

    Raises
    ------
    TrainingError
        Nothing can be fitted, no finalist is within the limits, or there is nothing to resume.
    """
    began = time.monotonic()
    n_folds, repeats = count_folds(make_rungs(min(len(split.y_train), _MOST_ROWS)))
    sampled = _sampled(split, wish.seed)
    folds = [
        fold for repeat in range(repeats) for fold in make_folds(sampled, problem.task, n_folds, wish.seed + repeat)
    ]
    folds = [_shuffled(train, valid, wish.seed) for train, valid in folds]
    rungs = make_rungs(max(len(train) for train, _ in folds))
    rungs = [rung for rung in rungs if rung.folds <= len(folds)] or [Rung(rungs[0].rows, len(folds))]
    offered = spaces(problem, len(split.y_train), wish.metric)
    bare = replace(problem, X=take_rows(problem.X, slice(0, 0)), y=problem.y[:0])
    searched = Task(bare, sampled.X_train, sampled.y_train, folds, rungs, wish.metric.name, wish.seed)
    families = [space.family for space in offered]
    plan = Plan(offered, len(rungs), wish.seed)
    asked = {**about, "seed": wish.seed, "objective": wish.metric.name, "rungs": [[r.rows, r.folds] for r in rungs]}
    with tempfile.TemporaryDirectory(prefix="maas-search-") as scratch, _stop_asked() as stop:
        with open_journal(folder, asked, resume=wish.resume) as journal:
            watcher.began(wish, rungs, len(journal))
            search = _Search(searched, plan, journal, wish, watcher, stop, began)
            with _workers(searched, wish.jobs, Path(scratch)) as start:
                why = search.run(start)
                watcher.ended(why)
                best = plan.best()
                if not best:
                    raise TrainingError(_nothing_fitted(plan))
                blend = search.blend(finals.blend_of(best, families), start)
        chosen = finals.choose_finalists([*([blend] if blend else []), *best])
        whole = Task(bare, split.X_train, split.y_train, [], rungs, wish.metric.name, wish.seed)
        measured = list(_measured(chosen, whole, problem, wish, Path(scratch), watcher))
        winner = finals.choose(measured, families)
        if winner is None:
            raise TrainingError(_none_within(measured))
        model = winner.load()
    forget(folder)
    told = _told(wish, rungs, plan, measured, winner, why, time.monotonic() - began)
    return Found(model, winner, tuple(measured), told)


def _sampled(split: Split, seed: int) -> Split:
    """Return the split with no more training rows than a search wants."""
    n = len(split.y_train)
    if n <= _MOST_ROWS:
        return split
    rows = np.sort(np.random.default_rng(seed).permutation(n)[:_MOST_ROWS])
    return replace(split, X_train=take_rows(split.X_train, rows), y_train=split.y_train[rows])


def _shuffled(train: Any, valid: Any, seed: int) -> tuple[Any, Any]:
    """Return a fold's rows in an order drawn by chance, so that the first of them are a sample."""
    rng = np.random.default_rng([seed, len(train), len(valid)])
    return rng.permutation(train), rng.permutation(valid)


class _Search:
    """The loop that hands trials to processes and what comes of them to the plan."""

    def __init__(  # noqa: PLR0913, PLR0917  # what it works with, made by the one function above
        self,
        task: Task,
        plan: Plan,
        journal: Journal,
        wish: Wish,
        watcher: Watcher,
        stop: threading.Event,
        began: float,
    ) -> None:
        self._task, self._plan, self._journal, self._wish, self._watcher = task, plan, journal, wish, watcher
        self._stop = stop
        self._end = None if wish.seconds is None else began + wish.seconds * (1 - _SHARE_OF_FINALS)
        self._proposals: list[Trial] = []
        self._results: dict[int, Result] = {}
        self._idle_since = 0
        self._known_best: tuple[int, float] = (-1, -np.inf)

    def run(self, start: Callable[[], Worker]) -> str:
        """Try until the budget is used up, nothing improves, or the user has enough; returns why it ended."""
        workers: dict[Worker, tuple[int, float] | None] = {start(): None for _ in range(self._wish.jobs)}
        exhausted = False
        try:
            while True:
                why = self._over(exhausted)
                if why is not None:
                    return why
                for worker, busy in list(workers.items()):
                    while busy is None and not exhausted and self._may_propose():
                        trial = self._plan.propose()
                        if trial is None:
                            exhausted = True
                            break
                        number = len(self._proposals)
                        self._proposals.append(trial)
                        known = self._journal.find(trial) or self._too_long(trial)
                        if known is not None:
                            self._take(number, known)
                            continue
                        worker.ask(self._order(trial))
                        busy = workers[worker] = (number, time.monotonic())
                self._wait(workers, start)
        finally:
            for worker in workers:
                worker.stop()

    def blend(self, candidate: Candidate | None, start: Callable[[], Worker]) -> Result | None:
        """Try the blend of the best on the furthest rung that its members have reached."""
        if candidate is None or self._stop.is_set():
            return None
        rung = min(result.trial.rung for result in self._plan.best() if result.trial.candidate in candidate.members)
        trial = Trial(candidate, max(rung, 0))
        result = self._journal.find(trial)
        if result is None:
            worker = start()
            try:
                worker.ask(Order(trial))
                patience = _LONGEST_TRIAL if self._end is None else max(5.0, self._end - time.monotonic() + 5.0)
                if not worker.connection.poll(patience):
                    return None
                result = worker.answer()
            except EOFError:
                return None
            finally:
                worker.stop()
            self._journal.write(result)
        if result.state != "finished":
            return None
        self._watcher.tried(self._plan, result, self._left())
        return result

    def _left(self) -> float | None:
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def _over(self, exhausted: bool) -> str | None:
        learnt = len(self._plan.results)
        if self._stop.is_set():
            return f"stopped after {learnt} trials"
        if self._wish.trials is not None and learnt >= self._wish.trials:
            return f"all {learnt} trials done"
        if self._end is not None and time.monotonic() >= self._end:
            return f"the budget is used up after {learnt} trials"
        if learnt - self._idle_since >= PATIENCE:
            return f"nothing better in the last {PATIENCE} of {learnt} trials"
        if exhausted and learnt == len(self._proposals):
            return f"nothing is left to try after {learnt} trials"
        return None

    def _may_propose(self) -> bool:
        proposed = len(self._proposals)
        if self._wish.trials is not None and proposed >= self._wish.trials:
            return False
        return len(self._plan.results) > proposed - LOOKAHEAD

    def _order(self, trial: Trial) -> Order:
        """Return the order for a trial: what is known of its first folds, and what it has to beat."""
        known: tuple[float, ...] = ()
        rung = self._task.rungs[trial.rung]
        for result in self._plan.results:
            if result.trial.candidate.key == trial.candidate.key and result.state == "finished":
                if self._task.rungs[result.trial.rung].rows == rung.rows:
                    known = result.scores
        beaten = self._plan.at_rung(trial.rung)
        return Order(trial, known, beaten[0].score if beaten else None)

    def _too_long(self, trial: Trial) -> Result | None:
        """Give a trial up that would not end in time, judged by what its candidate took on fewer rows."""
        left = self._left()
        if left is None or trial.rung == 0:
            return None
        rungs = self._task.rungs
        for result in self._plan.results:
            if result.trial.candidate.key == trial.candidate.key and result.trial.rung == trial.rung - 1:
                before, now = rungs[trial.rung - 1], rungs[trial.rung]
                expected = result.seconds * (now.rows / before.rows) * (now.folds / before.folds)
                if expected > left:
                    return Result(trial, (), 0.0, "failed", f"would take some {expected:.0f} s of {left:.0f} s left")
        return None

    def _wait(self, workers: dict[Worker, tuple[int, float] | None], start: Callable[[], Worker]) -> None:
        """Wait a moment for results; end trials that take too long."""
        ready = connection.wait([worker.connection for worker in workers], _TICK_SECONDS)
        for worker, busy in list(workers.items()):
            if busy is None:
                continue
            number, since = busy
            longest = self._longest()
            if worker.connection in ready:
                try:
                    result: Result = worker.answer()
                except EOFError:
                    result = Result(self._proposals[number], (), 0.0, "failed", "its process died, for want of memory?")
            elif time.monotonic() - since > longest:
                result = Result(self._proposals[number], (), longest, "failed", f"took longer than {longest:.0f} s")
            else:
                continue
            if worker.connection in ready and result.why != "its process died, for want of memory?":
                workers[worker] = None
            else:
                worker.stop()
                del workers[worker]
                workers[start()] = None
            self._journal.write(result)
            self._take(number, result)
        self._watcher.tick(self._left())

    def _longest(self) -> float:
        return _LONGEST_TRIAL if self._wish.seconds is None else self._wish.seconds * _SHARE_OF_TRIAL

    def _take(self, number: int, result: Result) -> None:
        """Tell the plan every result whose turn it is."""
        self._results[number] = result
        while (turn := len(self._plan.results)) in self._results:
            learnt = self._results.pop(turn)
            self._plan.learn(learnt)
            if learnt.state == "finished" and (learnt.trial.rung, learnt.score) > self._known_best:
                self._known_best = (learnt.trial.rung, learnt.score)
                self._idle_since = len(self._plan.results)
            self._watcher.tried(self._plan, learnt, self._left())


@contextmanager
def _stop_asked() -> Iterator[threading.Event]:
    """Let Ctrl-C and TERM end the search, not the training; asked a second time they end that too."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, frame: Any) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    for number in before:
        signal.signal(number, handle)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _workers(task: Task, jobs: int, scratch: Path) -> Iterator[Callable[[], Worker]]:
    """Yield what starts processes for `task`; the cores are shared out among so many of them."""
    path = scratch / f"task-{len(os.listdir(scratch))}"  # noqa: PTH208  # a number that is not taken
    joblib.dump(task, path)
    yield lambda: Worker(path, max(1, (os.cpu_count() or 1) // jobs))


def _measured(
    chosen: list[Result], task: Task, problem: Problem, wish: Wish, scratch: Path, watcher: Watcher
) -> Iterator[Finalist]:
    """Fit the finalists on all training rows, one after another with every core, and measure them."""
    with _workers(task, 1, scratch) as start:
        for number, result in enumerate(chosen):
            path = scratch / f"finalist-{number}.joblib"
            worker = start()
            try:
                worker.ask(Fitting(result.trial.candidate, path))
                fitted: Fitted = worker.answer()
            except EOFError:
                fitted = Fitted(0.0, 0.0, 0.0, "its process died, for want of memory?")
            finally:
                worker.stop()
            finalist = Finalist(result.trial.candidate, result.scores, path, fitted)
            measured = finals.measure(finalist, task.X, problem, wish.limits)
            watcher.measured(measured)
            yield measured


def _nothing_fitted(plan: Plan) -> str:
    why = next((result.why for result in plan.results if result.why), "the budget was too short for the first of them")
    return f"no candidate could be fitted: {why}"


def _none_within(measured: list[Finalist]) -> str:
    nearest = min(measured, key=lambda finalist: (finalist.latency_one, finalist.size))
    return f"no finalist is within the limits; the nearest, {nearest.candidate}: {nearest.refused}"


def _told(  # noqa: PLR0913, PLR0917  # all that there is to tell
    wish: Wish,
    rungs: list[Rung],
    plan: Plan,
    measured: list[Finalist],
    winner: Finalist,
    why: str,
    seconds: float,
) -> dict[str, Any]:
    """Return what a report says of a search, as JSON values."""
    sign = 1 if wish.metric.higher_is_better else -1
    budget = [f"{wish.seconds:g} s"] if wish.seconds is not None else []
    budget += [f"{wish.trials} trials"] if wish.trials is not None else []

    def spread(scores: tuple[float, ...]) -> float:
        return float(np.std(scores))

    return {
        "objective": wish.metric.name,
        "higher_is_better": wish.metric.higher_is_better,
        "budget": ", ".join(budget),
        "ended": why,
        "folds": max(rung.folds for rung in rungs),
        "trials": len(plan.results),
        "seconds": round(seconds, 2),
        "limits": {"max_latency_ms": wish.limits.max_latency_ms, "max_size_mb": wish.limits.max_size_mb},
        "candidates": [
            {
                "family": result.trial.candidate.family,
                "settings": result.trial.candidate.settings,
                "rows": rungs[result.trial.rung].rows,
                "score": sign * result.score if result.scores else None,
                "spread": spread(result.scores) if result.scores else None,
                "seconds": round(result.seconds, 3),
                "state": result.state,
                "why": result.why,
            }
            for result in plan.results
        ],
        "finalists": [
            {
                "family": finalist.candidate.family,
                "settings": finalist.candidate.settings
                or {"of": [str(member) for member in finalist.candidate.members]}
                if finalist.candidate.members
                else finalist.candidate.settings,
                "score": sign * finalist.score,
                "spread": spread(finalist.scores),
                "latency_one_ms": _plain(finalist.latency_one),
                "latency_many_ms": _plain(finalist.latency_many),
                "many": 1000,
                "engine": finalist.engine,
                "size_mb": _plain(finalist.size),
                "memory_mb": _plain(finalist.fitted.memory_mb),
                "fit_seconds": _plain(finalist.fitted.seconds),
                "cpu_seconds": _plain(finalist.fitted.cpu_seconds),
                "energy_joules": _plain(finalist.fitted.cpu_seconds * finals.WATTS_PER_CORE),
                "refused": finalist.refused,
                "on_frontier": finals.on_frontier(finalist, measured),
                "chosen": finalist is winner,
            }
            for finalist in measured
        ],
    }


def _plain(value: float) -> float | None:
    return float(f"{value:.4g}") if np.isfinite(value) else None


__all__ = ["Found", "Limits", "Watcher", "Wish", "run_trial", "select"]
