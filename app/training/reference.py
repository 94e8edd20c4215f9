"""What the training rows looked like, column by column: the reference that drift is measured against."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api import types

from app.training.problem import Problem, Rows

Statistics = dict[str, dict[str, Any]]

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_ROWS_FOR_QUANTILES = 10_000
_MOST_CATEGORIES = 20
_DIGITS = 6


def summarise_columns(X: Rows, problem: Problem) -> Statistics:
    """Return statistics of each feature of training rows `X`, as JSON values.

    All have ``count`` (present values) and ``missing``. Numbers: mean, std, min, max, quantiles.
    Categories and booleans: how often each of the most frequent occurs, and how many distinct
    there are. Dates: min and max. Texts: mean and greatest length in characters.
    """
    if isinstance(X, list):
        return {problem.columns.names[0]: _texts(pd.Series(X, dtype="str"))}
    if isinstance(X, np.ndarray):
        return _numbers(X, problem.columns.names)
    numbers = [str(name) for name in X if _is_number(X[name])]
    found = _numbers(X[numbers].to_numpy(dtype=np.float64), tuple(numbers)) if numbers else {}
    texts = problem.columns.of("text")
    for name in set(map(str, X)) - set(numbers):
        found[name] = _texts(X[name]) if name in texts else _other(X[name])
    return {name: found[name] for name in map(str, X)}


def _is_number(column: pd.Series[Any]) -> bool:
    return types.is_numeric_dtype(column.dtype) and not types.is_bool_dtype(column.dtype)


def _numbers(X: npt.NDArray[np.float64], names: tuple[str, ...]) -> Statistics:
    present = (~np.isnan(X)).sum(axis=0)
    found: Statistics = {}
    for index, name in enumerate(names):
        count = int(present[index])
        found[name] = {"count": count, "missing": len(X) - count}
        if count:
            column = X[:, index]
            values = column if count == len(X) else column[~np.isnan(column)]
            found[name] |= _spread(values)
    return found


def _spread(values: npt.NDArray[np.float64]) -> dict[str, Any]:
    # Evenly spaced rows are a fair sample: the split has shuffled them, unless the data had one of its own.
    sample = values[:: max(1, len(values) // _ROWS_FOR_QUANTILES)]
    quantiles = np.quantile(sample, _QUANTILES)
    with np.errstate(over="ignore", invalid="ignore"):
        whole = {"mean": values.mean(), "std": values.std(), "min": values.min(), "max": values.max()}
    return {name: _short(value) for name, value in whole.items() if np.isfinite(value)} | {
        "quantiles": {f"{share:g}": _short(value) for share, value in zip(_QUANTILES, quantiles, strict=True)}
    }


def _texts(column: pd.Series[Any]) -> dict[str, Any]:
    lengths = column.dropna().str.len()
    found: dict[str, Any] = _counts(column)
    return found if lengths.empty else found | {"mean_length": _short(lengths.mean()), "max_length": int(lengths.max())}


def _other(column: pd.Series[Any]) -> dict[str, Any]:
    present = column.dropna()
    found: dict[str, Any] = _counts(column)
    if present.empty:
        return found
    if types.is_datetime64_dtype(column.dtype):
        return found | {"min": present.min().isoformat(), "max": present.max().isoformat()}
    frequencies = present.astype("str").value_counts()
    most = frequencies.head(_MOST_CATEGORIES)
    return found | {"distinct": len(frequencies), "top": {str(label): int(n) for label, n in most.items()}}


def _counts(column: pd.Series[Any]) -> dict[str, Any]:
    missing = int(column.isna().sum())
    return {"count": len(column) - missing, "missing": missing}


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
