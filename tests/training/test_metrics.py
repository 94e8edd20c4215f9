"""Each metric is scikit-learn's of the same name, for rows that count any number of times."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn import metrics
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import SVC

from app.training.errors import TrainingError
from app.training.metrics import calibration_error, cost_metric, find_metric, metrics_of

RNG = np.random.default_rng(0)
N = 300
COUNTS = RNG.integers(0, 4, size=N)
LABELS = np.array(["ham", "maybe", "spam"], dtype=object)


def of_classes(k: int) -> tuple[Any, Any, Any, Any]:
    """A target, likely predictions, coarse probabilities (ties) and the classes."""
    classes = LABELS[:k]
    y = classes[RNG.integers(k, size=N)]
    likely = np.round(RNG.dirichlet(np.ones(k), size=N) + (y[:, None] == classes), 1)
    likely /= likely.sum(axis=1, keepdims=True)
    return y, classes[likely.argmax(axis=1)], likely, classes


THEIRS: dict[str, Callable[..., float]] = {
    "accuracy": lambda y, p, q, k, w: metrics.accuracy_score(y, p, sample_weight=w),
    "balanced_accuracy": lambda y, p, q, k, w: metrics.balanced_accuracy_score(y, p, sample_weight=w),
    "precision": lambda y, p, q, k, w: metrics.precision_score(y, p, average="macro", sample_weight=w),
    "recall": lambda y, p, q, k, w: metrics.recall_score(y, p, average="macro", sample_weight=w),
    "f1": lambda y, p, q, k, w: metrics.f1_score(y, p, average="macro", sample_weight=w),
    "roc_auc": lambda y, p, q, k, w: np.mean(
        [metrics.roc_auc_score(y == one, q[:, i], sample_weight=w) for i, one in enumerate(k)]
    ),
    "average_precision": lambda y, p, q, k, w: np.mean(
        [metrics.average_precision_score(y == one, q[:, i], sample_weight=w) for i, one in enumerate(k)][len(k) == 2 :]
    ),
    "log_loss": lambda y, p, q, k, w: metrics.log_loss(y, q, labels=k, sample_weight=w),
    "brier": lambda y, p, q, k, w: (
        metrics.brier_score_loss(y == k[1], q[:, 1], sample_weight=w)
        if len(k) == 2
        else metrics.brier_score_loss(y, q, labels=k, sample_weight=w)
    ),
    "rmse": lambda y, p, w: metrics.root_mean_squared_error(y, p, sample_weight=w),
    "mse": lambda y, p, w: metrics.mean_squared_error(y, p, sample_weight=w),
    "mae": lambda y, p, w: metrics.mean_absolute_error(y, p, sample_weight=w),
    "r2": lambda y, p, w: metrics.r2_score(y, p, sample_weight=w),
    "mape": lambda y, p, w: metrics.mean_absolute_percentage_error(y, p, sample_weight=w),
}


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", metrics_of("classification"))
def test_a_metric_of_classes_is_scikit_learns(name: str, n_classes: int) -> None:
    y, predicted, likely, classes = of_classes(n_classes)
    metric = find_metric(name, "classification")
    given = predicted if metric.needs == "predictions" else likely
    once, counted = metric.over(y, given, classes)(np.stack([np.ones(N), COUNTS], axis=1))
    assert once == pytest.approx(THEIRS[name](y, predicted, likely, classes, None))
    assert counted == pytest.approx(THEIRS[name](y, predicted, likely, classes, COUNTS))
    assert metric.from_answers(y, given, classes) == pytest.approx(once)


@pytest.mark.parametrize("name", metrics_of("regression"))
def test_a_metric_of_quantities_is_scikit_learns(name: str) -> None:
    y = RNG.normal(1000, 3, size=N)
    predicted = y + RNG.normal(size=N)
    once, counted = find_metric(name, "regression").over(y, predicted, None)(np.stack([np.ones(N), COUNTS], axis=1))
    assert once == pytest.approx(THEIRS[name](y, predicted, None))
    assert counted == pytest.approx(THEIRS[name](y, predicted, COUNTS))


@pytest.mark.parametrize("name", ["roc_auc", "average_precision"])
def test_decisions_rank_where_there_are_no_probabilities(name: str) -> None:
    y, _, _, _ = of_classes(3)
    X = RNG.normal(size=(N, 2)) + (y == "spam")[:, None]
    metric = find_metric(name, "classification")
    assert metric.of(SVC().fit(X, y), X, y) == pytest.approx(
        THEIRS[name](y, None, SVC().fit(X, y).decision_function(X), LABELS, None)
    )
    two = SVC().fit(X, y == "spam")
    theirs = metrics.roc_auc_score if name == "roc_auc" else metrics.average_precision_score
    assert metric.of(two, X, y == "spam") == pytest.approx(theirs(y == "spam", two.decision_function(X)))


def test_probabilities_that_are_not_there_are_missed_in_one_line() -> None:
    with pytest.raises(TrainingError, match="log_loss needs probabilities, and this model gives none; add --calibrate"):
        find_metric("log_loss", "classification").check(SVC())


@pytest.mark.parametrize("name", ["roc_auc", "log_loss", "brier"])
def test_a_class_that_the_model_does_not_know_leaves_a_metric_undefined(name: str) -> None:
    X, y = RNG.normal(size=(9, 2)), np.array([0, 1, 2] * 3)
    model = GaussianNB().fit(X[y < 2], y[y < 2])
    assert math.isnan(find_metric(name, "classification").of(model, X, y))


def test_a_cost_counts_both_mistakes() -> None:
    y, predicted = np.array([1, 1, 1, 0, 0]), np.array([0, 1, 1, 1, 1])
    assert cost_metric(5, 1, positive=1).from_answers(y, predicted, None) == (5 + 2 * 1) / 5
    assert cost_metric(5, 1, positive=0).from_answers(y, predicted, None) == (2 * 5 + 1) / 5


def test_answers_of_another_shape_than_the_target_are_refused() -> None:
    metric = find_metric("rmse", "regression")
    assert metric.from_answers(np.zeros(3), np.ones((3, 1)), None) == 1.0
    with pytest.raises(ValueError, match=r"its answers have the shape \(3,\), and the target has \(4,\)"):
        metric.from_answers(np.zeros(4), np.zeros(3), None)


def test_the_calibration_error_is_how_far_confidence_is_from_being_right() -> None:
    classes = np.array([0, 1])
    likely = np.tile([0.1, 0.9], (10, 1))
    assert calibration_error(np.array([1] * 9 + [0]), likely, classes) == pytest.approx(0.0)
    assert calibration_error(np.array([1] * 5 + [0] * 5), likely, classes) == pytest.approx(0.4)
