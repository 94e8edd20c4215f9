"""The finals: which candidates come to them, a blend of the best, and fitting them on all training rows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from app.training.candidates import BLEND, Candidate, gives_probabilities
from app.training.problem import Problem
from app.training.selection.finalists import Finalist, measure, promise, seconds_to_fit
from app.training.selection.journal import Journal
from app.training.selection.plan import Plan, Result, Trial, ranked
from app.training.selection.trying import Order, Task
from app.training.selection.wish import Watcher, Wish
from app.training.selection.workshop import Workshop
from app.training.split import Split

FINALISTS = 6
BLENDED = 3
# Of the budget, what a blend may take to be tried where the other finalists need all that is left.
_LEAST_FOR_BLEND = 0.1


def choose_finalists(best: Sequence[Result]) -> list[Result]:
    """Return the best of each leading family, and the leading family's second best; `best` has the best first.

    They are in the order in which to fit them, where time may be short: what promises most comes first, a blend
    last, which takes as long as all of its members. The dummy is among them only where there is nothing else.
    """
    firsts: dict[str, Result] = {}
    second: list[Result] = []
    for result in best:
        family = result.trial.candidate.family
        if family != "dummy" and firsts.setdefault(family, result) is not result and not second:
            second = [result]
    found = [*list(firsts.values())[: FINALISTS - len(second)], *second] or list(best[:1])
    return sorted(found, key=lambda result: (result.trial.candidate.family == BLEND, -promise(result, found[0])))


@dataclass(frozen=True)
class Finals:
    """What comes after the trials: a blend is tried, the finalists are fitted and measured; all by the time `end`."""

    problem: Problem
    split: Split
    wish: Wish
    task: Task
    workshop: Workshop
    end: float | None

    def seconds_needed(self, best: Sequence[Result]) -> float:
        """Return how long all of it should take; `best` has the best first."""
        members = self.members(best)
        needed = self._seconds_of_fits([*choose_finalists(best), *members]) + self._seconds_to_blend(members)
        return needed + sum(self._seconds_to_catch_up(result, best[0]) for result in choose_finalists(best))

    def catch_up(self, plan: Plan, journal: Journal) -> list[Result]:
        """Try the finalists on as much as the furthest was, while there is time; return the best, the best first.

        Of few folds chance makes more, and scores on fewer rows are lower.
        """
        best = plan.best()
        furthest = best[0]
        for result in choose_finalists(best):
            trial = Trial(result.trial.candidate, furthest.trial.rung)
            if trial != result.trial:
                order = Order(trial, plan.known_scores(trial), furthest.score)
                tried = self._try(order, self._seconds_to_catch_up(result, furthest), self._patience(best), journal)
                if tried.state == "finished":
                    best[best.index(result)] = tried
        return ranked(best)

    def members(self, best: Sequence[Result]) -> list[Result]:
        """Return the best of the leading families that can be blended; none where there are fewer than two."""
        firsts: dict[str, Result] = {}
        for result in best:
            firsts.setdefault(result.trial.candidate.family, result)
        found = [result for family, result in firsts.items() if self._can_be_blended(family)][:BLENDED]
        return found if len(found) > 1 else []

    def try_blend(self, best: Sequence[Result], journal: Journal) -> Result | str:
        """Try the mean of the best families' predictions where their best have been; or say why there is none."""
        members = self.members(best)
        if not members:
            return "there are no two families that could be blended"
        blend = Candidate(BLEND, {}, tuple(result.trial.candidate for result in members))
        trial = Trial(blend, min(result.trial.rung for result in members))
        patience = self._patience(best, _LEAST_FOR_BLEND)
        result = self._try(Order(trial), self._seconds_to_blend(members), patience, journal)
        return result if result.state == "finished" else result.why or result.state

    def measure(self, best: Sequence[Result], watcher: Watcher) -> list[Finalist]:
        """Fit the finalists and measure what they cost to serve, as long as there is time."""
        measured: list[Finalist] = []
        for result in choose_finalists(best):
            # The first that is within the limits is there whatever it takes.
            found = any(finalist.refused is None for finalist in measured)
            fitted = self.workshop.fit(result, self._left() if found else None)
            measured.append(measure(fitted, self.split.X_train, self.problem, self.wish.limits))
            watcher.measured(measured[-1])
        return measured

    def _try(self, order: Order, expected: float, patience: float | None, journal: Journal) -> Result:
        """Return what comes of a trial that should take so many seconds; or that this is more than `patience`."""
        result = journal.find(order.trial)
        if result is None:
            if patience is not None and expected > patience:
                why = f"trying it would take some {expected:.1f} s, and {max(patience, 0.0):.1f} are left for that"
                return Result(order.trial, (), 0.0, "failed", why)
            result = self.workshop.attempt(order, patience)
            journal.write(result)
        return result

    def _can_be_blended(self, family: str) -> bool:
        """Tell whether a family gives what a blend is the mean of."""
        return family != "dummy" and (self.problem.task == "regression" or gives_probabilities(family, self.problem))

    def _left(self) -> float | None:
        return None if self.end is None else self.end - time.monotonic()

    def _patience(self, best: Sequence[Result], least: float = 0.0) -> float | None:
        """Return how long one more trial may take: what fitting the finalists leaves, and a share of the budget."""
        left = self._left()
        if left is None or self.wish.seconds is None:
            return None
        return max(left - self._seconds_of_fits(choose_finalists(best)), self.wish.seconds * least)

    def _seconds_to_catch_up(self, result: Result, furthest: Result) -> float:
        here, there = self.task.rungs[result.trial.rung], self.task.rungs[furthest.trial.rung]
        known = here.folds if here.rows == there.rows else 0
        return result.seconds / here.folds * there.rows / here.rows * (there.folds - known)

    def _seconds_to_blend(self, members: Sequence[Result]) -> float:
        # Side by side the members took as long as so many processes; here one has all of the cores.
        return sum(result.seconds for result in members) / self.wish.jobs

    def _seconds_of_fits(self, results: Sequence[Result]) -> float:
        return sum(seconds_to_fit(result, self.task.rungs, len(self.split.y_train)) for result in results)
