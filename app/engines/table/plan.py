"""Pieces side by side -> the matrix the model sees, for one row in plain Python and for many in NumPy."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Any

import numpy as np

from app.engines.base import Doubt, NotReplayed
from app.engines.table.columns import FLOAT64, Block, Hot, Number, width
from app.engines.table.filling import codes_of, groups, row_hot, row_number
from app.engines.table.stages import FUNCTIONS, Floats
from app.signature import Array

# Wider matrices are scikit-learn's, which keeps them sparse.
MAX_WIDTH = 10_000
# Beyond this, float64 does not hold every integer.
_EXACT = 2.0**53


class TablePlan:
    """The pieces of a table, ready to be filled in.

    Parameters
    ----------
    block
        What the last step before the model gives.
    takes_missing
        Whether the model takes NaN.

    Raises
    ------
    NotReplayed
        A piece is not a number, or the model would see another dtype than float64 or integers.
    """

    def __init__(self, block: Block, *, takes_missing: bool) -> None:
        self.block = block
        self.takes_missing = takes_missing
        self.width = sum(map(width, block.pieces))
        _check(block, self.width)
        # Integers alone reach the model as integers, and may not take the way over float64 beyond _EXACT.
        self._whole = not any(_dtype(piece).kind == "f" for piece in block.pieces)
        self._numbers, self._hots = _placed(block)
        self._template = array("d", [0.0]) * (self.width + len(block.watched))
        for hot, place in self._hots:
            self._template[place : place + len(hot.base)] = array("d", hot.base.tolist())
        self._row_numbers = [row_number(number, place) for number, place in self._numbers]
        self._row_hots = [row_hot(hot, place) for hot, place in self._hots]
        self._groups = groups(self._numbers)
        self._calls_numpy = any(number.part or set(number.operations) & FUNCTIONS.keys() for number, _ in self._numbers)

    def matrix(self, columns: Mapping[str, Array]) -> Floats:
        """Return the C-contiguous matrix of shape (n, width) for the columns of n rows.

        Raises
        ------
        Doubt
            scikit-learn is to be asked: it raises for a category that was never seen, or for infinities
            or missing values where the model takes none.
        """
        rows = len(next(iter(columns.values())))
        if rows == 1 and not self._calls_numpy:
            return self._one(columns)
        return self._many(columns, rows)

    def _one(self, columns: Mapping[str, Array]) -> Floats:
        row = self._template[:]
        total = 0.0
        for name, place, fill, function in self._row_numbers:
            number = columns[name].item()
            if number != number:  # noqa: PLR0124  # NaN differs from itself
                number = fill
            if function is not None:
                number = function(number)
            row[place] = number
            total += number
        for name, table, missing, unknown in self._row_hots:
            value = columns[name].item()
            hit = table.get(value)
            if hit is None:
                hit = missing if value != value else unknown  # noqa: PLR0124
                if hit is None:
                    raise Doubt(f"{value!r} is no category of {name!r}")
            row[hit[0]] = hit[1]
            total += hit[1]
        matrix = np.frombuffer(row, dtype=np.float64).reshape(1, -1)
        if total - total != 0.0 or self._whole:
            self._check_numbers(matrix)
        return matrix[:, : self.width] if self.block.watched else matrix

    def _many(self, columns: Mapping[str, Array], rows: int) -> Floats:
        matrix: Floats = np.empty((rows, len(self._template)))
        matrix[:] = np.frombuffer(self._template, dtype=np.float64)
        for group in self._groups:
            group.fill(matrix, columns)
        flat = matrix.reshape(-1)
        starts = np.arange(0, flat.size, matrix.shape[1])
        for hot, place in self._hots:
            codes = codes_of(hot, columns[hot.source])
            flat[starts + (hot.offsets[codes] + place)] = hot.values[codes]
        self._check_numbers(matrix)
        return np.ascontiguousarray(matrix[:, : self.width])

    def _check_numbers(self, matrix: Floats) -> None:
        """Leave to scikit-learn what it would refuse: infinities, and missing values that the model does not take."""
        if not np.isfinite(matrix).all():
            if np.isinf(matrix).any():
                raise Doubt("a number is infinite, or becomes so")
            if not self.takes_missing and np.isnan(matrix[:, : self.width]).any():
                raise Doubt("a value is missing")
        if self._whole and (np.abs(matrix) >= _EXACT).any():
            raise Doubt("an integer is larger than float64 holds")


def _check(block: Block, columns: int) -> None:
    for piece in block.pieces:
        if not isinstance(piece, Number | Hot):
            raise NotReplayed(f"column {piece.source!r} reaches the model as it came, and it holds no numbers")
    if columns == 0:
        raise NotReplayed("no column reaches the model")
    if columns > MAX_WIDTH:
        raise NotReplayed(f"the model sees {columns} columns; at most {MAX_WIDTH} are laid out")
    dtype = np.result_type(*map(_dtype, block.pieces))
    if dtype.kind not in "iub" and dtype != FLOAT64:
        raise NotReplayed(f"the model sees {dtype}")


def _dtype(piece: Any) -> np.dtype[Any]:
    dtype: np.dtype[Any] = piece.dtype
    return dtype


def _placed(block: Block) -> tuple[list[tuple[Number, int]], list[tuple[Hot, int]]]:
    """Return the numbers and the lookups with their places; watched numbers stand behind the matrix."""
    numbers: list[tuple[Number, int]] = []
    hots: list[tuple[Hot, int]] = []
    place = 0
    for piece in (*block.pieces, *block.watched):
        if isinstance(piece, Hot):
            hots.append((piece, place))
        elif isinstance(piece, Number):
            numbers.append((piece, place))
        place += width(piece)
    return numbers, hots
