"""A request that works as typed, for a model that was just trained."""

from __future__ import annotations

import json
import shlex
from typing import Any

import numpy as np
import pandas as pd

from app.training.problem import Problem, Rows

# Whole numbers below this are exact in a float64.
_EXACT = 2**53


def make_body(problem: Problem, X: Rows) -> dict[str, Any]:
    """Return the JSON body that asks about one of the rows `X`: the first without missing values, if there is one.

    ``{"text": …}``, ``{"X": [[…]]}`` for arrays, ``{"features": [{…}]}`` for frames, without the
    columns that the model does not use.
    """
    if isinstance(X, list):
        return {"text": next((text for text in X if text), "")}
    if isinstance(X, np.ndarray):
        whole = np.flatnonzero(~np.isnan(X).any(axis=1))
        return {"X": [[_plain(value) for value in X[whole[0] if whole.size else 0]]]}
    used = X[[name for name in problem.columns.names if name in problem.columns.kinds]]
    whole = np.flatnonzero(~used.isna().any(axis=1))
    row = used.iloc[[whole[0] if whole.size else 0]]
    return {"features": [{str(name): _plain(row[name].iloc[0]) for name in row}]}


def make_curl(body: dict[str, Any], name: str, port: int) -> str:
    """Return the command line that sends `body` to the model `name` on this machine."""
    document = shlex.quote(json.dumps(body, ensure_ascii=False, allow_nan=False))
    return f"curl -d {document} -H 'Content-Type: application/json' localhost:{port}/models/{name}/predict"


def _plain(value: Any) -> Any:
    """Return the JSON value of one cell; whole numbers are written without a fraction."""
    if value is None or value is pd.NaT or pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, float | int | np.number):
        number = float(value)
        return int(value) if number.is_integer() and abs(number) < _EXACT else number
    return str(value)
