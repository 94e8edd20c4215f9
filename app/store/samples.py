"""Rows that an estimator was fitted on, in whatever container its author had them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from app.errors import StoreError
from app.signature import Batch, Container, Input, Signature
from app.wire.rows import from_rows

if TYPE_CHECKING:
    import pandas as pd

# So many rows of the sample become golden rows and answer the questions about missing values.
FEW = 5


@dataclass(frozen=True)
class Sample:
    """A sample of rows in one of the signature's containers.

    ``data`` is a DataFrame for ``frame``, an array for ``array``, ``objects`` and ``vector``, a list of
    strings for ``texts``.
    """

    container: Container
    data: Any
    names: tuple[str, ...]
    dtypes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.data)

    def columns(self) -> Iterator[Any]:
        """Yield the columns, in order; a Series each for frames."""
        if self.container == "frame":
            yield from (self.data.iloc[:, index] for index in range(self.data.shape[1]))
        elif self.container == "vector":
            yield self.data
        else:
            yield from self.data.T

    def few(self) -> Any:
        """Return up to FEW rows in the sample's own container, spread over it."""
        chosen = np.unique(np.linspace(0, len(self.data) - 1, FEW).astype(int))
        if self.container == "frame":
            return self.data.iloc[chosen]
        return [self.data[index] for index in chosen] if self.container == "texts" else self.data[chosen]

    def rows(self) -> list[Any]:
        """Return those few rows as JSON values, by position."""
        few = self.few()
        if self.container == "texts":
            return list(few)
        if self.container != "frame":
            return [[_plain(value) for value in row] for row in few.reshape(len(few), -1).tolist()]
        columns = [[_plain(value) for value in few.iloc[:, index].tolist()] for index in range(few.shape[1])]
        return [list(row) for row in zip(*columns, strict=True)]

    def head(self) -> Batch:
        """Return those few rows as the batch that the service would make of them."""
        # Everything is taken as nullable and used until the estimator was asked.
        inputs = tuple(
            Input(name, dtype, True, True, self._categories(index)) for index, (name, dtype) in self._fields()
        )
        return from_rows(Signature(self.container, inputs, {}), self.rows())

    def _fields(self) -> list[tuple[int, tuple[str, str]]]:
        return list(enumerate(zip(self.names, self.dtypes, strict=True)))

    def _categories(self, index: int) -> tuple[Any, ...] | None:
        if self.dtypes[index] != "category":
            return None
        return tuple(self.data.iloc[:, index].cat.categories.tolist())


def take_sample(X: Any, feature_names: Sequence[str] | None = None) -> Sample:
    """Recognise the container of `X`.

    Parameters
    ----------
    X
        A DataFrame; an array of shape (n, n_features) of numbers, booleans, strings or objects; an array of
        shape (n,) of numbers; a Series, a list or an array of n strings.
    feature_names
        The inputs' names where `X` has none.

    Raises
    ------
    StoreError
        It has no rows, or is none of these.
    """
    if hasattr(X, "iloc") and hasattr(X, "to_frame"):
        X = X.tolist() if _all_strings(X.tolist()) else X.to_numpy()
    if not hasattr(X, "__len__") or len(X) == 0:
        raise StoreError("the sample has no rows; give at least one row like those the estimator was fitted on")
    if hasattr(X, "iloc"):
        return _frame_sample(X)
    if _all_strings(X):
        return Sample("texts", [str(text) for text in X], ("text",), ("str",))
    return _array_sample(np.asarray(X), feature_names)


def _array_sample(array: Any, feature_names: Sequence[str] | None) -> Sample:
    width = array.shape[1] if array.ndim > 1 else 1
    if array.ndim not in (1, 2) or width == 0:
        raise StoreError(f"the sample has shape {array.shape}; give rows and columns, shape (n, n_features)")
    names = tuple(feature_names) if feature_names is not None else tuple(f"x{index}" for index in range(width))
    if len(names) != width or len(set(names)) != width:
        raise StoreError(f"feature_names must be {width} different names, one for each column of the sample")
    if array.dtype.kind in "fiub":
        return Sample("vector" if array.ndim == 1 else "array", array, names, (array.dtype.name,) * width)
    if array.dtype.kind in "OU" and array.ndim > 1:
        objects = array.astype(object)
        return Sample("objects", objects, names, tuple(_object_dtype(column.tolist()) for column in objects.T))
    raise StoreError(f"the sample's dtype is {array.dtype}; give numbers, booleans or strings")


def _frame_sample(frame: pd.DataFrame) -> Sample:
    if frame.columns.nlevels > 1 or len(set(map(str, frame.columns))) != frame.shape[1] or frame.shape[1] == 0:
        raise StoreError("the sample's columns must have one level of different names")
    if not all(isinstance(name, str) for name in frame.columns) and all(kind.kind in "fiub" for kind in frame.dtypes):
        # scikit-learn keeps no names that are not strings: it saw an array.
        return _array_sample(frame.to_numpy(), None)
    dtypes = tuple(_series_dtype(frame.iloc[:, index]) for index in range(frame.shape[1]))
    return Sample(
        "frame", frame.set_axis([str(name) for name in frame.columns], axis=1), tuple(map(str, frame.columns)), dtypes
    )


def _series_dtype(series: pd.Series[Any]) -> str:
    name = str(series.dtype)
    if name == "object":
        return _object_dtype(series.tolist())
    kind = getattr(series.dtype, "kind", "O")
    if name not in ("category", "str", "string") and kind not in "fiubM":
        raise StoreError(
            f"column {series.name!r} has the dtype {name}; numbers, strings, booleans and dates are served"
        )
    return name


def _object_dtype(values: list[Any]) -> str:
    present = [value for value in values if value is not None and value == value]  # noqa: PLR0124  # NaN differs from itself
    return "str" if present and all(isinstance(value, str) for value in present) else "object"


def _all_strings(values: Any) -> bool:
    if isinstance(values, np.ndarray) and values.ndim != 1:
        return False
    return all(isinstance(value, str) for value in values)


def _plain(value: Any) -> Any:
    """Return a scalar as JSON holds it: missing values as None, dates as ISO 8601."""
    if value is None or value != value:  # noqa: PLR0124  # NaN, NaT and NA differ from themselves
        return None
    return value.isoformat() if hasattr(value, "isoformat") else value
