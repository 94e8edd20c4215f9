"""The finalists: what each costs to serve, and the choice among them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from app import store
from app.training.candidates import Candidate
from app.training.errors import first_line
from app.training.problem import Problem, Rows
from app.training.selection.plan import Result, Rung
from app.training.selection.trying import Fitted
from app.training.selection.wish import Limits

_SAMPLE_ROWS = 256
# What one busy core draws beyond an idle one, in watts: servers' processors take 100 to 300 W for 8 to 64 cores.
WATTS_PER_CORE = 8.0
# Families that are fitted on many cores, and what each core beyond the first adds to the speed.
_ON_MANY_CORES = {"forest", "extra-trees", "boosting"}
_SPEEDUP = 0.6
# So many spreads behind, a candidate will not be ahead on other folds.
_HOPELESS = 4.0
# With an error larger by such a share, a candidate is no help in a blend.
_NO_HELP = 0.25
# Finalists closer to the best than this share of a standard error are as good: the cheaper family is taken.
_AS_GOOD = 0.05
# The best of many candidates owes its lead to chance in part, a blend of the best does not: up to so many standard
# errors behind, the blend is taken. (Passengers of the Titanic, eight divisions: area under the ROC curve on held-out
# rows 0.8725, and 0.8644 of what was best on the folds.)
_FLATTERED = 1.0
# Rows to validate on for each to learn from, in five folds.
_VALIDATED = 0.25


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


def seconds_to_fit(result: Result, rungs: Sequence[Rung], n_rows: int, jobs: int) -> float:
    """Return how long fitting a candidate on so many rows should take with every core.

    By what a fold took while `jobs` of them were tried side by side.
    """
    alone = result.seconds / len(result.scores) * n_rows / rungs[result.trial.rung].rows
    candidate = result.trial.candidate
    families = {member.family for member in candidate.members or (candidate,)}
    return alone / (1 + _SPEEDUP * (jobs - 1)) if families <= _ON_MANY_CORES else alone


def promise(result: Result, leader: Result) -> float:
    """Return by how much a result is ahead of the leader's on the folds that both were tried on.

    What was not tried as far as the leader has to be ahead by more than the leader's spread over the folds to be
    ahead at all: of many that were tried on little, chance puts one in front.
    """
    if result.trial.rung >= leader.trial.rung:
        return _lead(result, leader)
    return _lead(result, leader) - leader.spread if len(leader.scores) > 1 else -math.inf


def is_within_reach(result: Result, leader: Result) -> bool:
    """Tell whether a result is not so far behind the leader's that more folds would hardly change that."""
    return len(leader.scores) == 1 or _lead(result, leader) >= -_HOPELESS * leader.spread


def may_help(result: Result, leader: Result, perfect: float) -> bool:
    """Tell whether a result is near enough to the leader's for a blend of both; `perfect` is the score without error.

    What is within reach is. So is what errs little more: a few folds may agree by chance, and then nothing is in reach.
    """
    return is_within_reach(result, leader) or _lead(result, leader) >= -_NO_HELP * (perfect - leader.score)


def _lead(result: Result, other: Result) -> float:
    count = min(len(result.scores), len(other.scores))
    return float(np.mean(result.scores[:count]) - np.mean(other.scores[:count]))


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


def choose(finalists: Sequence[Finalist], families: Sequence[str], resolution: float = 0.0) -> Finalist | None:
    """Return the best within the limits; of those that chance alone may have put behind it, a blend, or the cheapest.

    The best is the first of those that were tried furthest, unless one that was tried less has more :func:`promise`.
    The order of `families` tells what is cheap, not the latency that was measured: the same search is to choose the
    same model again. `resolution` is a difference of scores that one row may make: no standard error is smaller.
    """
    within = [finalist for finalist in finalists if finalist.refused is None]
    if not within:
        return None
    leader = max(within, key=lambda finalist: (finalist.result.trial.rung, finalist.score)).result
    best = max(within, key=lambda finalist: promise(finalist.result, leader))
    blend = next((finalist for finalist in within if finalist.candidate.members), None)
    if blend is not None and _errors_behind(blend, best, resolution) <= _FLATTERED:
        return blend
    as_good = [finalist for finalist in within if _errors_behind(finalist, best, resolution) <= _AS_GOOD]
    ranks = {family: rank for rank, family in enumerate(families)}
    return min(as_good, key=lambda finalist: (ranks.get(finalist.candidate.family, len(ranks)), -finalist.score))


def _errors_behind(finalist: Finalist, best: Finalist, resolution: float) -> float:
    """Return by how many standard errors of the folds' paired differences a finalist is behind one tried as far.

    Folds share their rows to learn from; the error is corrected for that (Nadeau and Bengio, Inference for the
    Generalization Error, 2003). Infinite where it was not tried as far, or without a spread.
    """
    if finalist is best:
        return 0.0
    ours, theirs = finalist.result, best.result
    count = min(len(ours.scores), len(theirs.scores))
    if ours.trial.rung != theirs.trial.rung or count < 2:  # noqa: PLR2004  # no spread
        return math.inf
    apart = np.subtract(theirs.scores[:count], ours.scores[:count])
    error = max(float(apart.std(ddof=1)) * math.sqrt(1 / count + _VALIDATED), resolution)
    behind = float(apart.mean())
    return behind / error if error > 0 else math.inf * behind if behind else 0.0


def why_not_chosen(finalist: Finalist, chosen: Finalist) -> str | None:
    """Say why a finalist is not the one that :func:`choose` has chosen; None of that one."""
    if finalist is chosen or finalist.refused is not None:
        return finalist.refused
    ours, theirs = finalist.result, chosen.result
    lead, count = _lead(ours, theirs), min(len(ours.scores), len(theirs.scores))
    on_folds = "" if ours.trial.rung == theirs.trial.rung else f" on {count} fold{'s' * (count > 1)}"
    if lead < 0:
        return f"{-lead:.2g} behind{on_folds}"
    ahead = f"{lead:.2g} ahead" if lead > 0 else "as good"
    if on_folds:
        return f"{ahead}{on_folds}, which may be chance: their spread is {theirs.spread:.2g}"
    if chosen.candidate.members:
        return f"{ahead}, as the best of many may be by chance"
    if finalist.candidate.family == chosen.candidate.family:
        return ahead
    return f"{ahead}, but of a dearer family than {chosen.candidate.family}"


def on_frontier(finalist: Finalist, others: Sequence[Finalist]) -> bool:
    """Tell whether no other is at least as good in score, latency and size, and better in one."""
    ours = (-finalist.score, finalist.latency_one, finalist.size)
    for other in others:
        theirs = (-other.score, other.latency_one, other.size)
        if other is not finalist and theirs != ours and all(t <= o for t, o in zip(theirs, ours, strict=True)):
            return False
    return not math.isnan(finalist.latency_one)
