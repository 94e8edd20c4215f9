"""Strangers' words made fit to be shown: readable, on one line, and no longer than a place for them is wide."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

_JOINERS = "\u200c\u200d"  # what holds an emoji's parts together
_LONGEST = 60


def readable(value: Any, most: int = _LONGEST) -> str:
    """Return `value` in words of at most `most` characters, with control characters written out."""
    if isinstance(value, float | np.floating):
        return f"{value:.6g}"
    # More than is shown, and still little of a text of any length.
    text = " ".join(str(value)[: 4 * most].split())
    text = "".join(
        char if char.isprintable() or char in _JOINERS else char.encode("unicode_escape").decode() for char in text
    )
    return text if len(text) <= most else text[: most - 1] + "…"


def abridged(text: str, most: int) -> str:
    """Return `text` in at most `most` characters: its beginning and its end, which is where names differ."""
    if len(text) <= most:
        return text
    end = (most - 1) // 2
    return f"{text[: most - 1 - end]}…{text[len(text) - end :]}"


def in_a_line(fault: Exception) -> str:
    """Return what an exception says, in one line."""
    return readable(f"{type(fault).__name__}: {(str(fault).splitlines() or [''])[0]}", 200)


def plain(value: Any, most: int = _LONGEST) -> str | int | float | bool | None:
    """Return a cell as JSON has it: None where it is missing, a number, else words."""
    if value is None or value is pd.NaT or (isinstance(value, float | np.floating) and not math.isfinite(value)):
        return None
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(f"{value:.6g}")
    return readable(value, most)
