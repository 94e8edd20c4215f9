"""What the columns of a table become on their way through a fitted pipeline's steps, as plain data.

Every step that is replayed works column by column. So each number that the model sees comes from one
column of the client's rows, through operations whose constants are known after fitting:

* :class:`Number`: a column of numbers (or a part of a date) through a chain of :class:`Stage`;
* :class:`Hot`: a column of categories, looked up: each sets at most one of a few adjacent numbers;
* :class:`Words`: a column whose values are not numbers yet.

The operations are scikit-learn's own, in its order: ``(x - mean) / scale`` is never fused to
``x * a + b``, since the last bit decides on which side of a tree's split point a row falls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from app.signature import Array

Floats = npt.NDArray[np.float64]

FLOAT64 = np.dtype(np.float64)

# Functions that work value by value and give float64 for float64: np.reciprocal and its like, which
# mean something else for integers, are not among them.
FUNCTIONS: dict[str, np.ufunc] = {
    name: getattr(np, name)
    for name in (
        "absolute", "arcsinh", "arctan", "cbrt", "ceil", "cos", "exp", "expm1", "floor", "log", "log10", "log1p",
        "log2", "rint", "sign", "sin", "sqrt", "square", "tanh",
    )
}  # fmt: skip
_ARITHMETIC: dict[str, np.ufunc] = {
    "subtract": np.subtract,
    "divide": np.divide,
    "multiply": np.multiply,
    "add": np.add,
}


class NotReplayed(Exception):
    """A pipeline, or a step of it, that cannot be replayed on columns; the message says why."""


@dataclass(frozen=True)
class Stage:
    """One operation on a number.

    ``op`` is subtract, divide, multiply or add (of ``constant``), fill (NaN becomes ``constant``),
    missing (1 for NaN, else 0), clip (to ``constant`` … ``upper``), or the name of one of FUNCTIONS.
    """

    op: str
    constant: float = 0.0
    upper: float = 0.0


@dataclass(frozen=True)
class Number:
    """One number for each row: the column `source`, or the `part` of its dates, through `stages`.

    ``dtype`` is what scikit-learn holds at this point, as the steps that follow depend on it.
    """

    source: str
    stages: tuple[Stage, ...] = ()
    part: str | None = None
    dtype: np.dtype[Any] = FLOAT64

    def then(self, *stages: Stage, dtype: np.dtype[Any] = FLOAT64) -> Number:
        """Return this number after more operations."""
        return replace(self, stages=self.stages + stages, dtype=dtype)

    @property
    def operations(self) -> tuple[str, ...]:
        """The names of the operations, in order."""
        return tuple(stage.op for stage in self.stages)


@dataclass(frozen=True)
class Words:
    """The values of the column `source` as they came; a missing one becomes `fill` (None: stays missing)."""

    source: str
    fill: Any = None


@dataclass(frozen=True)
class Dates:
    """The moments of the column `source`."""

    source: str


@dataclass(frozen=True)
class Hot:
    """A few adjacent numbers for each row, looked up by the value of the column `source`.

    Attributes
    ----------
    codes: category -> code; a category that is missing (NaN) is not among them.
    missing, unknown: the code of a missing value, and of one that is no category; None where scikit-learn raises.
    base: the numbers where nothing is set, shape (k,).
    offsets, values: by code, which of the k numbers is set, and to what; shape (n_codes,).
    """

    source: str
    codes: dict[Any, int]
    missing: int | None
    unknown: int | None
    base: Floats
    offsets: npt.NDArray[np.intp]
    values: Floats
    dtype: np.dtype[Any] = FLOAT64

    def then(self, op: str, constants: Floats, upper: float) -> Hot:
        """Return these numbers after one more operation; `constants` has shape (k,)."""
        return replace(
            self,
            base=apply_stage(op, self.base, constants, upper),
            values=apply_stage(op, self.values, constants[self.offsets], upper),
            dtype=FLOAT64,
        )

    def keep(self, kept: npt.NDArray[np.bool_]) -> Hot:
        """Return only those of the k numbers that are kept, of which there is at least one."""
        gone = ~kept[self.offsets]
        places = np.cumsum(kept) - 1
        base = self.base[kept]
        return replace(
            self,
            base=base,
            offsets=np.where(gone, 0, places[self.offsets]),
            values=np.where(gone, base[0], self.values),
        )


@dataclass(frozen=True)
class Unreadable:
    """The column `source` of a dtype that no step is replayed on."""

    source: str
    dtype: str


Piece = Number | Words | Dates | Hot | Unreadable


@dataclass(frozen=True)
class Block:
    """What a step takes or gives: pieces side by side.

    ``sparse`` tells whether scikit-learn holds a sparse matrix, which some steps treat otherwise.
    ``watched`` are numbers that a step left out after scikit-learn had looked at them for infinities.
    """

    pieces: tuple[Piece, ...]
    sparse: bool = False
    watched: tuple[Number, ...] = ()


def width(piece: Piece) -> int:
    """Return how many columns a piece has."""
    return len(piece.base) if isinstance(piece, Hot) else 1


def apply_stage(op: str, numbers: Array, constant: Any, upper: Any) -> Floats:
    """Apply one operation to an array of float64; `constant` and `upper` broadcast against it."""
    with np.errstate(all="ignore"):
        if op in _ARITHMETIC:
            return np.asarray(_ARITHMETIC[op](numbers, constant))
        if op == "fill":
            return np.where(np.isnan(numbers), constant, numbers)
        if op == "missing":
            return np.isnan(numbers).astype(np.float64)
        if op == "clip":
            return np.clip(numbers, constant, upper)
        return np.asarray(FUNCTIONS[op](numbers))


def scalar_function(stages: Sequence[Stage]) -> Callable[[float], float] | None:
    """Return `stages` as one function of a Python float, with the very bits of the arrays' operations."""
    if not stages:
        return None
    if [stage.op for stage in stages] == ["subtract", "divide"]:
        mean, scale = stages[0].constant, stages[1].constant
        return lambda number: (number - mean) / scale
    functions = [_scalar_stage(stage) for stage in stages]
    if len(functions) == 1:
        return functions[0]

    def chain(number: float) -> float:
        for function in functions:
            number = function(number)
        return number

    return chain


def _scalar_stage(stage: Stage) -> Callable[[float], float]:
    constant, upper = stage.constant, stage.upper
    if stage.op in FUNCTIONS:
        function = FUNCTIONS[stage.op]
        return lambda number: float(function(float(number)))
    return {
        "subtract": lambda number: number - constant,
        "divide": lambda number: number / constant,
        "multiply": lambda number: number * constant,
        "add": lambda number: number + constant,
        "fill": lambda number: number if number == number else constant,  # noqa: PLR0124  # NaN differs from itself
        "missing": lambda number: float(number != number),  # noqa: PLR0124
        "clip": lambda number: constant if number < constant else min(number, upper) if number > constant else number,
    }[stage.op]
