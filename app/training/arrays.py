"""NPY and NPZ -> a Table; never with pickle."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from app.training.errors import TrainingError
from app.training.files import Opened, check_archive
from app.training.layout import Wanted
from app.training.table import Table

Array = npt.NDArray[Any]

TARGET = "target"
_PAIRS = (("X", "y"), ("x", "y"), ("data", "target"))
_SPLIT = ("x_train", "y_train", "x_test", "y_test")
_TABLE_DIMENSIONS = 2


def read_npy(opened: Opened, wanted: Wanted) -> Table:
    """Read a 2-D array of numbers, shape (n, n_features + 1), whose last column is the target."""
    source = opened.name
    array = _load(opened)
    if array.ndim != _TABLE_DIMENSIONS or array.dtype.kind not in "biuf":
        raise TrainingError(
            f"{source}: holds {array.dtype} of shape {array.shape}; "
            "a table of numbers of shape (rows, columns) is needed, its last column the target"
        )
    if array.shape[1] < _TABLE_DIMENSIONS:
        raise TrainingError(f"{source}: has only one column; a target and at least one feature are needed")
    return Table(_frame(array[:, :-1], array[:, -1]), source, named=False, target=TARGET)


def read_npz(opened: Opened, wanted: Wanted) -> Table:
    """Read ``x_train, y_train, x_test, y_test``, ``X, y``, ``x, y`` or ``data, target``.

    Samples of more than one dimension, such as images of shape (n, height, width), are flattened to
    rows of shape (n, height * width). A test split in the file becomes the held-out rows.
    """
    source = opened.name
    check_archive(opened)
    arrays = _load(opened)
    members = _members(arrays, source)
    if set(_SPLIT) <= members.keys():
        x_train, y_train = _checked(members, "x_train", "y_train", source)
        x_test, y_test = _checked(members, "x_test", "y_test", source)
        if x_train.shape[1] != x_test.shape[1]:
            raise TrainingError(
                f"{source}: x_train has {x_train.shape[1]} values a row and x_test has {x_test.shape[1]}"
            )
        frame = _frame(np.concatenate([x_train, x_test]), np.concatenate([y_train, y_test]))
        return Table(frame, source, named=False, target=TARGET, n_held_out=len(x_test))
    for x_name, y_name in _PAIRS:
        if {x_name, y_name} <= members.keys():
            X, y = _checked(members, x_name, y_name, source)
            return Table(_frame(X, y), source, named=False, target=TARGET)
    held = ", ".join(map(repr, members)) or "nothing"
    raise TrainingError(f"{source}: holds {held}; x_train, y_train, x_test, y_test or X, y or data, target are needed")


def _load(opened: Opened) -> Any:
    try:
        return np.load(opened.stream, allow_pickle=False)
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as fault:
        raise TrainingError(f"{opened.name}: {_reason(fault)}") from fault


def _members(archive: Any, source: str) -> dict[str, Array]:
    try:
        return {name: archive[name] for name in archive.files}
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as fault:
        raise TrainingError(f"{source}: {_reason(fault)}") from fault


def _reason(fault: Exception) -> str:
    if "allow_pickle" in str(fault) or "pickle" in str(fault).lower():
        return "holds pickled objects or is no NumPy file; only plain arrays are read (save without objects)"
    return f"is not a whole NumPy file ({fault})"


def _checked(members: Mapping[str, Array], x_name: str, y_name: str, source: str) -> tuple[Array, Array]:
    X, y = members[x_name], members[y_name]
    if X.ndim < 1 or X.dtype.kind not in "biuf":
        raise TrainingError(f"{source}: {x_name} holds {X.dtype} of shape {X.shape}; numbers are needed")
    if y.ndim == _TABLE_DIMENSIONS and y.shape[1] == 1:
        y = y.ravel()
    if y.ndim != 1 or y.dtype.kind not in "biufU":
        raise TrainingError(
            f"{source}: {y_name} holds {y.dtype} of shape {y.shape}; one label or number a row is needed"
        )
    if len(X) != len(y):
        raise TrainingError(f"{source}: {x_name} has {len(X)} rows and {y_name} has {len(y)}")
    return X.reshape(len(X), int(np.prod(X.shape[1:], dtype=np.int64))), y


def _frame(X: Array, y: Array) -> pd.DataFrame:
    frame = pd.DataFrame(X, columns=[f"x{index}" for index in range(X.shape[1])], copy=False)
    frame[TARGET] = y
    return frame
