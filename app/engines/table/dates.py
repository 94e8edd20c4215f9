"""Parts of dates, as :class:`app.training.transformers.DateParts` takes them from pandas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from app.engines.base import Doubt
from app.signature import Array

PARTS = ("year", "month", "day", "weekday", "hour", "days")

_SECONDS_A_DAY = 86_400
_NANOSECONDS_A_SECOND = 1_000_000_000
_MINUTES_AN_HOUR = 60
# Nanoseconds since 1970 in 64 bits begin and end within these years.
_FIRST, _LAST = np.datetime64("1678-01-01"), np.datetime64("2262-01-01")
_EPOCH_WEEKDAY = 3


def date_part(dates: Array, part: str) -> npt.NDArray[np.float64]:
    """Return one of PARTS of an array of ``datetime64``, shape (n,), as float64; NaN for a missing date.

    Raises
    ------
    Doubt
        A date outside of what pandas' nanoseconds hold, for which it raises.
    """
    missing = np.isnat(dates)
    if (~missing & ((dates < _FIRST) | (dates >= _LAST))).any():
        raise Doubt("a date lies outside of 1678 to 2261")
    return np.where(missing, np.nan, _PARTS[part](dates))


def _count(dates: Array, unit: str) -> npt.NDArray[np.int64]:
    return dates.astype(f"datetime64[{unit}]").astype(np.int64)


def _day(dates: Array) -> Any:
    return _count(dates, "D") - _count(dates.astype("datetime64[M]"), "D") + 1


def _hour(dates: Array) -> Any:
    minutes = _count(dates, "m") - _count(dates, "D") * (24 * _MINUTES_AN_HOUR)
    return minutes // _MINUTES_AN_HOUR + minutes % _MINUTES_AN_HOUR / _MINUTES_AN_HOUR


_PARTS: dict[str, Callable[[Array], Any]] = {
    "year": lambda dates: _count(dates, "Y") + 1970,
    "month": lambda dates: _count(dates, "M") % 12 + 1,
    "day": _day,
    "weekday": lambda dates: (_count(dates, "D") + _EPOCH_WEEKDAY) % 7,
    "hour": _hour,
    "days": lambda dates: _count(dates, "ns") / _NANOSECONDS_A_SECOND / _SECONDS_A_DAY,
}
