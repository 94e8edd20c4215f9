"""The finals: which candidates come to them, a blend of the best, and fitting them on all training rows."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from app.training.candidates import BLEND, Candidate, gives_probabilities
from app.training.problem import Problem
from app.training.selection.finalists import Finalist, is_within_reach, may_help, measure, promise, seconds_to_fit
from app.training.selection.journal import Journal
from app.training.selection.plan import Plan, Result, Trial, first_of_each_family, ranked
from app.training.selection.trying import Task
from app.training.selection.wish import Watcher, Wish
from app.training.selection.workshop import Workshop
from app.training.split import Split

FINALISTS = 6
BLENDED = 3
_FEWEST_BLENDED = 2
# No form of ours answers for neighbours and support vectors: one of them makes a blend ten times as slow.
_NOT_BLENDED = ("dummy", "knn", "svm")
# Families that err alike, so that the mean of two gains little: a blend has one of them.
_ALIKE = {"forest": "trees", "extra-trees": "trees"} | dict.fromkeys(
    ("logistic", "lda", "linear-svm", "linear", "ridge", "lasso", "elastic-net", "sgd"), "linear"
)
# Of the budget, what trials in the finals may take where fitting needs all that is left.
_LEAST_FOR_TRIALS = 0.15
# Of what is expected to take so long, what it may take.
_MARGIN = 1.5
# Roughly: a finalist is read, asked for its signature, and timed.
_SECONDS_TO_MEASURE = 1.0


def choose_finalists(best: Sequence[Result]) -> list[Result]:
    """Return the best of each leading family, and the leading family's second best; `best` has the best first.

    They are in the order in which to fit them, where time may be short: by what they promise, but for a blend, which
    takes as long as all of its members and is not the first. The dummy is among them only where there is nothing else.
    """
    able = [result for result in best if result.trial.candidate.family != "dummy"]
    firsts = list(first_of_each_family(able).values())
    second = list(islice((result for result in able if result not in firsts), 1))
    found = [*firsts[: FINALISTS - len(second)], *second] or list(best[:1])
    found = sorted(found, key=lambda result: -promise(result, found[0]))
    safe = next((result for result in found if result.trial.candidate.family != BLEND), None)
    return sorted(found, key=lambda result: result is not safe)


def _others(best: Sequence[Result], finalists: Sequence[Result]) -> list[Result]:
    """Return the best of each family that has no finalist."""
    known = {"dummy", *(result.trial.candidate.family for result in finalists)}
    return [result for family, result in first_of_each_family(best).items() if family not in known]


@dataclass(frozen=True)
class Finals:
    """What comes after the trials: a blend is tried, the finalists are fitted and measured; all by the time `end`."""

    problem: Problem
    split: Split
    wish: Wish
    task: Task
    workshop: Workshop
    journal: Journal
    end: float | None

    def seconds_needed(self, best: Sequence[Result]) -> float:
        """Return how long all of it should take; `best` has the best first."""
        if not best:
            return 0.0
        finalists, members = choose_finalists(best), self._members(best)
        furthest = best[0].trial.rung
        behind = [result for result in finalists if is_within_reach(result, best[0])]
        return (
            self._seconds_to_try(behind, furthest, known=True)
            + self._seconds_to_try(members, furthest, known=False)
            + self._seconds_of_fits([*finalists, *members])
            + _SECONDS_TO_MEASURE * (len(finalists) + 1)
        )

    def catch_up(self, plan: Plan) -> list[Result]:
        """Try the finalists on as much as the furthest was, while there is time; return the best, the best first.

        Of few folds chance makes more, and scores on fewer rows are lower. What is far behind stays where it is.
        """
        best = plan.best()
        furthest, patience = best[0].trial.rung, self._patience(best)
        if patience is not None:
            members = self._members(best)[:_FEWEST_BLENDED]
            patience = max(patience - self._seconds_to_try(members, furthest, known=False), 0.0)
        found: dict[str, Result] = {}
        due: list[Result] = []
        for result in choose_finalists(best):
            if result.trial.rung < furthest and is_within_reach(result, best[0]):
                known = self.journal.find(Trial(result.trial.candidate, furthest))
                if known is not None:
                    found[result.trial.candidate.key] = known
                elif patience is None or self._seconds_to_try([*due, result], furthest, known=True) <= patience:
                    due.append(result)
        trials = [Trial(result.trial.candidate, furthest) for result in due]
        for tried in self.workshop.attempt_all([(trial, plan.known_scores(trial)) for trial in trials], patience):
            self.journal.write(tried)
            found[tried.trial.candidate.key] = tried
        further = {key: result for key, result in found.items() if result.state == "finished"}
        return ranked([*further.values(), *(result for result in best if result.trial.candidate.key not in further)])

    def try_blend(self, best: Sequence[Result]) -> Result | str:
        """Try the mean of the best families' predictions as far as the best was tried; or say why there is none.

        Where time is short it is the mean of two.
        """
        members = self._members(best)
        if not members:
            return "there are no two families that are worth a blend"
        # Its members may not all have come so far; tried less far it could not be compared.
        rung, patience = best[0].trial.rung, self._patience(best)
        expected = self._seconds_to_try(members, rung, known=False)
        if patience is not None and expected * _MARGIN > patience:
            members = members[:_FEWEST_BLENDED]
            expected = self._seconds_to_try(members, rung, known=False)
        trial = Trial(Candidate(BLEND, {}, tuple(result.trial.candidate for result in members)), rung)
        result: Result | None = self.journal.find(trial)
        if result is None:
            if patience is not None and expected > patience:
                return f"trying it would take some {expected:.1f} s, and {patience:.1f} are left"
            (result,) = self.workshop.attempt_all([(trial, ())], None if patience is None else patience * _MARGIN)
            self.journal.write(result)
        return result if result.state == "finished" else result.why or result.state

    def measure(self, best: Sequence[Result], watcher: Watcher) -> list[Finalist]:
        """Fit the finalists and measure what they cost to serve, as long as there is time.

        Where none is within the limits, the best of each other family follow, until one is.
        """
        measured: list[Finalist] = []
        finalists = choose_finalists(best)
        for result in [*finalists, *_others(best, finalists)]:
            # The first that is within the limits is there whatever it takes.
            found = any(finalist.refused is None for finalist in measured)
            if found and result not in finalists:
                break
            fitted = self.workshop.fit(result, self._left() if found else None)
            measured.append(measure(fitted, self.split.X_train, self.problem, self.wish.limits))
            watcher.measured(measured[-1])
        return measured

    def _members(self, best: Sequence[Result]) -> list[Result]:
        """Return the best of the leading families that are not alike and can be blended; none of fewer than two."""
        found: dict[str, Result] = {}
        # Asked after every trial, of all results: an estimator is made only where it may matter.
        for result in best:
            family = result.trial.candidate.family
            kind = _ALIKE.get(family, family)
            if kind in found or not may_help(result, best[0], self.wish.metric.perfect):
                continue
            if self._can_be_blended(family):
                found[kind] = result
                if len(found) == BLENDED:
                    break
        return list(found.values()) if len(found) >= _FEWEST_BLENDED else []

    def _can_be_blended(self, family: str) -> bool:
        """Tell whether a family gives what a blend is the mean of, and answers quickly enough for that."""
        if family in _NOT_BLENDED:
            return False
        return self.problem.task == "regression" or gives_probabilities(family, self.problem)

    def _left(self) -> float | None:
        return None if self.end is None else self.end - time.monotonic()

    def _patience(self, best: Sequence[Result]) -> float | None:
        """Return how long more trials may take: what the leader and a blend leave, and a share of the budget anyway."""
        left = self._left()
        if left is None or self.wish.seconds is None:
            return None
        reserved = self._seconds_of_fits([best[0], *self._members(best)[:_FEWEST_BLENDED]])
        reserved += _SECONDS_TO_MEASURE * 3
        return max(left - reserved, self.wish.seconds * _LEAST_FOR_TRIALS)

    def _seconds_of_fits(self, results: Iterable[Result]) -> float:
        """Return how long fitting should take, one after another with all of the cores."""
        rows = len(self.split.y_train)
        return sum(seconds_to_fit(result, self.task.rungs, rows, self.wish.jobs) for result in results)

    def _seconds_to_try(self, results: Iterable[Result], rung: int, *, known: bool) -> float:
        """Return how long it should take to try candidates on a rung, their folds side by side.

        With `known`, folds that they were tried on with as many rows are left out.
        """
        there, seconds = self.task.rungs[rung], 0.0
        for result in results:
            here = self.task.rungs[result.trial.rung]
            folds = there.folds - here.folds * (known and here.rows == there.rows)
            seconds += result.seconds / here.folds * folds * there.rows / here.rows
        return seconds / self.wish.jobs
