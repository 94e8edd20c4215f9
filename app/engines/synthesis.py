"""Rows for the parity gate, made from a sample: perturbed, around split points, extreme, missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from app.signature import Array, Batch, Signature

# So many rows of each kind at most: a gate of a few thousand rows takes scikit-learn tenths of a second.
_ROWS = 512
_POINTS = 2048
_EXTREMES = (0.0, -0.0, 1.0, -1.0, 5e-324, -5e-324, 1e-40, 3.4e38, -3.4e38, 3.5e38, 1e300, -1e300, 1.7e308, 2.0**53 + 2)
_SINGLES = 8


def array_batches(signature: Signature, sample: Batch, thresholds: Sequence[Mapping[Any, Array]]) -> list[Batch]:
    """Return batches for a model on arrays: large ones of rows like the sample's, and odd ones.

    Parameters
    ----------
    signature
        The model's signature; NaN comes only where it says nullable.
    sample
        Rows like those the model was fitted on.
    thresholds
        Split points by column, of each form that has some.
    """
    random = np.random.default_rng(0)
    base = np.asarray(sample.data)[:_ROWS]
    around = _around(base, thresholds, random)
    odd = [_extreme(base, random)]
    if base.dtype.kind == "f" and signature.nullable.any():
        odd += [_missing(rows, signature.nullable, random) for rows in (base, around)]
    # What scikit-learn refuses comes alone and in pairs too: one such row is enough to refuse all of them.
    few = [rows[start : start + 1 + start % 2] for rows in odd for start in range(min(_SINGLES, len(rows)))]
    return [_batch(rows) for rows in (base, _perturbed(base, random), around, *odd, *few)]


def _batch(rows: Array) -> Batch:
    return Batch(len(rows), np.ascontiguousarray(rows))


def _perturbed(base: Array, random: np.random.Generator) -> Array:
    """Return rows that mix the columns of the sample's rows, moved by up to a spread."""
    rows = np.stack([random.permutation(column) for column in base.T], axis=1)
    if base.dtype.kind == "b":
        return rows
    spread = np.std(base.astype(np.float64), axis=0)
    moved = rows + random.normal(size=rows.shape) * np.where(np.isfinite(spread), spread, 0.0)
    return _as(moved, base.dtype)


def _around(base: Array, thresholds: Sequence[Mapping[Any, Array]], random: np.random.Generator) -> Array:
    """Return rows with values at split points and at their neighbours in float32 and in float64."""
    points = [(column, values) for found in thresholds for column, values in found.items() if len(values)]
    rows = base[random.integers(len(base), size=_POINTS if points else len(base))]
    if not points:
        return rows
    rows = rows.astype(np.float64)
    for column, values in points:
        near = values[random.integers(len(values), size=len(rows))].astype(np.float64)
        narrow = near.astype(np.float32)
        up, down = np.float32(np.inf), np.float32(-np.inf)
        with np.errstate(over="ignore"):
            kinds = np.stack([
                near, np.nextafter(near, np.inf), np.nextafter(near, -np.inf), narrow.astype(np.float64),
                np.nextafter(narrow, up).astype(np.float64), np.nextafter(narrow, down).astype(np.float64),
                # Halfway to the neighbour in float32, where the cast rounds one way or the other.
                (narrow.astype(np.float64) + np.nextafter(narrow, up)) / 2,
            ])  # fmt: skip
        rows[:, column] = kinds[random.integers(len(kinds), size=len(rows)), np.arange(len(rows))]
    rows[~np.isfinite(rows)] = 0.0
    return _as(rows, base.dtype)


def _extreme(base: Array, random: np.random.Generator) -> Array:
    rows = base[random.integers(len(base), size=4 * _SINGLES)]
    if base.dtype.kind == "b":
        return rows
    wide = rows.astype(np.float64)
    hit = random.random(rows.shape) < max(0.1, 1.5 / rows.shape[1])
    wide[hit] = random.choice(_EXTREMES, size=int(hit.sum()))
    return _as(wide, base.dtype)


def _missing(base: Array, nullable: Array, random: np.random.Generator) -> Array:
    rows = base[random.integers(len(base), size=min(len(base), _ROWS))].copy()
    rows[(random.random(rows.shape) < 0.3) & nullable] = np.nan  # noqa: PLR2004  # a third of the values
    return rows


def _as(rows: Array, dtype: np.dtype[Any]) -> Array:
    """Return the rows in another dtype, cut to what it can hold."""
    if dtype.kind == "f":
        low, high = float(np.finfo(dtype).min), float(np.finfo(dtype).max)
    else:
        # The largest int64 is none of float64's numbers.
        low, high = float(np.iinfo(dtype).min), float(np.nextafter(float(np.iinfo(dtype).max), 0))
        rows = np.rint(rows)
    cut: Array = np.clip(rows, low, high).astype(dtype)
    return cut
