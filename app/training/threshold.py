"""Where two classes are told apart, by what mistakes cost: chosen on training rows alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.training.calibration import keep_columns
from app.training.errors import TrainingError
from app.training.evaluation import Answers
from app.training.folds import OutOfFold
from app.training.formulas import Classes, Floats
from app.training.metrics import Metric, cost_metric, find_metric
from app.training.problem import Problem, Target

_COSTS = re.compile(r"(\d+(?:\.\d+)?):(\d+(?:\.\d+)?)")
# How many rows of the positive class and of the other are taken for positive, and how many there are, to a measure.
_Measure = Callable[[Floats, Floats, int, int], Floats]


@dataclass(frozen=True)
class Rule:
    """What a threshold is chosen by, with its measure: the more, the better.

    Attributes
    ----------
    costs: of a missed positive, and of a false alarm; None where the rule is none of costs.
    """

    text: str
    measure: _Measure
    costs: tuple[float, float] | None = None

    def objective(self, positive: Any) -> Metric:
        """Return the metric that models with such a threshold are compared by."""
        if self.costs is not None:
            return cost_metric(*self.costs, positive)
        return find_metric("balanced_accuracy" if self.text == "balanced" else "f1", "classification")


@dataclass(frozen=True)
class Threshold:
    """A chosen threshold.

    Attributes
    ----------
    positive: the label that stands for what is looked for.
    value: from which score on a row is taken for positive.
    method: whose scores: ``predict_proba`` or ``decision_function``.
    """

    rule: Rule
    positive: Any
    value: float
    method: str

    @property
    def default(self) -> float:
        """Where scikit-learn would put it."""
        return 0.5 if self.method == "predict_proba" else 0.0

    def wrap(self, model: Any) -> Any:
        """Return a fitted model whose ``predict`` goes by the threshold: scikit-learn's own."""
        from sklearn.model_selection import FixedThresholdClassifier

        wrapped = FixedThresholdClassifier(
            model, threshold=self.value, pos_label=self.positive, response_method=self.method
        )
        return keep_columns(wrapped, model)


def read_rule(text: str) -> Rule:
    """Read what ``--threshold`` was given: ``MISSED:FALSE_ALARM``, ``f1`` or ``balanced``.

    Raises
    ------
    TrainingError
        It is none of these.
    """
    if text == "f1":
        return Rule(text, lambda ones, others, n_ones, n_others: 2 * ones / np.maximum(1, ones + others + n_ones))
    if text == "balanced":
        return Rule(text, lambda ones, others, n_ones, n_others: ones / n_ones - others / n_others)
    found = _COSTS.fullmatch(text)
    if found is None or not all(map(float, found.groups())):
        raise TrainingError(
            f"--threshold {text!r} is none; give what a missed positive and a false alarm cost, as 5:1, "
            "or f1, or balanced"
        )
    missed, false_alarm = map(float, found.groups())
    return Rule(
        text,
        lambda ones, others, n_ones, n_others: -(missed * (n_ones - ones) + false_alarm * others),
        (missed, false_alarm),
    )


def choose_positive(label: str | None, problem: Problem, y: Target) -> Any:
    """Return the class that is looked for: the one written as `label`, else the rarer in `y`, of equal ones the second.

    Raises
    ------
    TrainingError
        There are not two classes, or none is written so.
    """
    classes, counts = np.unique(y, return_counts=True)
    if problem.task == "regression" or len(classes) != 2:  # noqa: PLR2004  # two classes
        found = "is a quantity" if problem.task == "regression" else f"has {len(classes)}"
        raise TrainingError(f"--threshold needs two classes, and the target {problem.target!r} {found}")
    labels = classes.tolist()
    if label is None:
        return labels[0] if counts[0] < counts[1] else labels[1]
    for found in labels:
        if str(found) == label:
            return found
    raise TrainingError(
        f"--positive {label!r} is no class of the target {problem.target!r}; there are {labels[0]} and {labels[1]}"
    )


