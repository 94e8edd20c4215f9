"""Which of the rows that are held out now an earlier version has not learnt from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from app.training.marks import Marks, mixed
from app.training.split import below

# What two trainings agree in where the same rows were held out.
_ALIKE = ("source", "sha256", "rows", "target", "split", "group", "time", "test_size")


def find_unseen(then: Mapping[str, Any], now: Mapping[str, Any], marks: Marks | None) -> npt.NDArray[np.bool_] | None:
    """Tell of each row that is held out now whether an earlier version cannot have learnt from it.

    Parameters
    ----------
    then, now
        What the manifests of the earlier version and of the new one say of their data.
    marks
        Those of the rows that are held out now, shape (n,).

    Returns None where nothing is known of what the earlier version learnt from: it was not trained here. Rows that
    may be among those it learnt from are taken to be.
    """
    if marks is None or "split" not in then:
        return None
    rule = then["split"]
    known = not then.get("refitted")
    if all_alike(then, now):
        return np.full(len(marks.keys), known)
    if known and rule == "content" and then.get("hashed") == now.get("hashed"):
        return below(mixed(marks.keys), then["test_size"])
    if known and rule == "group" and then["group"] == now["group"] and marks.groups is not None:
        return below(mixed(marks.groups), then["test_size"])
    if known and rule == "time" and then["time"] == now["time"] and marks.times is not None:
        return _since(marks.times, then.get("held_out_since"))
    return np.zeros(len(marks.keys), dtype=np.bool_)


def all_alike(then: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Tell whether the same rows were held out, of the same data."""
    # The seed decides who is held out only where rows are drawn.
    keys = (*_ALIKE, "seed") if now.get("split") == "drawn" else _ALIKE
    return all(then.get(key) == now.get(key) for key in keys)


def earliest(marks: Marks) -> str | float | None:
    """Return the first of the times of some rows, as a JSON value; None where they have none."""
    if marks.times is None:
        return None
    first = marks.times.min()
    return str(first) if marks.times.dtype.kind == "M" else float(first)


def _since(times: npt.NDArray[Any], begin: str | float | None) -> npt.NDArray[np.bool_]:
    if isinstance(begin, str) and times.dtype.kind == "M":
        return np.asarray(times >= np.datetime64(begin))
    if isinstance(begin, float) and times.dtype.kind != "M":
        return np.asarray(times >= begin)
    return np.zeros(len(times), dtype=np.bool_)
