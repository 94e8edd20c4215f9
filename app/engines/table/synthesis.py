"""Tables for the parity gate, made from a sample: mixed, around split points, extreme, missing, never seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from app.signature import Array, Batch, Input, Signature

# So many rows of each kind at most, and so many that are asked alone: scikit-learn takes milliseconds for each call.
_ROWS = 256
_POINTS = 1024
_SINGLES = 8
_ODD = 64
_SHARE = 0.2
_EXTREMES = (0.0, -0.0, 1.0, -1.0, 5e-324, 1e-40, 3.4e38, -3.4e38, 3.5e38, 1e300, -1e300, 1.7e308, 2.0**53 + 2)
_WORDS = ("", " ", "nan", "None", "1", "?", "never seen", "naïve 北京 🚢", "x" * 300, "\x00")

Columns = dict[str, Array]


def table_batches(signature: Signature, sample: Batch, thresholds: Sequence[Mapping[Any, Array]]) -> list[Batch]:
    """Return batches for a model on tables: large ones of rows like the sample's, and odd ones, alone and together.

    Parameters
    ----------
    signature
        The model's signature; missing values come only where it says nullable.
    sample
        Rows like those the model was fitted on, by column.
    thresholds
        Split points by column, of each form that has some.
    """
    if not isinstance(sample.data, dict):
        raise TypeError("a table's sample is a dict of columns")
    random = np.random.default_rng(0)
    base = {name: values[:_ROWS] for name, values in sample.data.items()}
    inputs = {column.name: column for column in signature.required}

    def changed(change: Callable[[Input, Array, Any], Array]) -> Columns:
        return {name: change(inputs[name], values, random) for name, values in base.items()}

    usual = [base, changed(_mixed)] + ([_around(base, thresholds, random)] if any(thresholds) else [])
    odd = [_part(changed(change), 0, _ODD) for change in (_extreme, _missing, _never_seen)]
    few = [_part(rows, start, start + 1 + start % 2) for rows in odd for start in range(_SINGLES)]
    return [Batch(len(next(iter(rows.values()))), rows) for rows in (*usual, *odd, *few)]


def _part(rows: Columns, start: int, stop: int) -> Columns:
    length = len(next(iter(rows.values())))
    index = np.arange(start, stop) % length
    return {name: values[index] for name, values in rows.items()}


def _mixed(column: Input, values: Array, random: np.random.Generator) -> Array:
    """Return the column in another order, its numbers moved by up to a spread."""
    values = random.permutation(values)
    if column.kind not in ("number", "integer") or values.dtype.kind not in "fiu":
        return values
    wide = values.astype(np.float64)
    known = wide[np.isfinite(wide)]
    moved = wide + random.normal(size=len(wide)) * (known.std() if known.size else 1.0)
    moved = np.where(random.random(len(wide)) < _SHARE, wide, moved)
    return moved.astype(values.dtype) if _fits(moved, values) else values


def _fits(numbers: Array, values: Array) -> bool:
    """Tell whether numbers can be cast to the dtype of `values`."""
    limits: Any = np.finfo(values.dtype) if values.dtype.kind == "f" else np.iinfo(values.dtype)
    known = numbers[~np.isnan(numbers)]
    return bool(known.size == 0 or (float(limits.min) <= known.min() and known.max() <= float(limits.max) / 2))


def _around(base: Columns, thresholds: Sequence[Mapping[Any, Array]], random: np.random.Generator) -> Columns:
    """Return rows with float64 values at split points and at their neighbours."""
    index = random.integers(len(next(iter(base.values()))), size=_POINTS)
    rows = {name: values[index] for name, values in base.items()}
    for found in thresholds:
        for name, points in found.items():
            known = points[np.isfinite(points)]
            if len(known) and rows[name].dtype == np.float64:
                near = known[random.integers(len(known), size=_POINTS)]
                with np.errstate(over="ignore"):
                    narrow = near.astype(np.float32).astype(np.float64)
                kinds = np.stack([near, np.nextafter(near, np.inf), np.nextafter(near, -np.inf), narrow])
                chosen = kinds[random.integers(len(kinds), size=_POINTS), np.arange(_POINTS)]
                rows[name] = np.where(np.isfinite(chosen), chosen, rows[name])
    return rows


def _extreme(column: Input, values: Array, random: np.random.Generator) -> Array:
    """Return the column with extreme numbers among its own; integers widened as the wire widens them."""
    hit = random.random(len(values)) < _SHARE
    if values.dtype == np.float64:
        return np.where(hit, random.choice(_EXTREMES, len(values)), values)
    if values.dtype.kind in "iu" and values.dtype != np.uint64:
        return np.where(hit, random.choice([0, -1, 300, 2**31, 2**53 + 1, -(2**62)], len(values)), values)
    return values


def _missing(column: Input, values: Array, random: np.random.Generator) -> Array:
    """Return the column with a part of it missing, where it takes that."""
    if not column.nullable:
        return values
    hit = random.random(len(values)) < _SHARE
    if values.dtype.kind == "M":
        return np.where(hit, np.datetime64("NaT"), values)
    missing = values.astype(
        values.dtype if values.dtype.kind == "f" else np.float64 if values.dtype.kind in "iu" else object
    )
    missing[hit] = np.nan
    return missing


def _never_seen(column: Input, values: Array, random: np.random.Generator) -> Array:
    """Return the column with values that no sample has: other words, fractions among integers, far dates."""
    hit = random.random(len(values)) < _SHARE
    if values.dtype.kind in "iu":
        return values + np.where(hit, 0.5, 0.0)
    if values.dtype.kind == "M":
        days = random.integers(-100_000, 200_000, len(values)).astype("timedelta64[D]")
        return np.where(hit, values + days.astype(values.dtype.str.replace("M", "m")), values)
    if column.kind not in ("text", "any"):
        return values
    seen = values.copy()
    seen[hit] = random.choice(np.array(_WORDS, dtype=object), int(hit.sum()))
    return seen
