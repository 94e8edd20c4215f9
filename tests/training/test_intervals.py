"""Intervals hold the truth about as often as they say."""

from __future__ import annotations

import numpy as np
import pytest

from app.training.intervals import find_interval, share_of_worse
from app.training.metrics import find_metric

ROWS, TIMES = 80, 200


def covered(name: str, truth: float, seed: int = 0) -> float:
    """In which share of samples from a known population the interval holds the metric's true value."""
    rng = np.random.default_rng(seed)
    task = "regression" if name in ("rmse", "mae") else "classification"
    metric = find_metric(name, task)
    held = 0
    for _ in range(TIMES):
        if task == "regression":
            y, answers, classes = rng.normal(size=ROWS), np.zeros(ROWS), None
        else:
            y, classes = rng.integers(2, size=ROWS), np.array([0, 1])
            # Scores of the two classes lie one deviation apart; 0.5 halves them.
            scores = rng.normal(size=ROWS) + y
            answers = (scores > 0.5).astype(int) if metric.needs == "predictions" else scores
        found = find_interval(metric, y, answers, classes, metric.from_answers(y, answers, classes))
        assert found is not None
        held += found[0] <= truth <= found[1]
    return held / TIMES


@pytest.mark.parametrize(
    ("name", "truth"),
    # Normal deviates: P(Z < 0.5), P(Z < 1 / sqrt(2)), 1, and sqrt(2 / pi).
    [("accuracy", 0.69146), ("balanced_accuracy", 0.69146), ("roc_auc", 0.76025), ("rmse", 1.0), ("mae", 0.79788)],
)
def test_intervals_hold_the_truth_about_as_often_as_they_say(name: str, truth: float) -> None:
    # 95 % of 200, give or take three deviations of 1.5 %; percentiles of 80 rows are a little narrow.
    assert 0.895 <= covered(name, truth) <= 0.995


def test_a_share_of_rows_has_an_interval_where_all_are_right_and_what_is_resampled_has_none() -> None:
    y = np.tile([0, 1], 15)
    low, high = find_interval(find_metric("accuracy", "classification"), y, y, None, 1.0) or (0.0, 0.0)
    assert (low, high) == (pytest.approx(0.8865, abs=1e-4), pytest.approx(1.0))
    assert find_interval(find_metric("f1", "classification"), y, y, None, 1.0) is None


def test_a_class_of_very_few_rows_leaves_the_interval_out() -> None:
    y, scores = np.array([1] + [0] * 50), np.arange(51.0)
    metric = find_metric("roc_auc", "classification")
    assert find_interval(metric, y, scores, np.array([0, 1]), 0.0) is None


def test_very_many_rows_are_resampled_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.training.intervals._MOST_DRAWN", 10_000)
    metric = find_metric("rmse", "regression")
    for rows, drawn in ((50, 200), (10_000, 100), (4, 1000)):
        y = np.zeros(rows)
        formula = metric.over(y, np.ones_like(y), None)
        assert share_of_worse(metric, formula, formula, rows, 1000) == (0.0, drawn)
