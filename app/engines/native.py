"""The engine that is always there: scikit-learn itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from app.engines.base import Answer
from app.errors import TooLarge
from app.signature import Array, Batch, Input, Signature

if TYPE_CHECKING:
    import pandas as pd

SKLEARN = "sklearn"

# A sparse answer of more values than this is refused rather than made dense (128 MiB of float64).
MAX_DENSE_VALUES = 16 * 1024 * 1024


# Kinds whose columns are plain NumPy arrays in a DataFrame, unless their dtype is pandas' own (Int64, boolean).
_PLAIN = ("number", "integer", "boolean", "any")


class SklearnEngine:
    """Asks the fitted estimator, in the container it was fitted on; `name` is the library that answers."""

    def __init__(self, estimator: Any, signature: Signature, name: str = SKLEARN) -> None:
        run_on_one_core(estimator)
        self.name = name
        self._estimator = estimator
        self._signature = signature

    def run(self, batch: Batch, method: str) -> Answer:
        """Return ``estimator.<method>(rows)`` as dense arrays."""
        rows = to_frame(batch, self._signature) if self._signature.container == "frame" else batch.data
        # An infinite answer (the logarithm of a probability of 0) is an answer, not an accident.
        with np.errstate(all="ignore"):
            return as_arrays(getattr(self._estimator, method)(rows))


def to_frame(batch: Batch, signature: Signature) -> pd.DataFrame:
    """Build the DataFrame of the used columns, with the dtypes the estimator was fitted on."""
    import pandas as pd

    columns = cast("dict[str, Array]", batch.data)
    arrays = [columns[column.name] for column in signature.required]
    dtypes = {array.dtype for array in arrays}
    if len(dtypes) == 1 and all(map(_is_plain, signature.required)):
        # One block of numbers, as pandas has it after reading a table: ten times faster than column by column.
        return pd.DataFrame(np.stack(arrays).T, columns=[column.name for column in signature.required], copy=False)
    return pd.DataFrame(
        {column.name: _values(array, column) for column, array in zip(signature.required, arrays, strict=True)}
    )


def _values(array: Array, column: Input) -> Any:
    """Return a column's values as what pandas holds for the dtype that the estimator was fitted on."""
    import pandas as pd

    if column.kind == "category":
        return pd.Categorical(array, categories=list(column.categories or ()))
    if column.kind == "datetime" and "," in column.dtype:
        return pd.DatetimeIndex(array, tz="UTC").astype(pd.api.types.pandas_dtype(column.dtype))
    if _is_plain(column):
        return array
    # A column of pandas' integers that holds a fraction, or more than it has room for, widens as a plain one does.
    wide = column.kind == "integer" and not _fits(array, column.dtype)
    name = column.dtype if not wide else "Float64" if array.dtype.kind == "f" else array.dtype.name.replace("i", "I")
    dtype: Any = pd.api.types.pandas_dtype(name)
    return pd.array(array, dtype=dtype)


def _is_plain(column: Input) -> bool:
    return column.kind in _PLAIN and column.dtype[0].islower() and column.dtype != "boolean"


def _fits(numbers: Array, dtype: str) -> bool:
    """Tell whether `numbers`, without the missing ones, are integers that `dtype` holds."""
    there, limits = numbers[~np.isnan(numbers)], np.iinfo(dtype.lower())
    return bool(((there == np.floor(there)) & (there >= limits.min) & (there <= limits.max)).all())


def as_arrays(answer: Any) -> Answer:
    """Turn what an estimator's method returned into dense arrays.

    Raises
    ------
    TooLarge
        A sparse answer that would hold more than MAX_DENSE_VALUES values.
    """
    if isinstance(answer, list) and all(isinstance(part, np.ndarray) for part in answer):
        return answer
    if hasattr(answer, "toarray"):
        if np.prod(answer.shape, dtype=np.float64) > MAX_DENSE_VALUES:
            raise TooLarge(
                f"the answer has {answer.shape[0]} x {answer.shape[1]} values, more than {MAX_DENSE_VALUES}; "
                "ask for fewer rows at a time"
            )
        answer = answer.toarray()
    elif hasattr(answer, "to_numpy"):
        answer = answer.to_numpy()
    return np.asarray(answer)


def run_on_one_core(estimator: Any) -> None:
    """Set ``n_jobs`` to 1 through the whole fitted estimator.

    A service runs its requests side by side already, and joblib's hand-over to other threads costs
    a single row 10 to 15 ms.
    """
    for part in _parts(estimator, set()):
        if getattr(part, "n_jobs", None) not in (None, 1):
            part.n_jobs = 1


def _parts(value: Any, seen: set[int]) -> Iterator[Any]:
    """Yield every estimator inside `value`, fitted ones in lists and arrays of objects included."""
    if id(value) in seen or isinstance(value, str | bytes | int | float | type(None)):
        return
    seen.add(id(value))
    if isinstance(value, dict):
        children = list(value.values())
    elif isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.dtype == object):
        children = list(value)
    elif hasattr(value, "get_params") and not isinstance(value, type):
        yield value
        children = list(vars(value).values())
    else:
        return
    for child in children:
        yield from _parts(child, seen)
