"""The few values for which a column of numbers or dates is one of words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from app.training.dates import are_dates, find_date_format
from app.training.errors import TrainingError
from app.training.layout import is_number
from app.training.written import find_number_reader, is_missing

_PROBE = 500
_MOST = 0.5
_FEW = 0.02
_SHOWN = 40


@dataclass(frozen=True)
class Strangers:
    """The values that are not what most others of their column are.

    Attributes
    ----------
    column: the column's name.
    others: what the others are.
    like: how they are written, by an example; "" for plain numbers.
    numbers: the others, where they are numbers.
    count: how many strangers there are, of `total` values.
    first, row: the first of them, and its row, counted from 1.
    """

    column: str
    others: Literal["number", "date"]
    like: str
    numbers: pd.Series[Any]
    count: int
    total: int
    first: str
    row: int

    @property
    def few(self) -> bool:
        """Whether they are so few among numbers that each must be a mistake."""
        return self.others == "number" and self.count <= _FEW * self.total

    def refuse(self, remedy: str) -> TrainingError:
        """Return the error that names the first."""
        return TrainingError(
            f"column {self.column!r}, row {self.row}: {self.first!r} is not a {self.others}{self.like}, "
            f"as the {self.total - self.count} others are; {remedy}"
        )

    def describe(self) -> str:
        """Say, as a note, what the column is taken for because of them."""
        are = f"are no {self.others}s" if self.count > 1 else f"is no {self.others}"
        return (
            f"column {self.column!r} is taken as words: {self.count} of its {self.total} values {are}{self.like}, "
            f"the first {self.first!r} in row {self.row}; correct or empty {'them' if self.count > 1 else 'it'} "
            f"to have {self.others}s"
        )


def find_strangers(column: pd.Series[Any]) -> Strangers | None:
    """Find what keeps a column of words from being one of numbers or dates; None where most are neither, or all are.

    Rows are counted by the column's index, which starts at 0.
    """
    present = column.dropna()
    if present.empty:
        return None
    # By chance, since every tenth row may be another kind.
    probe = present.sample(min(_PROBE, len(present)), random_state=0).tolist()
    layout, share = find_date_format(probe)
    if share >= _MOST:
        return _tell(present, "date", lambda words: np.where(are_dates(words, layout), 0.0, np.nan))
    probe = [word for word in probe if not is_missing(word)]
    read = find_number_reader(probe)
    if not probe or np.isnan([read(word) for word in probe]).mean() > 1 - _MOST:
        return None
    present = present[~present.map(is_missing)]
    return _tell(present, "number", lambda words: np.array([read(word) for word in words]))


def _tell(
    present: pd.Series[Any],
    others: Literal["number", "date"],
    read: Callable[[list[str]], npt.NDArray[np.float64]],
) -> Strangers | None:
    """Tell of the values that `read` makes NaN of."""
    codes, words = pd.factorize(present)
    values = read(list(words))
    strange = np.isnan(values)[codes]
    if not strange.any() or strange.all():
        return None
    place = int(strange.argmax())
    written = (word for word, value in zip(words, values, strict=True) if not (np.isnan(value) or is_number(word)))
    example = next(written, "")[:_SHOWN]
    return Strangers(
        column=str(present.name),
        others=others,
        like=f" like {example!r}" if example else "",
        numbers=pd.Series(values[codes[~strange]]),
        count=int(strange.sum()),
        total=len(present),
        first=str(present.iloc[place])[:_SHOWN],
        row=int(present.index[place]) + 1,
    )
