"""How far metrics may be off by the chance of which rows were held out: resamplings of those rows.

As many rows as there are, are drawn from the held-out ones, and the metric is taken of each such draw: the bootstrap
of Efron and Tibshirani, An Introduction to the Bootstrap, 1993. Its percentiles are the ends of the interval: they
stay within a metric's range and are the same for a metric and for its square. BCa would correct their bias, which
is of the second order, at the price of the metric without each of the rows, one by one.

A share of rows has Wilson's interval instead (JASA 1927), which holds for few rows, and where all are right:
resampling says nothing there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from app.training.formulas import Classes, Floats, Formula
from app.training.metrics import Metric
from app.training.problem import Target

Interval = tuple[float, float]

RESAMPLINGS = 1000
LEVEL = 0.95
# The normal deviate that 95 % are within.
_WITHIN = 1.959963984540054
# Of very many rows fewer resamplings are enough time and, each being near the whole, nearly as good.
_MOST_DRAWN = 60_000_000
_FEWEST = 100
# So many rows at a time bound the memory: 8 MiB for each array of theirs.
_AT_ONCE = 1_000_000
# Where a class is so rare that more resamplings than this lack it, there is no interval.
_MOST_UNDEFINED = 0.05


def find_interval(
    metric: Metric, y: Target, answers: npt.NDArray[Any], classes: Classes | None, value: float
) -> Interval | None:
    """Return the ends of a metric's 95 % confidence interval; None where resampling cannot tell.

    That is so where all resamplings are alike, as those of rows that are all labelled rightly, or where too many lack
    a class that the metric needs.
    """
    if metric.is_share:
        return _wilson(value, len(y))
    # What is computed for each class takes so many times longer.
    columns = 1 if answers.ndim == 1 else answers.shape[1]
    values = resample(metric.over(y, answers, classes), len(y), _number(len(y) * columns, RESAMPLINGS))
    values = values[np.isfinite(values)]
    if len(values) < (1 - _MOST_UNDEFINED) * _number(len(y) * columns, RESAMPLINGS):
        return None
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return (low, high) if low < high else None


def share_of_worse(metric: Metric, ours: Formula, theirs: Formula, n_rows: int, most: int) -> tuple[float, int]:
    """Return in which share of resamplings our metric is the worse one, and how many resamplings there were.

    Paired: the same rows are drawn for both. Those that do not define the metric are left out.
    """

    def apart(weights: Floats) -> Floats:
        gain = ours(weights) - theirs(weights)
        return gain if metric.higher_is_better else -gain

    gains = resample(apart, n_rows, _number(n_rows, most))
    gains = gains[np.isfinite(gains)]
    return float((gains < 0).mean()) if len(gains) else 1.0, len(gains)


def resample(formula: Formula, n_rows: int, count: int) -> Floats:
    """Return a formula's values for `count` resamplings of `n_rows` rows, the same ones each time, shape (count,)."""
    return np.concatenate([formula(weights) for weights in _draws(n_rows, count)])


def _draws(n_rows: int, count: int) -> Iterator[Floats]:
    """Yield how often each row was drawn, shape (n_rows, some), some resamplings at a time."""
    random = np.random.default_rng(0)
    some = max(1, _AT_ONCE // n_rows)
    for begin in range(0, count, some):
        size = min(some, count - begin)
        drawn = random.integers(n_rows, size=(n_rows, size)) * size + np.arange(size)
        yield np.bincount(drawn.ravel(), minlength=n_rows * size).reshape(n_rows, size).astype(np.float64)


def _number(drawn_each: int, most: int) -> int:
    return max(_FEWEST, min(most, _MOST_DRAWN // drawn_each))


def _wilson(share: float, n_rows: int) -> Interval:
    spread = _WITHIN**2 / n_rows
    middle = (share + spread / 2) / (1 + spread)
    half = np.sqrt(spread * (share * (1 - share) + spread / 4)) / (1 + spread)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))
