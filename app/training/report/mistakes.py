"""The held-out rows where the model was most wrong."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from app.training.problem import Problem
from app.training.report.labels import plain, readable
from app.training.report.rows import Answered

_SHOWN = 10
_COLUMNS = 8
_LONGEST_TEXT = 300
_LONGEST_CELL = 40
_LARGEST_IMAGE = 32 * 32


def worst(
    answered: Answered, problem: Problem, importance: dict[str, Any] | None = None, *, images: bool = False
) -> dict[str, Any]:
    """Return the rows with the largest errors, or the wrong classes that the model was surest of, with their values.

    Of many columns, those that matter most; of `images`, where they are square and small, the pixels.
    """
    if problem.task == "regression":
        errors = np.abs(answered.y - answered.predicted)
        order = np.argsort(errors, kind="stable")[::-1][:_SHOWN]
        total = sure = None
    else:
        wrong = np.flatnonzero(answered.predicted != answered.y)
        total = len(wrong)
        sure = _sureness(answered)
        order = wrong[np.argsort(-sure[wrong], kind="stable")][:_SHOWN] if sure is not None else wrong[:_SHOWN]
    side = _image_side(problem) if images else None
    names = _columns(problem, importance)
    rows = [
        {
            "row": int(answered.rows[place]) + 1,
            "actual": plain(answered.y[place]),
            "predicted": plain(answered.predicted[place]),
        }
        | ({"error": plain(float(answered.predicted[place] - answered.y[place]))} if total is None else {})
        | ({"confidence": plain(float(sure[place]))} if sure is not None else {})
        | _values(answered, problem, place, names, side)
        for place in map(int, order)
    ]
    return {
        "rows": rows,
        "columns": [] if side else [readable(name, _LONGEST_CELL) for name in names],
        "texts": problem.container == "texts",
        "wrong": total,
    }


def _sureness(answered: Answered) -> Any | None:
    """Return the probability that the model gave its answer, shape (n,); None where it gives none."""
    if answered.probabilities is None:
        return None
    # Not the greatest one: a threshold may have decided.
    places = {label: place for place, label in enumerate(answered.classes or [])}
    given = np.array([places[label] for label in answered.predicted.tolist()])
    return np.take_along_axis(answered.probabilities, given[:, None], axis=1)[:, 0]


def _columns(problem: Problem, importance: dict[str, Any] | None) -> list[str]:
    if problem.container == "texts":
        return list(problem.columns.names)
    used = {readable(name): name for name in problem.columns.names if name in problem.columns.kinds}
    foremost = [used[column["name"]] for column in importance["columns"]] if importance else []
    return list(dict.fromkeys([*foremost, *used.values()]))[:_COLUMNS]


def _values(answered: Answered, problem: Problem, place: int, names: list[str], side: int | None) -> dict[str, Any]:
    """Return the row's values under ``values``, in the order of `names`; or its pixels under ``image``."""
    X = answered.X
    if isinstance(X, list):
        return {"values": [plain(X[place], _LONGEST_TEXT)]}
    if isinstance(X, pd.DataFrame):
        row = X.iloc[place]
        return {"values": [plain(row[name], _LONGEST_CELL) for name in names]}
    if side is not None:
        return {"image": [[plain(pixel) for pixel in line] for line in X[place].reshape(side, side)]}
    return {"values": [plain(X[place, problem.columns.names.index(name)]) for name in names]}


def _image_side(problem: Problem) -> int | None:
    """Return the side of the square images in the rows; None where they are not square, or too large to show."""
    n = len(problem.columns.names)
    side = math.isqrt(n)
    return side if problem.container == "array" and side * side == n and n <= _LARGEST_IMAGE else None
