"""How a column's values become numbers of the matrix: by table lookups for one row, in groups for many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby, repeat
from typing import Any

import numpy as np
import numpy.typing as npt

from app.engines.base import Doubt
from app.engines.table.columns import Hot, Number
from app.engines.table.dates import date_part
from app.engines.table.stages import Floats, apply_stage, scalar_function
from app.signature import Array


class Group:
    """Numbers that go through the same operations, with their constants as arrays."""

    def __init__(self, placed: Sequence[tuple[Number, int]]) -> None:
        self._sources = [(number.source, number.part) for number, _ in placed]
        self._places: Any = [place for _, place in placed]
        first = self._places[0]
        if self._places == list(range(first, first + len(placed))):
            self._places = slice(first, first + len(placed))
        chains = zip(*(number.stages for number, _ in placed), strict=True)
        self._stages = [
            (
                stages[0].op,
                np.array([[stage.constant] for stage in stages]),
                np.array([[stage.upper] for stage in stages]),
            )
            for stages in chains
        ]

    def fill(self, matrix: Floats, columns: Mapping[str, Array]) -> None:
        """Write these numbers into their columns of the matrix."""
        numbers: Floats = np.empty((len(self._sources), len(matrix)))
        for index, (name, part) in enumerate(self._sources):
            numbers[index] = columns[name] if part is None else date_part(columns[name], part)
        for op, constants, uppers in self._stages:
            numbers = apply_stage(op, numbers, constants, uppers)
        matrix[:, self._places] = numbers.T


def groups(placed: Sequence[tuple[Number, int]]) -> list[Group]:
    """Group numbers with their places by their operations."""
    ordered = sorted(placed, key=lambda pair: (pair[0].operations, pair[1]))
    return [Group(list(group)) for _, group in groupby(ordered, key=lambda pair: pair[0].operations)]


def row_number(number: Number, place: int) -> tuple[str, int, float, Any]:
    """Return a number for one row: its column, its place, what fills it, and what is then applied (or None)."""
    stages = list(number.stages)
    fill = stages.pop(0).constant if stages and stages[0].op == "fill" else np.nan
    return number.source, place, float(fill), scalar_function(stages)


def row_hot(hot: Hot, place: int) -> tuple[str, dict[Any, Any], Any, Any]:
    """Return a lookup for one row: its column, (place, number) by category, for a missing and for an unknown one."""
    cells = list(zip((hot.offsets + place).tolist(), hot.values.tolist(), strict=True))
    return (
        hot.source,
        {category: cells[code] for category, code in hot.codes.items()},
        None if hot.missing is None else cells[hot.missing],
        None if hot.unknown is None else cells[hot.unknown],
    )


def codes_of(hot: Hot, column: Array) -> npt.NDArray[np.intp]:
    """Look a column's values up; raises Doubt where scikit-learn raises."""
    values = column.tolist()
    codes = np.fromiter(map(hot.codes.get, values, repeat(-1)), dtype=np.intp, count=len(values))
    for index in np.flatnonzero(codes < 0).tolist():
        value = values[index]
        code = hot.missing if value != value else hot.unknown  # noqa: PLR0124
        if code is None:
            raise Doubt(f"{value!r} is no category of {hot.source!r}")
        codes[index] = code
    return codes
