"""Columns that give the target away."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from app.training.problem import Problem, Target
from app.training.split import Split

_ROWS = 5000
_MOST_COLUMNS = 200
_SUSPICIOUS = 0.999
_LEAVES_PER_CLASS = 2
_LEAVES_OF_QUANTITY = 100


def find_leaks(problem: Problem, split: Split) -> list[str]:
    """Name the columns that, alone, predict the target of the held-out rows all but perfectly.

    Judged by a small decision tree on each column. Only where there are several columns: a single
    one that predicts the target is what was hoped for.
    """
    names = problem.columns.kinds
    if problem.container == "texts" or not 1 < len(names) <= _MOST_COLUMNS:
        return []
    train, test = (
        X if isinstance(X, pd.DataFrame) else pd.DataFrame(X, columns=list(problem.columns.names))
        for X in (split.X_train[:_ROWS], split.X_test[:_ROWS])
    )
    y_train, y_test = split.y_train[:_ROWS], split.y_test[:_ROWS]
    return [
        name
        for name, kind in names.items()
        if kind != "text" and _predicts_alone(train[name], test[name], y_train, y_test, problem)
    ]


def _predicts_alone(
    train: pd.Series[Any], test: pd.Series[Any], y_train: Target, y_test: Target, problem: Problem
) -> bool:
    from sklearn.metrics import balanced_accuracy_score, r2_score
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    codes_train, codes_test = _as_numbers(train, test)
    if problem.task == "classification":
        leaves = _LEAVES_PER_CLASS * len(set(y_train.tolist()))
        tree = DecisionTreeClassifier(max_leaf_nodes=leaves, random_state=0)
    else:
        tree = DecisionTreeRegressor(max_leaf_nodes=_LEAVES_OF_QUANTITY, random_state=0)
    predicted = tree.fit(codes_train, y_train).predict(codes_test)
    # Balanced, since where one class is rare any column at all is right nearly always.
    measure = balanced_accuracy_score if problem.task == "classification" else r2_score
    return bool(measure(y_test, predicted) >= _SUSPICIOUS)


def _as_numbers(train: pd.Series[Any], test: pd.Series[Any]) -> tuple[Any, Any]:
    """Return both columns as shape (n, 1): numbers as they are, dates as seconds, categories as codes."""
    if types.is_datetime64_dtype(train.dtype):
        train, test = ((column - pd.Timestamp(0)).dt.total_seconds() for column in (train, test))
    elif not types.is_numeric_dtype(train.dtype):
        codes = {value: code for code, value in enumerate(train.dropna().unique())}
        train, test = (column.map(codes) for column in (train, test))
    return tuple(column.to_numpy(dtype=np.float64, na_value=np.nan).reshape(-1, 1) for column in (train, test))  # type: ignore[return-value]  # two of them
