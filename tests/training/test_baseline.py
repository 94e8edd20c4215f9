"""A model is to be better than one that ignores the features, and by more than chance."""

from __future__ import annotations

import numpy as np
import pytest

from app.training.baseline import ask_baseline, find_doubt
from app.training.evaluation import Answers, evaluate
from app.training.metrics import find_metric

ACCURACY = find_metric("accuracy", "classification")
LABELS = np.array(["no"] * 80 + ["yes"] * 20)


def with_right(count: int) -> Answers:
    """Answers that find so many of the rare class, and are right about every other row."""
    return Answers(np.array(["no"] * 80 + ["yes"] * count + ["no"] * (20 - count)))


def test_the_baseline_ignores_the_features() -> None:
    labels = ask_baseline(np.array(["a", "a", "b"]), 2, "classification")
    assert evaluate(labels, np.array(["a", "b"]), "classification")["accuracy"] == 0.5
    numbers = ask_baseline(np.array([1.0, 3.0]), 2, "regression")
    assert evaluate(numbers, np.array([2.0, 4.0]), "regression")["mse"] == 2.0


@pytest.mark.parametrize(
    # One row of 100 is drawn at all in 63 % of the resamplings.
    ("right", "doubt"),
    [
        (0, "accuracy 0.8 is no better than the baseline's 0.8: better in 0.0% of 2,000 resamplings"),
        (1, "accuracy 0.81 may be better by chance alone than the baseline's 0.8: better in 63."),
    ],
)
def test_a_model_that_chance_may_have_put_before_the_baseline_is_doubted(right: int, doubt: str) -> None:
    told = find_doubt(ACCURACY, LABELS, with_right(right), ask_baseline(LABELS, 100, "classification"))
    assert told is not None
    assert told.startswith(doubt)


def test_a_model_that_is_better_is_not_doubted() -> None:
    assert find_doubt(ACCURACY, LABELS, with_right(10), ask_baseline(LABELS, 100, "classification")) is None


def test_where_less_is_better_a_lower_error_is_no_doubt() -> None:
    y = np.arange(50.0)
    metric, baseline = find_metric("rmse", "regression"), ask_baseline(y, 50, "regression")
    assert find_doubt(metric, y, Answers(y + 1), baseline) is None
    assert find_doubt(metric, y, Answers(y + 100), baseline) is not None
