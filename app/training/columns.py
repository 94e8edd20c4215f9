"""What kind of values each column holds, and which columns are of no use."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from pandas.api import types

from app.training.dates import as_dates
from app.training.errors import TrainingError
from app.training.normalise import LARGEST_EXACT, greatest
from app.training.strangers import find_strangers

Kind = Literal["number", "category", "boolean", "date", "text"]

_ID_NAME = re.compile(r"(^|[_\W])(id|ids|uuid|guid|index|rownames?|row|rowid|serial)$", re.IGNORECASE)
_CAMEL_ID = re.compile(r"[a-z]I[dD]$")
_PROBE = 500
_WORDS_OF_A_TEXT = 3
_DISTINCT_SHARE_OF_A_TEXT = 0.3
_ROWS_TO_TELL_AN_ID = 20
_SHOWN = 40


@dataclass(frozen=True)
class Columns:
    """The features by kind; `dropped` says why a column is of no use; `names` are all, in the table's order.

    `notes` say what the values of a column are taken for where that may surprise, one line each.
    """

    names: tuple[str, ...]
    kinds: dict[str, Kind]
    dropped: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def of(self, kind: Kind) -> list[str]:
        """Return the names of the columns of `kind`."""
        return [name for name, found in self.kinds.items() if found == kind]

    @property
    def all_numbers(self) -> bool:
        """Whether every feature is a number, so that a plain array can hold them."""
        return set(self.kinds.values()) == {"number"}

    @property
    def only_text(self) -> bool:
        """Whether the only feature is a text."""
        return list(self.kinds.values()) == ["text"] and not self.dropped


def find_columns(features: pd.DataFrame, *, keep_all: bool = False) -> tuple[pd.DataFrame, Columns]:
    """Find each feature's kind.

    Returns the features, those written as text but holding dates turned into ``datetime64``, pandas'
    own integers into float64, and the kinds. A column that is constant, all missing or an identifier
    is named in ``dropped``, unless `keep_all` says that each is to be used.

    Raises
    ------
    TrainingError
        A column of numbers with a few values that are none, an infinite value, or nothing to learn from.
    """
    converted = {str(name): _convert(features[name], str(name)) for name in features}
    kinds: dict[str, Kind] = {}
    dropped: dict[str, str] = {}
    notes: list[str] = []
    for name, column in converted.items():
        notes += _describe_strangers(column)
        reason = None if keep_all else _why_useless(column, name)
        if reason is None:
            kinds[name] = find_kind(column)
            notes += describe_rounding(column)
            notes += describe_spellings(column) if kinds[name] == "category" else ()
        else:
            dropped[name] = reason
    if not kinds:
        told = ", ".join(f"{name!r} is {reason}" for name, reason in dropped.items())
        raise TrainingError(f"no column is left to learn from: {told}")
    plain = {name: as_floats(column) if _is_exact(column) else column for name, column in converted.items()}
    if any(column.dtype != features[name].dtype for name, column in plain.items()):
        features = pd.DataFrame(plain, copy=False)
    return features, Columns(tuple(plain), kinds, dropped, tuple(notes))


def find_kind(column: pd.Series[Any]) -> Kind:
    """Return what kind of values a column holds, judged by its dtype and, for text, its words."""
    if types.is_bool_dtype(column.dtype):
        return "boolean"
    if types.is_numeric_dtype(column.dtype):
        return "number"
    if types.is_datetime64_dtype(column.dtype):
        return "date"
    present = column.dropna()
    sample = present.head(_PROBE)
    words = sample.str.count(r"\s+").mean() + 1
    distinct = present.nunique() / len(present)
    return "text" if words > _WORDS_OF_A_TEXT and distinct > _DISTINCT_SHARE_OF_A_TEXT else "category"


def describe_rounding(column: pd.Series[Any]) -> tuple[str, ...]:
    """Say that whole numbers are so large that a model, which takes float64, confuses some of them."""
    if not types.is_integer_dtype(column.dtype) or greatest(column) <= LARGEST_EXACT:
        return ()
    exact, told_apart = column.nunique(), as_floats(column).nunique()
    if exact == told_apart:
        return ()
    return (
        f"column {column.name!r} holds {exact} different whole numbers beyond 2**53, of which float64 tells "
        f"{told_apart} apart: subtract what they share or, if they are names, put a letter before each",
    )


def describe_spellings(column: pd.Series[Any]) -> tuple[str, ...]:
    """Say that words, each a category or class of its own, look alike but for capitals and blanks."""
    words = pd.Series(column.dropna().unique(), dtype="str")
    alike = words.groupby(words.map(_spell)).transform("size") > 1
    if not alike.any():
        return ()
    first = words[alike].iloc[0]
    other = next(word for word in words[alike].iloc[1:] if _spell(word) == _spell(first))
    return (
        f"column {column.name!r}: {alike.sum()} of its {len(words)} words look alike but for capitals and blanks, "
        f"such as {first[:_SHOWN]!r} and {other[:_SHOWN]!r}; they are taken for different ones: "
        "write them alike if they are not",
    )


def _spell(word: str) -> str:
    # An accent may be a part of its letter or come after it.
    return " ".join(unicodedata.normalize("NFC", word).casefold().split())


def as_floats(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return a column of numbers as float64."""
    return pd.Series(column.to_numpy(dtype=np.float64, na_value=np.nan), index=column.index, name=column.name)


