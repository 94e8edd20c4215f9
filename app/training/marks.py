"""What decides on which side of a split a row falls: its content, its group, its time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api import types

from app.training.dates import as_dates
from app.training.errors import TrainingError

Keys = npt.NDArray[np.uint64]

# A missing value is the same in a column of numbers and in one of text.
_MISSING = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Marks:
    """What is known of each row besides its values, all of shape (n,).

    Attributes
    ----------
    keys: a hash of the row's content; equal rows have equal keys.
    groups: a hash of the value of the column that says which rows belong together; None without one.
    times: what rows are ordered by, floats or ``datetime64``; None without one.
    columns: the names of the columns whose values the keys are of, sorted.
    """

    keys: Keys
    groups: Keys | None = None
    times: npt.NDArray[Any] | None = None
    columns: tuple[str, ...] = ()

    def take(self, kept: npt.NDArray[Any]) -> Marks:
        """Return the marks of the rows that are kept: indices, or whether each is."""
        groups, times = (None if part is None else part[kept] for part in (self.groups, self.times))
        return Marks(self.keys[kept], groups, times, self.columns)

    def without(self, column: pd.Series[Any]) -> Marks:
        """Return the marks as if `column`, one of those that were hashed, had not been there."""
        left = tuple(name for name in self.columns if name != str(column.name))
        return Marks(self.keys - hash_column(column), self.groups, self.times, left)


def mark_rows(frame: pd.DataFrame, group: str | None = None, time: str | None = None) -> Marks:
    """Mark the rows of a table by their content and, where they are named, by the columns `group` and `time`.

    Raises
    ------
    TrainingError
        No such column, a row without a value of it, or times that have no order.
    """
    groups = None if group is None else hash_column(_whole_column(frame, group, "--group"))
    times = None if time is None else _as_times(_whole_column(frame, time, "--time"))
    return Marks(hash_rows(frame), groups, times, tuple(sorted(map(str, frame.columns))))


def hash_rows(frame: pd.DataFrame) -> Keys:
    """Return a hash of each row, shape (n,): the sum of its values' hashes, so that one can be taken out again."""
    keys = np.zeros(len(frame), dtype=np.uint64)
    for name in frame:
        keys += hash_column(frame[name])
    return keys


def hash_column(column: pd.Series[Any]) -> Keys:
    """Return a hash of each value and the column's name, shape (n,).

    The same on every machine, in every run and under every version of Python. A number is hashed as
    a float64, a text that reads as a number as that number, since whether a column is parsed as
    numbers depends on its other rows; a date as microseconds; other text by SipHash-2-4 of its UTF-8.
    """
    dtype: Any = column.dtype
    if types.is_datetime64_dtype(dtype):
        times = column.to_numpy().astype("datetime64[us]")
        hashes = np.where(np.isnat(times), _MISSING, times.view(np.uint64))
    elif types.is_numeric_dtype(dtype):
        hashes = _of_numbers(column.to_numpy(dtype=np.float64, na_value=np.nan))
    else:
        codes, words = pd.factorize(column)
        # The last place is that of the code -1, a missing value.
        hashes = np.append(_of_words(words), _MISSING)[codes]
    return mixed(hashes + _of_name(str(column.name)))


def mixed(keys: Keys) -> Keys:
    """Return keys of which every bit depends on every bit of those given (SplitMix64's finaliser)."""
    keys = keys ^ (keys >> np.uint64(30))
    keys *= np.uint64(0xBF58476D1CE4E5B9)
    keys ^= keys >> np.uint64(27)
    keys *= np.uint64(0x94D049BB133111EB)
    keys ^= keys >> np.uint64(31)
    return keys


def _of_numbers(numbers: npt.NDArray[np.float64]) -> Keys:
    # Adding zero makes -0.0 and 0.0 the same bits.
    return np.where(np.isnan(numbers), _MISSING, (numbers + 0.0).view(np.uint64))


def _of_words(words: Any) -> Keys:
    plain = np.asarray(words, dtype=object)
    hashes: Keys = pd.util.hash_array(plain, categorize=False)
    numbers = np.asarray(pd.to_numeric(pd.Series(plain, dtype="str"), errors="coerce"), dtype=np.float64)
    return np.where(np.isnan(numbers), hashes, _of_numbers(numbers))


def _of_name(name: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little"))


def _whole_column(frame: pd.DataFrame, name: str, option: str) -> pd.Series[Any]:
    if name not in frame:
        raise TrainingError(f"there is no column {name!r}; there are {', '.join(map(str, frame.columns))}")
    missing = frame[name].isna().to_numpy()
    if missing.any():
        raise TrainingError(
            f"{option}: column {name!r}, row {int(missing.argmax()) + 1} has no value; every row needs one: "
            "fill it in or leave the row out"
        )
    return frame[name]


def _as_times(column: pd.Series[Any]) -> npt.NDArray[Any]:
    if types.is_string_dtype(column.dtype):
        dates = as_dates(column)
        if dates is None:
            raise TrainingError(
                f"--time: column {column.name!r}, row 1 holds {str(column.iloc[0])[:40]!r}; "
                "dates such as 2026-11-22 or numbers are needed"
            )
        column = dates
    return column.to_numpy() if types.is_datetime64_dtype(column.dtype) else column.to_numpy(dtype=np.float64)
