"""Making the chosen model smaller and quicker, as long as it stays as good."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from app.training.candidates import WEIGHTS, Candidate
from app.training.problem import Problem
from app.training.selection.finalists import Finalist, measure
from app.training.selection.plan import Result, Trial
from app.training.selection.wish import Watcher, Wish
from app.training.selection.workshop import Workshop
from app.training.split import Split

_SHARES = (0.5, 0.5, 0.5)
_PRUNING = (1e-4, 1e-3, 3e-3)
_KEPT_VARIANCE = (0.99, 0.95, 0.9)
# A model must become smaller, or quicker, by this share.
_WORTH = 0.05


@dataclass(frozen=True)
class Step:
    """One way to make a model smaller; of steps with the same `kind` the next is tried only if this was accepted."""

    kind: str
    title: str
    of: Callable[[Candidate], Candidate]


def steps_for(candidate: Candidate, problem: Problem) -> Iterator[Step]:
    """Yield what may make a candidate's model smaller, each building on those before it that were accepted.

    Of a blend, what may make its members' smaller.
    """
    for place, member in enumerate(candidate.members):
        for step in steps_for(member, problem):
            yield Step(f"{place} {step.kind}", f"{member.family}: {step.title}", _within(place, step))
    if candidate.family in ("forest", "extra-trees"):
        yield from (Step("trees", "half the trees", _scaled("n_estimators", share, 100)) for share in _SHARES)
        yield from (
            Step("pruning", f"cost-complexity pruning at {alpha:g}", _set("ccp_alpha", alpha)) for alpha in _PRUNING
        )
    elif candidate.family == "tree":
        yield from (
            Step("pruning", f"cost-complexity pruning at {alpha:g}", _set("ccp_alpha", alpha)) for alpha in _PRUNING
        )
    elif candidate.family == "boosting":
        yield from (Step("trees", "half the trees", _scaled("max_iter", share, 100)) for share in _SHARES)
        yield from (Step("leaves", "half the leaves", _scaled("max_leaf_nodes", share, 31)) for share in _SHARES)
    elif candidate.family == "mlp":
        yield from (Step("width", "half the width", _scaled("width", share, 100)) for share in _SHARES)
        if problem.container != "texts":
            yield from (
                Step("components", f"principal components of {share:.0%} of the variance", _set("components", share))
                for share in _KEPT_VARIANCE
            )
        yield Step("weights", "weights of float32 in the file", _set(WEIGHTS, "float32"))
        yield Step("weights", "weights of int8 in the file", _set(WEIGHTS, "int8"))


def _within(place: int, step: Step) -> Callable[[Candidate], Candidate]:
    """Return what takes a step with one of a blend's members."""

    def change(blend: Candidate) -> Candidate:
        members = list(blend.members)
        members[place] = step.of(members[place])
        return replace(blend, members=tuple(members))

    return change


def _scaled(name: str, share: float, usual: int) -> Callable[[Candidate], Candidate]:
    return lambda candidate: _set(name, max(2, round(candidate.settings.get(name, usual) * share)))(candidate)


def _set(name: str, value: Any) -> Callable[[Candidate], Candidate]:
    return lambda candidate: replace(candidate, settings={**candidate.settings, name: value})


@dataclass(frozen=True)
class Shrinking:
    """What came of making a finalist smaller: the one to be saved, and each step, as JSON values for a report.

    There are no steps where the estimator has no smaller form.
    """

    finalist: Finalist
    told: list[dict[str, Any]] = field(default_factory=list)


def shrink(  # noqa: PLR0913, PLR0917  # what it works with
    winner: Finalist, problem: Problem, split: Split, wish: Wish, workshop: Workshop, watcher: Watcher
) -> Shrinking:
    """Try the steps one after another on the folds that the winner was chosen by.

    A step is accepted where the metric is at most ``wish.max_loss`` behind the winner's own, and the model is
    smaller or quicker than without it. The held-out rows have no say.
    """
    most = wish.metric.loss_allowed(winner.score, wish.max_loss or 0.0)
    now, told = winner, []
    refused: set[str] = set()
    for step in steps_for(winner.candidate, problem):
        if step.kind in refused:
            continue
        result = workshop.attempt(Trial(step.of(now.candidate), winner.result.trial.rung))
        after = None
        why = result.why or ""
        if result.state == "finished":
            loss = winner.score - result.score
            if loss > most:
                why = f"{wish.metric.name} loses {loss:.4g}, more than {most:.4g}"
            else:
                after = measure(workshop.fit(result), split.X_train, problem, wish.limits)
                why = after.refused or _why_no_gain(now, after)
        told.append(_told(step, now, result, after, why, wish))
        watcher.shrunk(step.title, why)
        if why or after is None:
            refused.add(step.kind)
        else:
            now = after
    return Shrinking(now, told)


def _why_no_gain(before: Finalist, after: Finalist) -> str:
    smaller = after.size < before.size * (1 - _WORTH)
    quicker = after.latency_one < before.latency_one * (1 - _WORTH)
    return "" if smaller or quicker else "neither smaller nor quicker"


def _told(  # noqa: PLR0913, PLR0917  # what a line of the report says
    step: Step, before: Finalist, result: Result, after: Finalist | None, why: str, wish: Wish
) -> dict[str, Any]:
    sign = 1 if wish.metric.higher_is_better else -1
    return {
        "step": step.title,
        "metric_before": sign * before.score,
        "metric_after": sign * result.score if result.scores else None,
        "latency_before_ms": before.latency_one,
        "latency_after_ms": after.latency_one if after else None,
        "size_before_mb": before.size,
        "size_after_mb": after.size if after else None,
        "accepted": not why,
        "why": why or "as good, and smaller or quicker",
    }