def choose_threshold(rule: Rule, positive: Any, known: OutOfFold, probabilities: Floats | None) -> Threshold:
    """Choose the threshold that is best on out-of-fold scores; of equal ones that nearest to the default.

    It lies halfway between two scores, so that no row that is known is at it.
    """
    method = "decision_function" if probabilities is None else "predict_proba"
    scores = scores_of(positive, known.classes, known.scores if probabilities is None else probabilities)
    values, group = np.unique(scores, return_inverse=True)
    is_one = known.y == positive
    n_ones, n_others = int(is_one.sum()), int((~is_one).sum())
    # From the lowest score on all are positive, above the highest none.
    ones = n_ones - np.concatenate([[0.0], np.bincount(group, weights=is_one, minlength=len(values)).cumsum()])
    others = n_others - np.concatenate([[0.0], np.bincount(group, weights=~is_one, minlength=len(values)).cumsum()])
    between = (values[:-1] + values[1:]) / 2
    places = np.concatenate(
        [values[:1], np.where(between > values[:-1], between, values[1:]), [np.nextafter(values[-1], np.inf)]]
    )
    measured = rule.measure(ones, others, n_ones, n_others)
    best = np.flatnonzero(measured >= measured.max() - 1e-12 * max(1.0, abs(measured.max())))
    default = Threshold(rule, positive, 0.0, method).default
    nearest = best[np.abs(places[best] - default).argmin()]
    return Threshold(rule, positive, float(places[nearest]), method)


def scores_of(positive: Any, classes: Classes, scores: Floats) -> Floats:
    """Return the scores for the positive class, shape (n,), from probabilities or decisions."""
    second = bool(classes[1] == positive)
    return scores[:, int(second)] if scores.ndim == 2 else scores if second else -scores  # noqa: PLR2004


def describe(threshold: Threshold, y: Target, answers: Answers) -> dict[str, Any]:
    """Return what is told of a threshold, with its mistakes on held-out rows and those of the default.

    A matrix is ``[[right negatives, false alarms], [missed positives, right positives]]``.
    """
    given = answers.scores if answers.probabilities is None else answers.probabilities
    assert given is not None  # noqa: S101  # the threshold was chosen on them
    assert answers.classes is not None  # noqa: S101
    scores = scores_of(threshold.positive, answers.classes, given)
    is_one = y == threshold.positive

    def told(value: float) -> dict[str, Any]:
        taken = scores >= value
        missed, found = int((is_one & ~taken).sum()), int((is_one & taken).sum())
        alarms, passed = int((~is_one & taken).sum()), int((~is_one & ~taken).sum())
        costs = threshold.rule.costs
        return {
            "cost": None if costs is None else costs[0] * missed + costs[1] * alarms,
            "matrix": [[passed, alarms], [missed, found]],
        }

    return {
        "rule": threshold.rule.text,
        "positive": threshold.positive,
        "negative": next(label for label in np.asarray(answers.classes).tolist() if label != threshold.positive),
        "costs": None
        if threshold.rule.costs is None
        else dict(zip(("missed", "false_alarm"), threshold.rule.costs, strict=True)),
        "method": threshold.method,
        "threshold": threshold.value,
        "default": threshold.default,
        "at_default": told(threshold.default),
        "at_chosen": told(threshold.value),
    }


def in_words(told: Mapping[str, Any]) -> str:
    """Say what :func:`describe` tells of a threshold, as it goes on after the positive class's name."""
    of = "probability" if told["method"] == "predict_proba" else "decision"
    rule = {"f1": "F1", "balanced": "balanced accuracy"}.get(told["rule"])
    if told["costs"] is not None:
        costs = told["costs"]
        rule = f"what mistakes cost ({costs['missed']:g} if missed, {costs['false_alarm']:g} for a false alarm)"
    return (
        f"is answered from a {of} of {told['threshold']:.4g} on, not {told['default']:g}; "
        f"chosen by {rule} on training rows left out"
    )
