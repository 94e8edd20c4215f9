"""What a search tries next: asynchronous successive halving over candidates, and neighbours of the best.

Li et al., A System for Massively Parallel Hyperparameter Tuning (2020): every candidate begins on few rows or
folds; whenever a rung has three times as many candidates as went on from it, its best goes on to the next,
which has more. The best are those that promise most there: errors fall as a power of the rows (Cortes et al.,
Learning Curves, 1993), and what learns slowly from few may be ahead in the end. New settings are drawn from
anywhere, or near the best that are known (as in Wu et al., Frugal Optimization for Cost-related Hyperparameters, 2021).

Nothing here looks at a clock: what is proposed follows from the seed and the results so far, in their order.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from app.training.candidates import Candidate, Settings, Space

# The objective of each fold, higher being better: an error is negated.
Scores = tuple[float, ...]
State = Literal["finished", "stopped early", "failed"]

# Of so many candidates of a rung, one goes on to the next.
HALVING = 3
_LEAST_ROWS = 2000
_GROWTH = 4
_FEW_ROWS = 2500
_SOME_ROWS = 20_000
_FOLDS = 5
_REPEATS = 3
# The chance of drawing anywhere, in any family, rather than near the best of the best families.
_ANYWHERE = 0.25
_FAMILIES_NEAR_THE_BEST = 3
# Errors fall no faster than the rows become more; what takes longer than by the cube of them is not extrapolated.
_STEEPEST_ERROR = 1.0
_STEEPEST_TIME = 3.0


class Rung(NamedTuple):
    """How much a candidate is tried: on at most so many rows of each of the first so many folds."""

    rows: int
    folds: int


def make_rungs(n_rows: int) -> list[Rung]:
    """Return the rungs for so many rows to learn from; the last takes all of them."""
    if n_rows <= _FEW_ROWS:
        # Chance in the choice of the folds is all that tells candidates apart on few rows.
        return [Rung(n_rows, 2), Rung(n_rows, _FOLDS), Rung(n_rows, _FOLDS * _REPEATS)]
    rungs, rows = [], _LEAST_ROWS
    while rows * _GROWTH <= n_rows * 2:
        rungs.append(Rung(rows, 1))
        rows *= _GROWTH
    return [*rungs, Rung(n_rows, 1), *([Rung(n_rows, _FOLDS)] if n_rows <= _SOME_ROWS else [Rung(n_rows, 2)])]


def count_folds(rungs: Sequence[Rung]) -> tuple[int, int]:
    """Return how many folds there are to be, and of how many repeats."""
    most = max(rung.folds for rung in rungs)
    return _FOLDS, max(1, most // _FOLDS)


@dataclass(frozen=True)
class Trial:
    """A candidate to be tried on a rung, by its place among the rungs."""

    candidate: Candidate
    rung: int


@dataclass(frozen=True)
class Result:
    """What came of a trial.

    Attributes
    ----------
    scores: of each fold.
    seconds: how long it took, or would have taken had none of the folds been known.
    why: why it failed or stopped early.
    """

    trial: Trial
    scores: Scores
    seconds: float
    state: State = "finished"
    why: str | None = None

    @property
    def score(self) -> float:
        """The mean over the folds; minus infinity where there is none."""
        return float(np.mean(self.scores)) if self.scores else -np.inf

    @property
    def spread(self) -> float:
        """The standard deviation over the folds."""
        return float(np.std(self.scores)) if self.scores else np.nan


def failed(trial: Trial, why: str, seconds: float = 0.0) -> Result:
    """Return the result of a trial that came to nothing."""
    return Result(trial, (), seconds, "failed", why)


def ranked(results: Iterable[Result]) -> list[Result]:
    """Return results in the order of how far they were tried, then of their scores, the best first."""
    return sorted(results, key=lambda result: (-result.trial.rung, -result.score))


def first_of_each_family(results: Iterable[Result]) -> dict[str, Result]:
    """Return the first result of each family, in their order."""
    firsts: dict[str, Result] = {}
    for result in results:
        firsts.setdefault(result.trial.candidate.family, result)
    return firsts


@dataclass
class Plan:
    """The decisions of a search; :meth:`learn` is told the results in the order in which they were proposed.

    Attributes
    ----------
    spaces: what candidates are drawn from, the cheapest family first.
    rungs: what candidates are tried on, one after another.
    perfect: the score of what is never wrong.
    results: what was learnt, in order.
    """

    spaces: Sequence[Space]
    rungs: Sequence[Rung]
    perfect: float
    seed: int
    results: list[Result] = field(default_factory=list)
    _by_trial: dict[tuple[str, int], Result] = field(default_factory=dict)
    _proposed: int = 0
    _seen: set[tuple[str, int]] = field(default_factory=set)
    _starts: list[Candidate] = field(default_factory=list)
    _keys_of_starts: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Line the families' starts up: the first of each, then the second of each."""
        most = max(len(space.starts) for space in self.spaces)
        self._starts = [
            Candidate(space.family, space.starts[place])
            for place in range(most)
            for space in self.spaces
            if place < len(space.starts)
        ]
        self._keys_of_starts = frozenset(start.key for start in self._starts)

    def learn(self, result: Result) -> None:
        """Take note of the next result."""
        self.results.append(result)
        self._by_trial.setdefault((result.trial.candidate.key, result.trial.rung), result)

    def propose(self) -> Trial | None:
        """Return what to try next; None where nothing new is left."""
        rng = np.random.default_rng([self.seed, self._proposed])
        self._proposed += 1
        for rung in range(len(self.rungs) - 2, -1, -1):
            for result in self._going_on(rung):
                trial = Trial(result.trial.candidate, rung + 1)
                if self._is_new(trial):
                    return trial
        while self._starts:
            trial = Trial(self._starts.pop(0), 0)
            if self._is_new(trial):
                return trial
        for _ in range(20):
            candidate = self._drawn(rng)
            if candidate is None:
                return None
            trial = Trial(candidate, 0)
            if self._is_new(trial):
                return trial
        return None

    def expected_seconds(self, trial: Trial) -> float | None:
        """Return how long a trial should take, from what the rungs below took; None where nothing is known."""
        below = self._result_of(trial, trial.rung - 1)
        if below is None:
            return None
        before, now = self.rungs[trial.rung - 1], self.rungs[trial.rung]
        folds = now.folds - (before.folds if now.rows == before.rows else 0)
        earlier, power = self._result_of(trial, trial.rung - 2), 1.0
        if earlier is not None and earlier.state == "finished":
            steepness = _steepness(self.rungs[trial.rung - 2].rows, before.rows, earlier.seconds, below.seconds)
            power = min(max(steepness, power), _STEEPEST_TIME)
        return float(below.seconds * (now.rows / before.rows) ** power * (folds / before.folds))

    def known_scores(self, trial: Trial) -> Scores:
        """Return the scores of a trial's first folds, where its candidate was tried on as many rows of them."""
        rows = self.rungs[trial.rung].rows
        lower = (
            self._result_of(trial, rung) for rung in range(trial.rung - 1, -1, -1) if self.rungs[rung].rows == rows
        )
        return next((result.scores for result in lower if result and result.state == "finished"), ())

    def at_rung(self, rung: int) -> list[Result]:
        """Return the finished results of a rung, the best first; of equals the earlier."""
        found = [result for result in self.results if result.trial.rung == rung and result.state == "finished"]
        return sorted(found, key=lambda result: -result.score)

    def best(self) -> list[Result]:
        """Return each candidate's furthest result, the best first: by rung, then by score."""
        furthest: dict[str, Result] = {}
        for result in self.results:
            if result.state == "finished":
                known = furthest.get(result.trial.candidate.key)
                if known is None or result.trial.rung > known.trial.rung:
                    furthest[result.trial.candidate.key] = result
        return ranked(furthest.values())

    def _is_new(self, trial: Trial) -> bool:
        key = (trial.candidate.key, trial.rung)
        if key in self._seen:
            return False
        self._seen.add(key)
        return True

    def _going_on(self, rung: int) -> list[Result]:
        """Return who of a rung goes on: the third that promises most and, from the first rung, each family's best.

        Where the next rung has more rows, so do the starts of the leading families: few rows favour what learns
        quickly from them, and more is not known of anything yet.
        """
        found = sorted(self.at_rung(rung), key=lambda result: -self._promised(result))
        going = found[: len(found) // HALVING]
        if rung == 0 and not self._starts:
            firsts = first_of_each_family(found)
            going += [result for result in firsts.values() if result not in going]
            if self.rungs[1].rows > self.rungs[0].rows:
                leading = list(firsts)[:_FAMILIES_NEAR_THE_BEST]
                starts = [result for result in found if result.trial.candidate.key in self._keys_of_starts]
                going += [
                    result for result in starts if result.trial.candidate.family in leading and result not in going
                ]
        return going

    def _promised(self, result: Result) -> float:
        """Return the score that a candidate should have on the next rung; its own where that has no more rows."""
        rung = result.trial.rung
        earlier = self._result_of(result.trial, rung - 1)
        if earlier is None:
            return result.score
        before, now, after = self.rungs[rung - 1].rows, self.rungs[rung].rows, self.rungs[rung + 1].rows
        error = self.perfect - result.score
        power = -_steepness(before, now, self.perfect - earlier.score, error)
        return float(self.perfect - error * (after / now) ** -min(max(power, 0.0), _STEEPEST_ERROR))

    def _result_of(self, trial: Trial, rung: int) -> Result | None:
        """Return what came of a trial's candidate on another rung."""
        return self._by_trial.get((trial.candidate.key, rung))

    def _drawn(self, rng: np.random.Generator) -> Candidate | None:
        """Return settings from anywhere, or near one of the best that are known."""
        spaces = [space for space in self.spaces if space.ranges]
        if not spaces:
            return None
        by_family = first_of_each_family(self.best())
        near = [space for name in by_family for space in spaces if space.family == name][:_FAMILIES_NEAR_THE_BEST]
        if not near or rng.random() < _ANYWHERE:
            space = spaces[int(rng.integers(len(spaces)))]
            return Candidate(space.family, space.draw(rng))
        # The best family has half of the draws, the next a quarter.
        place = min(int(rng.geometric(0.5)) - 1, len(near) - 1)
        space = near[place]
        settings: Settings = by_family[space.family].trial.candidate.settings
        return Candidate(space.family, space.neighbour(settings, rng))


def _steepness(rows: int, more_rows: int, value: float, later: float) -> float:
    """Return the power of the rows by which a positive value has grown; 0 where that cannot be told."""
    if more_rows <= rows or value <= 0 or later <= 0:
        return 0.0
    return math.log(later / value) / math.log(more_rows / rows)
