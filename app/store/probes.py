"""Batches with other values in a column: questions to an estimator about what it takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np

from app.signature import Array, Batch, Input, Signature

_FAR = 1_000_000
_FAR_DAYS = 10_000
_MOST = 50


def with_others(batch: Batch, column: Input) -> Iterator[Batch]:
    """Yield copies of the batch with other values in `column`: far ones of numbers and dates, unseen ones of texts."""
    columns = cast("dict[str, Array]", batch.data)
    values = columns[column.name]
    if column.kind == "category":
        others: list[Any] = [
            np.full(len(values), category, dtype=object) for category in (column.categories or ())[:_MOST]
        ]
    elif values.dtype.kind in "fiu":
        others = [values.astype(np.float64) + far for far in (-_FAR, -1, 1, _FAR)]
    elif values.dtype.kind == "b":
        others = [~values]
    elif values.dtype.kind == "M":
        others = [values + np.timedelta64(days, "D") for days in (-_FAR_DAYS, _FAR_DAYS)]
    else:
        others = [np.array([_another(value) for value in values], dtype=object)]
    for other in others:
        yield Batch(batch.rows, columns | {column.name: other})


def _another(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    return f"{value}~" if isinstance(value, str) else value if value is None else value + _FAR


def with_missing(batch: Batch, signature: Signature, columns: Sequence[int]) -> Batch:
    """Return a copy of the batch with missing values in the first row of `columns`."""
    if isinstance(batch.data, dict):
        names = {signature.inputs[index].name for index in columns}
        return Batch(
            batch.rows,
            {name: _missing_first(values) if name in names else values for name, values in batch.data.items()},
        )
    data = np.array(batch.data, dtype=object if signature.container == "objects" else None)
    if data.dtype.kind in "iub":
        data = data.astype(np.float64)
    data[(0, list(columns)) if data.ndim > 1 else 0] = np.nan
    return Batch(batch.rows, data)


def _missing_first(values: Array) -> Array:
    if values.dtype.kind == "M":
        missing = values.copy()
        missing[0] = np.datetime64("NaT")
        return missing
    missing = values.astype(np.float64 if values.dtype.kind in "fiu" else object)
    missing[0] = np.nan
    return missing
