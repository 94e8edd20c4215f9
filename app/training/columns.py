"""What kind of values each column holds, and which columns are of no use."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from pandas.api import types

from app.training.errors import TrainingError
from app.training.layout import is_number

Kind = Literal["number", "category", "boolean", "date", "text"]

_DATE_FORMATS = ("ISO8601", "%Y/%m/%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%Y/%m/%d %H:%M:%S", "%m/%d/%Y %H:%M")
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}")
_ID_NAME = re.compile(r"(^|[_\W])(id|ids|uuid|guid|index|rownames?|row|rowid|serial)$", re.IGNORECASE)
_CAMEL_ID = re.compile(r"[a-z]I[dD]$")
_PROBE = 500
_WORDS_OF_A_TEXT = 3
_DISTINCT_SHARE_OF_A_TEXT = 0.3
_ROWS_TO_TELL_AN_ID = 20
_SHARE_OF_NUMBERS = 0.98


@dataclass(frozen=True)
class Columns:
    """The features by kind; `dropped` says why a column is of no use; `names` are all, in the table's order."""

    names: tuple[str, ...]
    kinds: dict[str, Kind]
    dropped: dict[str, str] = field(default_factory=dict)

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

    Returns the features, those written as text but holding dates turned into ``datetime64``, and
    the kinds. A column that is constant, all missing or an identifier is named in ``dropped``,
    unless `keep_all` says that each is to be used.

    Raises
    ------
    TrainingError
        A column of numbers with a few values that are none, an infinite value, or nothing to learn from.
    """
    converted = {str(name): _convert(features[name], str(name)) for name in features}
    if any(column.dtype != features[name].dtype for name, column in converted.items()):
        features = pd.DataFrame(converted, copy=False)
    kinds: dict[str, Kind] = {}
    dropped: dict[str, str] = {}
    for name, column in converted.items():
        reason = None if keep_all else _why_useless(column, name)
        if reason is None:
            kinds[name] = find_kind(column)
        else:
            dropped[name] = reason
    if not kinds:
        told = ", ".join(f"{name!r} is {reason}" for name, reason in dropped.items())
        raise TrainingError(f"no column is left to learn from: {told}")
    return features, Columns(tuple(converted), kinds, dropped)


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


def _convert(column: pd.Series[Any], name: str) -> pd.Series[Any]:
    if types.is_float_dtype(column.dtype):
        _refuse_infinite(column, name)
    if not types.is_string_dtype(column.dtype):
        return column
    if (dates := as_dates(column)) is not None:
        return dates
    _refuse_stray_words(column, name)
    return column


def _refuse_infinite(column: pd.Series[Any], name: str) -> None:
    infinite = np.flatnonzero(np.isinf(column.to_numpy(dtype=np.float64)))
    if infinite.size:
        raise TrainingError(f"column {name!r}, row {infinite[0] + 1} is infinite; correct it or leave it empty")


def as_dates(column: pd.Series[Any]) -> pd.Series[Any] | None:
    """Return a column of written dates as datetime64 in UTC; None where it holds anything else."""
    probe = column.dropna().head(_PROBE)
    if probe.empty or not probe.str.match(_DATE).all():
        return None
    for layout in _DATE_FORMATS:
        try:
            return pd.to_datetime(column, format=layout, utc=True).dt.tz_localize(None)
        except (ValueError, OverflowError):
            continue
    return None


def _refuse_stray_words(column: pd.Series[Any], name: str) -> None:
    """Refuse a column that is numbers but for a few values: as categories they would be worth nothing."""
    present = column.dropna()
    probe = present.head(_PROBE)
    if len(present) < _ROWS_TO_TELL_AN_ID or probe.map(is_number).mean() < _SHARE_OF_NUMBERS:
        return
    stray = present[~present.map(is_number)]
    if 0 < len(stray) <= (1 - _SHARE_OF_NUMBERS) * len(present):
        where = f"column {name!r}, row {stray.index[0] + 1}"
        others = f"as the {len(present) - len(stray)} others are"
        raise TrainingError(
            f"{where}: {str(stray.iloc[0])[:40]!r} is not a number, {others}; "
            "correct it, leave it empty or --drop the column"
        )


def _why_useless(column: pd.Series[Any], name: str) -> str | None:
    missing = column.isna()
    if missing.all():
        return "all missing"
    if types.is_numeric_dtype(column.dtype):
        present = column[~missing] if missing.any() else column
        constant = present.min() == present.max()
    else:
        constant = column.nunique() == 1
    # A value that is either there or missing still tells something.
    if constant and not missing.any():
        return "constant"
    return "an identifier" if _is_identifier(column, name) else None


def _is_identifier(column: pd.Series[Any], name: str) -> bool:
    """Tell a column whose values only name their row: all different, and called so or codes."""
    if len(column) < _ROWS_TO_TELL_AN_ID or types.is_float_dtype(column.dtype) or types.is_bool_dtype(column.dtype):
        return False
    called_so = bool(_ID_NAME.search(name) or _CAMEL_ID.search(name))
    if types.is_string_dtype(column.dtype):
        return bool(column.is_unique) and (called_so or find_kind(column) != "text")
    return called_so and bool(column.is_unique)
