"""Column dtypes of every reader -> the few that training and serving know."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from app.training.errors import TrainingError

# Beyond it, floats skip whole numbers.
LARGEST_EXACT = 2**53
_LARGEST_SIGNED = 2**63 - 1
_SCALARS = {"string", "mixed", "mixed-integer", "mixed-integer-float", "integer", "floating"}


def normalise_frame(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    """Return `frame` with columns of bool, int64, float64, datetime64 or str only, and names that are strings.

    Booleans with missing values become pandas' ``boolean``; integers with missing values float64, but
    pandas' ``Int64`` or ``UInt64`` where that would lose digits, so that they can still be told apart;
    times with a zone are turned to UTC and lose it.

    Raises
    ------
    TrainingError
        No rows, one column only, names that are empty or occur twice, values that are not scalars.
    """
    names = [str(name).strip() for name in frame.columns]
    check_names(names, source)
    if len(names) < 2:  # noqa: PLR2004  # a target and a feature
        raise TrainingError(f"{source}: has only the column {names[0]!r}; a target and at least one feature are needed")
    if frame.empty:
        raise TrainingError(f"{source}: has column names but no rows")
    if len({str(dtype) for dtype in frame.dtypes}) == 1 and str(frame.dtypes.iloc[0]) in ("float64", "int64"):
        return frame.set_axis(names, axis=1)
    columns = {name: _normalise(frame.iloc[:, index], name, source) for index, name in enumerate(names)}
    return pd.DataFrame(columns, copy=False)


def check_names(names: list[str], source: str) -> None:
    """Refuse names that are empty or occur twice."""
    if not names:
        raise TrainingError(f"{source}: has no columns")
    for number, name in enumerate(names, start=1):
        if not name:
            raise TrainingError(f"{source}: column {number} has no name; give each column one")
    name, times = Counter(names).most_common(1)[0]
    if times > 1:
        places = ", ".join(str(number) for number, other in enumerate(names, start=1) if other == name)
        raise TrainingError(f"{source}: the name {name!r} is given to columns {places}; each needs its own")


def _normalise(column: Any, name: str, source: str) -> pd.Series[Any]:
    dtype: Any = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _normalise(column.astype(dtype.categories.dtype), name, source)
    if isinstance(dtype, pd.StringDtype) and dtype.na_value is not pd.NA:
        plain_text: pd.Series[Any] = column
        return plain_text
    missing = bool(column.isna().any())
    plain: pd.Series[Any] = column
    if types.is_bool_dtype(dtype):
        plain = column.astype("boolean" if missing else "bool")
    elif types.is_integer_dtype(dtype):
        plain = _normalise_whole(column, missing=missing)
    elif types.is_float_dtype(dtype):
        plain = pd.Series(column.to_numpy(dtype=np.float64, na_value=np.nan), index=column.index)
    elif isinstance(dtype, pd.DatetimeTZDtype):
        plain = column.dt.tz_convert("UTC").dt.tz_localize(None)
    elif types.is_object_dtype(dtype) or types.is_string_dtype(dtype):
        plain = _normalise_objects(column, name, source)
    elif not types.is_datetime64_dtype(dtype):
        raise TrainingError(
            f"{source}: column {name!r} holds {dtype}, which no model takes; turn it into numbers or text"
        )
    return plain


def greatest(column: pd.Series[Any]) -> int | float:
    """Return the greatest magnitude in a column of numbers, exactly where they are whole; 0 where all are missing."""
    low, high = column.min(), column.max()
    if pd.isna(low):
        return 0
    exact = int if types.is_integer_dtype(column.dtype) else float
    return max(abs(exact(low)), abs(exact(high)))


def _normalise_whole(column: Any, *, missing: bool) -> Any:
    if greatest(column) <= LARGEST_EXACT:
        return column.astype("float64" if missing else "int64")
    if int(column.max()) > _LARGEST_SIGNED:
        return column.astype("UInt64")
    return column.astype("Int64" if missing else "int64")


def _normalise_objects(column: Any, name: str, source: str) -> Any:
    kind = types.infer_dtype(column, skipna=True)
    if kind == "empty":
        return pd.Series(np.nan, index=column.index, dtype="float64")
    if kind == "boolean":
        return column.astype("boolean")
    # Whole numbers that are objects are too large for an int64.
    if kind in ("decimal", "integer"):
        return column.astype("float64")
    if kind in ("date", "datetime", "datetime64"):
        return _normalise(pd.to_datetime(column), name, source)
    present = column.dropna()
    if kind not in _SCALARS or not present.map(lambda value: isinstance(value, str | int | float)).all():
        held = type(present.iloc[0]).__name__
        raise TrainingError(
            f"{source}: column {name!r} holds values of type {held}; numbers, text, booleans or dates are needed"
        )
    return column.astype("str")
