"""Dates as people write them, in columns that were read as text."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

_FORMATS = ("ISO8601", "%Y/%m/%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%Y/%m/%d %H:%M:%S", "%m/%d/%Y %H:%M")
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}")
_PROBE = 500


def as_dates(column: pd.Series[Any]) -> pd.Series[Any] | None:
    """Return a column of written dates as datetime64 in UTC; None where it holds anything else."""
    probe = column.dropna().head(_PROBE)
    if probe.empty or not probe.str.match(_DATE).all():
        return None
    for layout in _FORMATS:
        try:
            return pd.to_datetime(column, format=layout, utc=True).dt.tz_localize(None)
        except (ValueError, OverflowError):
            continue
    return None


def find_date_format(words: list[str]) -> tuple[str, float]:
    """Return the format in which most of the words can be read, and what share can be read in any."""
    if not any(map(_DATE.match, words)):
        return _FORMATS[0], 0.0
    read = np.array([are_dates(words, layout) for layout in _FORMATS])
    return _FORMATS[int(read.sum(axis=1).argmax())], float(read.any(axis=0).mean())


def are_dates(words: list[str], layout: str) -> npt.NDArray[np.bool_]:
    """Tell which words are dates in one format."""
    looks = np.array([bool(_DATE.match(word)) for word in words])
    return looks & pd.to_datetime(pd.Series(words, dtype="str"), format=layout, utc=True, errors="coerce").notna()
