"""Numbers as people write them, and words for a missing value, in columns that were read as text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from app.training.layout import is_number
from app.training.normalise import LARGEST_EXACT

# Beside those that pandas knows. Missing only where all others are numbers: "-" may be a category.
_MISSING = frozenset(
    {"-", "--", "?", ".", "..", "na", "n.a.", "n/a", "nil", "#value!", "#div/0!", "#ref!", "#name?", "#num!", "#null!"}
)
_UNKNOWN = "?"
_PROBE = 100
_UNITS = "$€£¥%"
# A sign, a unit before or after, and what is between.
_WRITTEN = re.compile(rf"([+-]?)\s*([{_UNITS}]?)\s*(\d[\d.,'\u2019\s\u00a0\u202f]*?|[.,]\d+)\s*([{_UNITS}]?)")
# A longer word is none: this spares looking through texts.
_LONGEST = 100
_WHOLE = re.compile(r"[+-]?\d{1,20}")
# pandas' integers that may be missing, and from where to where they go.
_WHOLE_DTYPES = (("Int64", -(2**63), 2**63 - 1), ("UInt64", 0, 2**64 - 1))
# Blanks between thousands, the narrow ones and those that do not break too, or apostrophes.
_GAPS = " \u00a0\u202f'\u2019"


@dataclass(frozen=True)
class _Style:
    """One way to write numbers: what they look like, what stands between thousands, and the decimal mark."""

    pattern: re.Pattern[str]
    between: str
    decimal: str

    def value(self, word: str) -> float:
        return float(word.translate(str.maketrans("", "", self.between)).replace(self.decimal, "."))


_PLAIN = _Style(re.compile(r"\d+(\.\d+)?|\.\d+"), "", ".")
_COMMA = _Style(re.compile(r"\d+(,\d+)?|,\d+"), "", ",")
# No leading zero: 030 123 456 is a telephone number.
_ENGLISH = _Style(re.compile(r"(\d+|[1-9]\d{0,2}(,\d{3})+)(\.\d+)?"), ",", ".")
_CONTINENTAL = _Style(re.compile(r"(\d+|[1-9]\d{0,2}(\.\d{3})+)(,\d+)?"), ".", ",")
_GAPPED = _Style(re.compile(rf"(\d+|[1-9]\d{{0,2}}([{_GAPS}]\d{{3}})+)(\.\d+)?"), _GAPS, ".")
_GAPPED_COMMA = _Style(re.compile(rf"(\d+|[1-9]\d{{0,2}}([{_GAPS}]\d{{3}})+)(,\d+)?"), _GAPS, ",")
_STYLES = {
    ".": (_PLAIN, _ENGLISH, _CONTINENTAL, _GAPPED, _GAPPED_COMMA),
    ",": (_PLAIN, _COMMA, _CONTINENTAL, _ENGLISH, _GAPPED_COMMA, _GAPPED),
}
# Reads a word as a number; NaN where it is none.
NumberReader = Callable[[str], float]


def read_written(frame: pd.DataFrame, decimal: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Turn columns of text that are numbers, written with separators or units, into float64; say which.

    Thousands may be divided by commas, dots, blanks or apostrophes; one unit, a currency's sign or %, is
    left out, and the number kept as it is written. Where all other values are numbers, words such as -
    and ? are missing values; among other words only ? is one. `decimal` decides what 1,234 means.
    """
    notes: list[str] = []
    read: dict[str, pd.Series[Any]] = {}
    for name in frame:
        column = frame[name]
        if isinstance(column.dtype, pd.StringDtype) and (found := _read_column(column, decimal)):
            read[str(name)], said = found
            notes += [f"column {name!r}: {note}" for note in said]
    return (frame.assign(**read) if read else frame), tuple(notes)


def find_number_reader(words: list[str]) -> NumberReader:
    """Return what reads numbers in the one way, and with the one unit or none, in which most of the words are."""
    units = Counter(unit for unit in map(_unit, words) if unit is not None)
    unit = units.most_common(1)[0][0] if units else ""
    readers = [_reader(style, unit) for style in dict.fromkeys(_STYLES["."] + _STYLES[","])]
    return max(readers, key=lambda read: np.count_nonzero(~np.isnan([read(word) for word in words])))


def is_missing(word: str) -> bool:
    """Tell whether a word among numbers stands for a missing one."""
    return word.strip().lower() in _MISSING


