"""Rows of a large table in a file that is mapped into memory, so that they can be out of it while others are needed."""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Sequence
from typing import Any
from weakref import WeakSet

import numpy as np
import numpy.typing as npt
import pandas as pd

from app.training.problem import Rows

# Of so many bytes on it is worth a file.
_LARGE = 64 << 20
_ALIGNMENT = 64

_spooled: WeakSet[mmap.mmap] = WeakSet()


def spool(rows: Rows) -> Rows:
    """Return equal rows whose numbers, where they are many, are in a temporary file that goes when they do.

    Texts stay in memory. So does everything where the file cannot be written.
    """
    if isinstance(rows, list):
        return rows
    if isinstance(rows, np.ndarray):
        return _map([rows])[0]
    plain = [str(name) for name, dtype in rows.dtypes.items() if isinstance(dtype, np.dtype) and not dtype.hasobject]
    mapped = dict(zip(plain, _map([rows[name].to_numpy() for name in plain]), strict=True))
    columns = {
        name: pd.Series(mapped[name], rows.index, copy=False) if name in mapped else rows[name]
        for name in map(str, rows)
    }
    return pd.DataFrame(columns, copy=False)


def let_go() -> None:
    """Take the rows that are in files out of memory; they come back as they are read."""
    for mapped in _spooled:
        mapped.madvise(mmap.MADV_DONTNEED)


def _map(arrays: Sequence[npt.NDArray[Any]]) -> Sequence[npt.NDArray[Any]]:
    if sum(array.nbytes for array in arrays) < _LARGE:
        return arrays
    places = []
    try:
        with tempfile.TemporaryFile(buffering=0) as file:
            for array in arrays:
                places.append(file.seek(-file.tell() % _ALIGNMENT, os.SEEK_CUR))
                np.ascontiguousarray(array).tofile(file)
            # Shared with the file, so that what is written is not lost when the rows are let go.
            mapped = mmap.mmap(file.fileno(), 0)
    except OSError:
        return arrays
    _spooled.add(mapped)
    return [np.ndarray(array.shape, array.dtype, mapped, place) for array, place in zip(arrays, places, strict=True)]
