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

# Bytes of the widest number that JSON's float64 and int64 can carry.
_WIDEST = 8


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

    def few(self, most: int = FEW) -> Any:
        """Return up to `most` rows in the sample's own container, spread over it."""
        chosen = np.unique(np.linspace(0, len(self.data) - 1, most).astype(int))
        if self.container == "frame":
            return self.data.iloc[chosen]
        return [self.data[index] for index in chosen] if self.container == "texts" else self.data[chosen]

    def rows(self, most: int = FEW) -> list[Any]:
        """Return those few rows as JSON values, by position."""
        few = self.few(most)
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
        shape (n,) of numbers; a Series, a list or an array of n strings; lists of any of these.
    feature_names
        The inputs' names where `X` has none.

    Raises
    ------
    StoreError
        It has no rows, or is none of these.
    """
    if hasattr(X, "toarray"):
        raise StoreError("the sample is a sparse matrix, and requests bring dense rows; give X[:100].toarray()")
    if isinstance(X, str | bytes | dict) or not hasattr(X, "__len__"):
        raise StoreError(f"the sample is a {type(X).__name__}; give a DataFrame, an array or a list of rows")
    if len(X) == 0:
        raise StoreError("the sample has no rows; give at least one row like those the estimator was fitted on")
    if hasattr(X, "iloc") and not hasattr(X, "to_frame"):
        return _frame_sample(X)
    values = X.tolist() if hasattr(X, "iloc") or _is_column(X) else X
    if not isinstance(values, np.ndarray) and any(isinstance(value, str) for value in values):
        return _text_sample(values)
    return _array_sample(_as_array(X.to_numpy() if hasattr(X, "iloc") else X), feature_names)


def _is_column(X: Any) -> bool:
    return isinstance(X, np.ndarray) and X.ndim == 1 and X.dtype.kind in "OUT"


def _text_sample(values: Sequence[Any]) -> Sample:
    for index, value in enumerate(values):
        if not isinstance(value, str):
            told = "is missing" if is_missing(value) else f"is a {type(value).__name__}"
            raise StoreError(f"text {index} of the sample {told}; give strings only, empty ones where there is no text")
    return Sample("texts", [str(text) for text in values], ("text",), ("str",))


def _as_array(X: Any) -> Any:
    """Return rows as an array; lists of mixed types as objects, where NumPy would make strings of all of them."""
    if isinstance(X, np.ndarray):
        return X
    try:
        array = np.asarray(X)
    except (ValueError, TypeError):
        raise StoreError("the sample's rows differ in length; each must have a value for every feature") from None
    return np.array(X, dtype=object) if array.dtype.kind in "US" else array


def _array_sample(array: Any, feature_names: Sequence[str] | None) -> Sample:
    width = array.shape[1] if array.ndim > 1 else 1
    if array.ndim not in (1, 2) or width == 0:
        raise StoreError(f"the sample has shape {array.shape}; give rows and columns, shape (n, n_features)")
    names = tuple(f"x{index}" for index in range(width)) if feature_names is None else tuple(map(str, feature_names))
    if len(names) != width or len(set(names)) != width:
        raise StoreError(f"feature_names must be {width} different names, one for each column of the sample")
    if array.dtype.kind in "fiub" and array.dtype.itemsize <= _WIDEST:
        return Sample("vector" if array.ndim == 1 else "array", array, names, (array.dtype.name,) * width)
    if array.dtype.kind in "OUT" and array.ndim > 1:
        objects = array.astype(object)
        dtypes = [_object_dtype(name, column.tolist()) for name, column in zip(names, objects.T, strict=True)]
        return Sample("objects", objects, names, tuple(dtypes))
    raise StoreError(f"the sample's dtype is {array.dtype}; give numbers of up to 64 bits, booleans or strings")


def _frame_sample(frame: pd.DataFrame) -> Sample:
    names = tuple(map(str, frame.columns))
    if frame.columns.nlevels > 1 or len(set(names)) != len(names) or not names:
        raise StoreError("the sample's columns must have one level of different names")
    if not all(isinstance(name, str) for name in frame.columns) and all(kind.kind in "fiub" for kind in frame.dtypes):
        # scikit-learn keeps no names that are not strings: it saw an array.
        return _array_sample(frame.to_numpy(), None)
    dtypes = tuple(_series_dtype(name, frame.iloc[:, index]) for index, name in enumerate(names))
    return Sample("frame", frame.set_axis(list(names), axis=1), names, dtypes)


def _series_dtype(column: str, series: pd.Series[Any]) -> str:
    dtype: Any = series.dtype
    name = str(dtype)
    if name == "object":
        return _object_dtype(column, series.tolist())
    if name == "category":
        _check_scalars(column, series.cat.categories.tolist())
        return name
    if hasattr(dtype, "pyarrow_dtype"):
        # Arrow's columns are handed over as NumPy's: scikit-learn makes the same of both.
        plain = np.dtype(dtype.numpy_dtype)
        name = {"O": "string", "b": "boolean"}.get(plain.kind, plain.name)
        return name if name != "string" or _is_text(dtype) else _refuse(column, str(dtype))
    if name in ("str", "string") or (not name.startswith("Sparse") and getattr(dtype, "kind", "O") in "fiubM"):
        return name
    return _refuse(column, name)


def _is_text(dtype: Any) -> bool:
    return str(dtype.pyarrow_dtype) in ("string", "large_string", "string_view")


def _refuse(column: str, dtype: str) -> str:
    raise StoreError(f"column {column!r} has the dtype {dtype}; numbers, strings, booleans and dates are served")


def _object_dtype(column: str, values: list[Any]) -> str:
    present = [value for value in values if not is_missing(value)]
    if present and all(isinstance(value, str) for value in present):
        return "str"
    _check_scalars(column, present)
    return "object"


def _check_scalars(column: str, values: list[Any]) -> None:
    """Refuse values that no request could bring: JSON has strings, numbers and booleans."""
    strange = next((value for value in values if not isinstance(_plain(value), str | bool | int | float)), None)
    if strange is None:
        strange = next((value for value in values if hasattr(value, "isoformat")), None)
    if strange is not None:
        raise StoreError(
            f"column {column!r} holds values of the type {type(strange).__name__}, which no request can bring; "
            "fit on strings or numbers (for dates, on a datetime64 column)"
        )


def is_missing(value: Any) -> bool:
    """Tell whether a scalar is None, NaN, NaT or NA."""
    if value is None:
        return True
    differs = value != value  # noqa: PLR0124  # NaN and NaT differ from themselves
    # pandas' NA says neither yes nor no.
    return not isinstance(differs, bool | np.bool_) or bool(differs)


def _plain(value: Any) -> Any:
    """Return a scalar as JSON holds it: missing values as None, dates as ISO 8601."""
    if is_missing(value):
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return value.item() if isinstance(value, np.generic) else value