def _unit(word: str) -> str | None:
    """Return the unit of a number, "" for none; None where the word is no number."""
    if is_number(word):
        return ""
    match = _match(word)
    return match[2] + match[4] if match else None


def _match(word: str) -> re.Match[str] | None:
    return _WRITTEN.fullmatch(_clean(word)) if len(word) <= _LONGEST else None


def _reader(style: _Style, unit: str) -> NumberReader:
    def read(word: str) -> float:
        # With an exponent as well, which is never divided or written with a comma.
        if not unit and style.decimal == "." and is_number(word):
            return float(word)
        match = _match(word)
        if match is None or match[2] + match[4] != unit or not style.pattern.fullmatch(match[3]):
            return np.nan
        return style.value(match[1] + match[3])

    return read


def _read_column(column: pd.Series[Any], decimal: str) -> tuple[pd.Series[Any], list[str]] | None:
    codes, words = pd.factorize(column)
    probe = [word for word in map(_clean, words[:_PROBE]) if word.lower() not in _MISSING]
    if not probe or _find_style(probe, decimal) is None:
        return _without_unknown(column)
    cleaned = [_clean(word) for word in words]
    present = [word for word in cleaned if word.lower() not in _MISSING]
    found = _find_style(present, decimal)
    if found is None:
        return _without_unknown(column)
    style, unit = found
    notes = _describe(present, style, unit, cleaned)
    if (exact := _as_whole(cleaned)) is not None:
        return pd.Series(exact[codes], index=column.index), notes
    values = [np.nan if word.lower() in _MISSING else _value(word, style) for word in cleaned]
    # The last place is that of the code -1, a missing value.
    return pd.Series(np.array([*values, np.nan])[codes], index=column.index), notes


def _as_whole(words: list[str]) -> Any | None:
    """Return whole numbers exactly, and a missing value at the end; None where floats hold them, or 64 bits do not."""
    numbers = [None if word.lower() in _MISSING else word for word in words]
    whole = [int(number) for number in numbers if number is not None and _WHOLE.fullmatch(number)]
    if len(whole) < len(numbers) - numbers.count(None) or max(map(abs, whole)) <= LARGEST_EXACT:
        return None
    fits = (dtype for dtype, low, high in _WHOLE_DTYPES if low <= min(whole) and max(whole) <= high)
    dtype: Any = next(fits, None)
    return dtype and pd.array([None if number is None else int(number) for number in [*numbers, None]], dtype=dtype)


def _clean(word: str) -> str:
    # The minus sign of typography is one.
    return word.strip().replace("\u2212", "-")


def _find_style(words: list[str], decimal: str) -> tuple[_Style, str] | None:
    """Return the first way in which all words can be read as numbers, and their common unit, "" for none."""
    matches = [_WRITTEN.fullmatch(word) for word in words]
    if not all(matches):
        return None
    units = {match[2] + match[4] for match in matches if match}
    if len(units) > 1:
        return None
    numbers = [match[3] for match in matches if match]
    style = next((style for style in _STYLES[decimal] if all(map(style.pattern.fullmatch, numbers))), None)
    return None if style is None else (style, units.pop())


def _value(word: str, style: _Style) -> float:
    match = _WRITTEN.fullmatch(word)
    assert match is not None  # noqa: S101  # every word matched when the style was found
    return style.value(match[1] + match[3])


def _describe(words: list[str], style: _Style, unit: str, cleaned: list[str]) -> list[str]:
    notes = []
    odd = next((word for word in words if not _PLAIN.pattern.fullmatch(word.lstrip("+-"))), None)
    if odd is not None:
        left_out = f", without {unit}" if unit else ""
        notes.append(f"{odd!r} and the like are read as {_value(odd, style):.15g}{left_out}; send such numbers")
    if missing := sorted({word for word in cleaned if word.lower() in _MISSING}):
        notes.append(f"{', '.join(map(repr, missing))} taken for a missing value")
    return notes


def _without_unknown(column: pd.Series[Any]) -> tuple[pd.Series[Any], list[str]] | None:
    unknown = column.str.strip() == _UNKNOWN
    if not unknown.any() or unknown.sum() == column.notna().sum():
        return None
    return column.mask(unknown), [f"{_UNKNOWN!r} taken for a missing value"]
