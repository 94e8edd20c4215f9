"""What the columns of a table become on their way through a fitted pipeline's steps, as plain data.

Every step that is replayed works column by column. So each number that the model sees comes from one
column of the client's rows, through operations whose constants are known after fitting:

* :class:`Number`: a column of numbers (or a part of a date) through a chain of :class:`Stage`;
* :class:`Hot`: a column of categories, looked up: each sets at most one of a few adjacent numbers;
* :class:`Words`: a column whose values are not numbers yet.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from app.engines.table.stages import Floats, Stage, apply_stage

FLOAT64 = np.dtype(np.float64)


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
