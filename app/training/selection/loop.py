"""The loop of a search: hands trials to processes, and what comes of them to the plan."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import connection
from typing import Any, NamedTuple

import numpy as np

from app.training.errors import TrainingError
from app.training.selection.journal import Journal
from app.training.selection.plan import Plan, Result, Rung, Trial, failed
from app.training.selection.trying import DIED, READY, Order, Worker
from app.training.selection.wish import Watcher, Wish

# A proposal is made from all results but those of the last few proposals before it: as many as may be tried side by
# side, and the same however many there are.
LOOKAHEAD = 4
# So many trials in a row without a better one end a search.
PATIENCE = 150
# Of the budget for the search, the least and the most that is kept for fitting and measuring the finalists.
_LEAST_FOR_FINALS, _MOST_FOR_FINALS = 0.25, 0.5
# One trial may take at most this share of the budget, or without a budget so many seconds.
_SHARE_OF_TRIAL = 0.34
_LONGEST_TRIAL = 3600.0
# What every trial may take: with a short budget, its part would end what has hardly begun.
_SHORTEST_TRIAL = 5.0
# So many failures without a single success end a search whose budget is used up.
_ENOUGH_TO_DESPAIR = 3
_TICK_SECONDS = 0.25


class _Busy(NamedTuple):
    """What a process is at: the proposal's number, and since when; no number while it starts."""

    number: int | None
    since: float


def longest_trial(rungs: Sequence[Rung], rung: int, budget: float | None) -> float:
    """Return how many seconds a trial may take; on part of the rows, no more than their part of the budget.

    What takes longer than that would not be fitted on all rows within the whole of it.
    """
    if budget is None:
        return _LONGEST_TRIAL
    part = rungs[rung].rows / rungs[-1].rows
    return max(_SHORTEST_TRIAL, budget * min(part, _SHARE_OF_TRIAL))


def share_of_finals(needed: float, budget: float) -> float:
    """Return which share of the budget is kept for the finals, where they need so many seconds."""
    return min(max(needed / budget, _LEAST_FOR_FINALS), _MOST_FOR_FINALS)