def _is_exact(column: pd.Series[Any]) -> bool:
    """Tell a column of the integers that the table keeps for their digits alone."""
    return isinstance(column.dtype, pd.Int64Dtype | pd.UInt64Dtype)


def _convert(column: pd.Series[Any], name: str) -> pd.Series[Any]:
    if types.is_float_dtype(column.dtype):
        _refuse_infinite(column, name)
    dates = as_dates(column) if types.is_string_dtype(column.dtype) else None
    return column if dates is None else dates


def _refuse_infinite(column: pd.Series[Any], name: str) -> None:
    infinite = column.index[np.isinf(column.to_numpy(dtype=np.float64))]
    if infinite.size:
        raise TrainingError(f"column {name!r}, row {infinite[0] + 1} is infinite; correct it or leave it empty")


def _describe_strangers(column: pd.Series[Any]) -> list[str]:
    """Refuse a column that is numbers but for a few values: as categories they would be worth nothing."""
    strangers = find_strangers(column) if types.is_string_dtype(column.dtype) else None
    if strangers is None:
        return []
    if strangers.few:
        raise strangers.refuse("correct it, leave it empty or --drop the column")
    return [strangers.describe()]


def _why_useless(column: pd.Series[Any], name: str) -> str | None:
    missing = column.isna()
    if missing.all():
        return "all missing"
    # A value that is either there or missing still tells something.
    whole = not missing.any()
    numeric = types.is_numeric_dtype(column.dtype)
    constant = column.min() == column.max() if numeric else column.nunique() == 1
    if whole and constant and not _may_hide_others(column):
        return "constant"
    if _is_identifier(column, name):
        return "an identifier"
    if whole and numeric and float(column.min()) == float(column.max()):
        return "constant as float64, which cannot tell whole numbers beyond 2**53 apart"
    return None


def _may_hide_others(column: pd.Series[Any]) -> bool:
    """Tell a column of floats so large that whole numbers may have been rounded to them."""
    return types.is_float_dtype(column.dtype) and greatest(column) > LARGEST_EXACT


def _is_identifier(column: pd.Series[Any], name: str) -> bool:
    """Tell a column whose values only name their row: all different, and called so or codes."""
    if len(column) < _ROWS_TO_TELL_AN_ID or types.is_float_dtype(column.dtype) or types.is_bool_dtype(column.dtype):
        return False
    called_so = bool(_ID_NAME.search(name) or _CAMEL_ID.search(name))
    if types.is_string_dtype(column.dtype):
        return bool(column.is_unique) and (called_so or find_kind(column) != "text")
    return called_so and bool(column.is_unique)
