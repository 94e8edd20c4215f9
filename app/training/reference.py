"""What the training rows looked like, column by column, and the answers: what drift is measured against.

Of bounded size, whatever the data: a histogram has at most 20 bins, a column at most 20 categories.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api import types

from app.training.evaluation import Answers
from app.training.problem import Problem, Rows

Statistics = dict[str, dict[str, Any]]

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_ROWS_FOR_QUANTILES = 10_000
_MOST_CATEGORIES = 20
_LONGEST_CATEGORY = 200
_MOST_BINS = 20
# Very wide data has few bins for each column, so that a manifest stays small.
_FEWEST_BINS, _BINS_TOGETHER = 5, 5000
_DIGITS = 6


def summarise_columns(X: Rows, problem: Problem) -> Statistics:
    """Return statistics of each feature of training rows `X`, as JSON values.

    All have ``count`` (present values) and ``missing``. Numbers: mean, std, min, max, quantiles and a histogram.
    Categories and booleans: how often each of the most frequent occurs, and how many distinct
    there are. Dates: min, max and a histogram of seconds since 1970. Texts: mean, greatest and a histogram of
    lengths in characters. Histograms: see :func:`_histogram`.
    """
    if isinstance(X, list):
        return {problem.columns.names[0]: _texts(pd.Series(X, dtype="str"))}
    if isinstance(X, np.ndarray):
        bins = _bins_of_each(len(problem.columns.names))
        return {name: _numbers(X[:, index], bins) for index, name in enumerate(problem.columns.names)}
    texts = problem.columns.of("text")
    bins = _bins_of_each(sum(_is_number(X[name]) for name in X))
    return {str(name): _column(X[name], bins, is_text=name in texts) for name in X}


def summarise_predictions(answers: Answers) -> dict[str, Any]:
    """Return the distribution of a model's answers for held-out rows, as JSON values.

    Of classes: the share of each of the most frequent labels, and a histogram of the likeliest one's probability,
    where there are any. Of quantities: mean, std, min, max, quantiles and a histogram.
    """
    count = len(answers.predictions)
    if answers.classes is None:
        return {"count": count} | spread(answers.predictions.ravel().astype(np.float64), _MOST_BINS)
    most = _frequencies(pd.Series(answers.predictions.tolist(), dtype="object")).head(_MOST_CATEGORIES)
    found: dict[str, Any] = {"count": count, "shares": {label: _short(n / count) for label, n in most.items()}}
    if answers.probabilities is not None:
        found["confidence"] = _histogram(answers.probabilities.max(axis=1), _MOST_BINS)
    return found


def _is_number(column: pd.Series[Any]) -> bool:
    return types.is_numeric_dtype(column.dtype) and not types.is_bool_dtype(column.dtype)


def _column(column: pd.Series[Any], bins: int, *, is_text: bool) -> dict[str, Any]:
    if _is_number(column):
        return _numbers(column.to_numpy(dtype=np.float64, na_value=np.nan), bins)
    return _texts(column) if is_text else _other(column)


def _bins_of_each(columns: int) -> int:
    return min(_MOST_BINS, max(_FEWEST_BINS, _BINS_TOGETHER // max(1, columns)))


def _numbers(column: npt.NDArray[np.float64], bins: int) -> dict[str, Any]:
    missing = np.isnan(column)
    values = column[~missing] if missing.any() else column
    found = {"count": len(values), "missing": len(column) - len(values)}
    return found | spread(values, bins) if len(values) else found


def spread(values: npt.NDArray[np.float64], bins: int = _MOST_BINS) -> dict[str, Any]:
    """Return the mean, std, min, max, quantiles and a histogram of numbers in no particular order."""
    quantiles = np.quantile(_some(values), _QUANTILES)
    with np.errstate(over="ignore", invalid="ignore"):
        whole = {"mean": values.mean(), "std": values.std(), "min": values.min(), "max": values.max()}
    return {name: _short(value) for name, value in whole.items() if np.isfinite(value)} | {
        "quantiles": {f"{share:g}": _short(value) for share, value in zip(_QUANTILES, quantiles, strict=True)},
        "histogram": _histogram(values, bins),
    }


def _histogram(values: npt.NDArray[np.float64], bins: int) -> dict[str, list[float]]:
    """Return at most so many bins that hold about as many values each, and the share of the values in each.

    ``edges`` are those between bins, one fewer than ``shares``: the first bin reaches down, and the last up, without
    end; a value at an edge is in the bin below it. So each of few distinct values has a bin of its own.
    """
    some = np.unique(_some(values), equal_nan=False)
    if len(some) > bins:
        some = np.quantile(_some(values), np.linspace(0, 1, bins + 1)[1:-1], method="lower")
    # What is rounded may no longer be apart; nothing is above the greatest.
    edges = np.unique([_short(edge) for edge in some[np.isfinite(some)].tolist()])
    edges = edges[edges < values.max()]
    counts = np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1)
    return {"edges": edges.tolist(), "shares": [_short(share) for share in (counts / len(values)).tolist()]}


def _some(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return enough values for quantiles: evenly spaced ones are a fair sample, as the split has shuffled them."""
    return values[:: max(1, len(values) // _ROWS_FOR_QUANTILES)]


def _texts(column: pd.Series[Any]) -> dict[str, Any]:
    lengths = column.dropna().str.len()
    found: dict[str, Any] = _counts(column)
    if lengths.empty:
        return found
    told = {"mean_length": _short(lengths.mean()), "max_length": int(lengths.max())}
    return found | told | {"length_histogram": _histogram(np.asarray(lengths, dtype=np.float64), _MOST_BINS)}


def _other(column: pd.Series[Any]) -> dict[str, Any]:
    present = column.dropna()
    found: dict[str, Any] = _counts(column)
    if present.empty:
        return found
    if types.is_datetime64_dtype(column.dtype):
        seconds = present.to_numpy(dtype="datetime64[s]").astype(np.float64)
        told = {"min": present.min().isoformat(), "max": present.max().isoformat()}
        return found | told | {"histogram": _histogram(seconds, _MOST_BINS)}
    frequencies = _frequencies(present)
    top = {label: int(n) for label, n in frequencies.head(_MOST_CATEGORIES).items()}
    return found | {"distinct": len(frequencies), "top": top}


def _frequencies(column: pd.Series[Any]) -> Any:
    """Return how often each value occurs, the most frequent first, by the beginning of what it is written as."""
    return column.astype("str").str.slice(stop=_LONGEST_CATEGORY).value_counts()


def _counts(column: pd.Series[Any]) -> dict[str, Any]:
    missing = int(column.isna().sum())
    return {"count": len(column) - missing, "missing": missing}


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