class Loop:
    """Tries what the plan proposes until the budget is used up.

    Parameters
    ----------
    start
        Starts a process that tries candidates.
    stop
        Is set when the user has had enough.
    began
        When the budget began to be used, by ``time.monotonic``.
    seconds_of_finals
        Tells from the best so far how long fitting the finalists should take.
    """

    def __init__(  # noqa: PLR0913  # what it works with
        self,
        plan: Plan,
        wish: Wish,
        journal: Journal,
        *,
        start: Callable[[], Worker],
        watcher: Watcher,
        stop: threading.Event,
        began: float,
        seconds_of_finals: Callable[[Sequence[Result]], float],
    ) -> None:
        self._plan, self._wish, self._journal = plan, wish, journal
        self._start, self._watcher, self._stop = start, watcher, stop
        self._began, self._seconds_of_finals = began, seconds_of_finals
        self._kept = _LEAST_FOR_FINALS
        self._workers: dict[Worker, _Busy | None] = {}
        self._proposals: list[Trial] = []
        # Results that the plan has not learnt yet, by the proposal's number.
        self._waiting: dict[int, Result] = {}
        self._exhausted = False
        self._best: tuple[int, float] = (-1, -np.inf)
        self._last_better = 0

    @property
    def left(self) -> float | None:
        """Seconds that are left for trials; None where there is no limit."""
        if self._wish.seconds is None:
            return None
        return max(0.0, self._began + self._wish.seconds * (1 - self._kept) - time.monotonic())

    def run(self) -> str:
        """Try, and return why no more is tried."""
        for _ in range(self._wish.jobs):
            self._start_one()
        try:
            while (why := self._why_over()) is None:
                self._hand_out()
                self._collect()
            for number in sorted(self._waiting):
                self._learn(number)
            return why
        finally:
            for worker in self._workers:
                worker.stop()

    def _why_over(self) -> str | None:
        learnt = len(self._plan.results) + len(self._waiting)
        if self._stop.is_set():
            return f"stopped after {learnt} trials"
        if self._wish.trials is not None and learnt >= self._wish.trials:
            return f"all {learnt} trials are done"
        if self.left == 0 and (self._has_finished() or learnt >= _ENOUGH_TO_DESPAIR):
            return f"the budget is used up after {learnt} trials"
        if learnt - self._last_better >= PATIENCE:
            return f"nothing better in the last {PATIENCE} of {learnt} trials"
        if self._exhausted and learnt == len(self._proposals):
            return f"nothing is left to try after {learnt} trials"
        return None

    def _hand_out(self) -> None:
        """Give every idle process a trial, as far as the plan may propose one."""
        for worker in [worker for worker, busy in self._workers.items() if busy is None]:
            while self._may_propose():
                trial = self._plan.propose()
                if trial is None:
                    self._exhausted = True
                    return
                number = len(self._proposals)
                self._proposals.append(trial)
                known = self._journal.find(trial) or self._too_long(trial)
                if known is None:
                    worker.ask(self._order(trial))
                    self._workers[worker] = _Busy(number, time.monotonic())
                    break
                self._waiting[number] = known

    def _may_propose(self) -> bool:
        """Tell whether all results are there that the next proposal is made from, and let the plan learn just these."""
        proposed = len(self._proposals)
        if self._exhausted or (self._wish.trials is not None and proposed >= self._wish.trials):
            return False
        while len(self._plan.results) <= proposed - LOOKAHEAD:
            if len(self._plan.results) not in self._waiting:
                return False
            self._learn(len(self._plan.results))
        return True

    def _has_finished(self) -> bool:
        """Tell whether any trial has."""
        return any(result.state == "finished" for result in (*self._plan.results, *self._waiting.values()))

    def _order(self, trial: Trial) -> Order:
        """Return the order for a trial: what is known of its first folds, and what it has to beat."""
        beaten = self._plan.at_rung(trial.rung)
        return Order(trial, self._plan.known_scores(trial), beaten[0].score if beaten else None)

    def _too_long(self, trial: Trial) -> Result | None:
        """Give a trial up that would not end in time, judged by what its candidate took on the rungs below."""
        expected = self._plan.expected_seconds(trial)
        if self.left is None or expected is None:
            return None
        most = min(self.left, longest_trial(self._plan.rungs, trial.rung, self._wish.seconds))
        if expected <= most:
            return None
        return failed(trial, f"would take some {expected:.0f} s, and {most:.0f} are left")

    def _collect(self) -> None:
        """Wait a moment for results; end what takes too long."""
        ready = connection.wait([worker.connection for worker in self._workers], _TICK_SECONDS)
        for worker, busy in list(self._workers.items()):
            if busy is None:
                continue
            answered = worker.connection in ready
            if busy.number is None:
                if answered:
                    if worker.answer() != READY:
                        raise TrainingError("a process to try candidates in has died at its start, for want of memory?")
                    self._workers[worker] = None
                continue
            taken = time.monotonic() - busy.since
            longest = longest_trial(self._plan.rungs, self._proposals[busy.number].rung, self._wish.seconds)
            if not answered and (taken <= longest or not self._has_finished()):
                continue
            result: Result | None = worker.answer() if answered else None
            if result is None:
                worker.stop()
                del self._workers[worker]
                self._start_one()
                why = DIED if answered else f"took longer than {longest:.0f} s"
                result = failed(self._proposals[busy.number], why, taken)
            else:
                self._workers[worker] = None
            self._journal.write(result)
            self._waiting[busy.number] = result
        self._watcher.tick(self.left)

    def _start_one(self) -> None:
        self._workers[self._start()] = _Busy(None, time.monotonic())

    def _learn(self, number: int) -> None:
        """Let the plan learn the result of a proposal."""
        learnt = self._waiting.pop(number)
        self._plan.learn(learnt)
        if self._wish.seconds is not None:
            self._kept = share_of_finals(self._seconds_of_finals(self._plan.best()), self._wish.seconds)
        if learnt.state == "finished" and (learnt.trial.rung, learnt.score) > self._best:
            self._best = (learnt.trial.rung, learnt.score)
            self._last_better = len(self._plan.results)
        self._watcher.tried(self._plan, learnt, self.left)


@contextmanager
def stop_asked() -> Iterator[threading.Event]:
    """Let Ctrl-C and TERM end the search, not the training; asked a second time they end that too."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        # Signals are the main thread's.
        yield asked
        return

    def handle(number: int, frame: Any) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
