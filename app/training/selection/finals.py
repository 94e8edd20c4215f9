"""The finalists: fitted on all training rows, measured as they would be served, and the choice among them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from app import store
from app.training.candidates import BLEND, Candidate
from app.training.errors import first_line
from app.training.problem import Problem, Rows
from app.training.selection.plan import Result
from app.training.selection.trying import Fitted
from app.training.selection.wish import Limits

FINALISTS = 6
BLENDED = 3
_SAMPLE_ROWS = 256
# What one busy core draws beyond an idle one, in watts: servers' processors take 100 to 300 W for 8 to 64 cores.
WATTS_PER_CORE = 8.0
# Finalists closer to the best than this share of a standard error are as good: the cheaper family is taken.
_AS_GOOD = 0.1


@dataclass(frozen=True)
class Finalist:
    """A candidate with its scores on the folds and what it costs to serve.

    Attributes
    ----------
    result: the furthest that it was tried.
    latency_one, latency_many: milliseconds for one row and for :data:`app.store.costing.MANY`.
    engine: the form that answers one row.
    size: megabytes of the joblib file.
    refused: why it is not within the limits, or could not be fitted or measured.
    """

    result: Result
    path: Path
    fitted: Fitted
    latency_one: float = math.nan
    latency_many: float = math.nan
    engine: str = ""
    size: float = math.nan
    refused: str | None = None

    @property
    def candidate(self) -> Candidate:
        """What was fitted."""
        return self.result.trial.candidate

    @property
    def score(self) -> float:
        """The mean over the folds, higher being better."""
        return self.result.score

    def load(self) -> Any:
        """Return the fitted pipeline, from the file that this training has just written."""
        return joblib.load(self.path)


def choose_finalists(best: Sequence[Result]) -> list[Result]:
    """Return the best of each leading family, and the leading family's second best; `best` has the best first.

    The dummy is among them only where there is nothing else.
    """
    firsts: dict[str, Result] = {}
    second: list[Result] = []
    for result in best:
        family = result.trial.candidate.family
        if family != "dummy" and firsts.setdefault(family, result) is not result and not second:
            second = [result]
    found = [*list(firsts.values())[: FINALISTS - len(second)], *second]
    # The order of `best`: where time is short, the best are fitted first.
    return [result for result in best if result in found] or list(best[:1])


def blend_of(best: Sequence[Result], spaces: Sequence[str]) -> Candidate | None:
    """Return the blend of the best of the leading families; None where there are fewer than two."""
    members: dict[str, Candidate] = {}
    for result in best:
        candidate = result.trial.candidate
        if candidate.family in spaces and candidate.family not in members:
            members[candidate.family] = candidate
    chosen = tuple(members.values())[:BLENDED]
    return Candidate(BLEND, {}, chosen) if len(chosen) > 1 else None


def measure(finalist: Finalist, X: Rows, problem: Problem, limits: Limits) -> Finalist:
    """Return the finalist with what it costs to serve, refused where that is beyond the limits."""
    if finalist.fitted.why is not None:
        return replace(finalist, refused=finalist.fitted.why)
    size = finalist.path.stat().st_size / 1e6
    try:
        cost = store.serving_cost(finalist.load(), X[:_SAMPLE_ROWS], problem.feature_names)
    except Exception as fault:  # whatever an estimator raises, the others are not to suffer
        return replace(finalist, size=size, refused=f"gives no answers: {first_line(fault)}")
    found = replace(finalist, latency_one=cost.one * 1e3, latency_many=cost.many * 1e3, engine=cost.engine, size=size)
    return replace(found, refused=limits.why_beyond(found.latency_one, found.size))


def choose(finalists: Sequence[Finalist], families: Sequence[str]) -> Finalist | None:
    """Return the best within the limits; of those that chance alone may have put behind it, the cheapest to serve.

    Only those that were tried as far as any are compared: scores on fewer rows are not theirs to compare with.
    The order of `families` tells what is cheap, not the latency that was measured: the same search is to choose
    the same model again.
    """
    within = [finalist for finalist in finalists if finalist.refused is None]
    if not within:
        return None
    furthest = max(finalist.result.trial.rung for finalist in within)
    within = [finalist for finalist in within if finalist.result.trial.rung == furthest]
    best = max(within, key=lambda finalist: finalist.score)
    as_good = [finalist for finalist in within if _is_as_good(finalist, best)]
    ranks = {family: rank for rank, family in enumerate(families)}
    return min(as_good, key=lambda finalist: (ranks.get(finalist.candidate.family, len(ranks)), -finalist.score))


def _is_as_good(finalist: Finalist, best: Finalist) -> bool:
    """Tell whether the folds' paired differences say next to nothing against a finalist."""
    if finalist is best:
        return True
    ours, theirs = finalist.result.scores, best.result.scores
    count = min(len(ours), len(theirs))
    if count < 2:  # noqa: PLR2004  # no spread
        return False
    apart = np.subtract(theirs[:count], ours[:count])
    error = float(apart.std(ddof=1)) / math.sqrt(count)
    return float(apart.mean()) <= _AS_GOOD * error


def on_frontier(finalist: Finalist, others: Sequence[Finalist]) -> bool:
    """Tell whether no other is at least as good in score, latency and size, and better in one."""
    ours = (-finalist.score, finalist.latency_one, finalist.size)
    for other in others:
        theirs = (-other.score, other.latency_one, other.size)
        if other is not finalist and theirs != ours and all(t <= o for t, o in zip(theirs, ours, strict=True)):
            return False
    return not math.isnan(finalist.latency_one)
