"""The container that an estimator was fitted on, found by asking it, for rows that come in another.

A file knows nothing of containers: a CSV's columns may have been a DataFrame, an array or texts to the
estimator. What scikit-learn recorded in fitting (``feature_names_in_``) decides; else what it answers.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from app.errors import StoreError
from app.signature import METHODS

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Fitted:
    """Rows in the container that the estimator was fitted on.

    Attributes
    ----------
    X: the rows.
    feature_names: the columns' names where `X` is an array that had some.
    left_out: columns of the sample that the estimator was not fitted on.
    """

    X: Any
    feature_names: tuple[str, ...] | None = None
    left_out: tuple[str, ...] = ()


def as_fitted(estimator: Any, X: Any) -> Fitted:
    """Bring a DataFrame or an array into the names, or the namelessness, that scikit-learn recorded in fitting.

    Rows of which nothing was recorded stay as they are.

    Raises
    ------
    StoreError
        A column that the estimator was fitted on is missing.
    """
    names = fitted_names(estimator)
    if _is_frame(X):
        if names is not None:
            return _select(X, names)
        # Names that are no strings were not recorded, and become strings on their way to a manifest.
        named = X.set_axis(list(map(str, X.columns)), axis=1)
        return _nameless(X) if _warns_of_names(estimator, named) else Fitted(X)
    if names is None or hasattr(X, "toarray") or hasattr(X, "iloc"):
        return Fitted(X)
    rows = X if isinstance(X, np.ndarray) else np.array(X, dtype=object) if _is_table(X) else None
    if rows is None or rows.ndim != 2:  # noqa: PLR2004  # rows and columns
        return Fitted(X)
    return Fitted(_named(rows, names))


def find_fitted(estimator: Any, X: Any) -> Fitted:
    """Find the container for rows that were read from a file: a DataFrame, an array or texts.

    Raises
    ------
    StoreError
        The estimator answers them in none.
    """
    if fitted_names(estimator) is not None:
        return as_fitted(estimator, X)
    if takes_text(estimator):
        return Fitted(_as_texts(X))
    _check_width(estimator, X)
    faults: list[str] = []
    for candidate in _candidates(X):
        fault = _why_not(estimator, candidate.X)
        if fault is None:
            return candidate
        faults.append(fault)
    raise StoreError(f"{type(estimator).__name__} gives no answer for the sample's rows: {faults[0]}")


def fitted_names(estimator: Any) -> tuple[str, ...] | None:
    """Return the columns' names that scikit-learn recorded in fitting, if it did."""
    names = getattr(estimator, "feature_names_in_", None)
    return None if names is None else tuple(map(str, names))


def takes_text(estimator: Any) -> bool:
    """Tell whether the estimator, the first step of its pipeline, or what it is put around, reads texts."""
    if hasattr(estimator, "best_estimator_"):
        return takes_text(estimator.best_estimator_)
    inner = getattr(estimator, "estimator", None)
    if inner is not None:
        return takes_text(inner)
    steps = getattr(estimator, "steps", None) or getattr(estimator, "transformer_list", None)
    if steps:
        return takes_text(steps[0][1])
    tags = getattr(estimator, "__sklearn_tags__", None)
    if tags is None or isinstance(estimator, type):
        return False
    accepted = tags().input_tags
    return bool(accepted.string and not accepted.two_d_array)


def answers(estimator: Any) -> Callable[[Any], Any] | None:
    """Return the first method that the estimator can be asked by, if there is one."""
    return next((getattr(estimator, method) for method in METHODS if hasattr(estimator, method)), None)


def _is_frame(X: Any) -> bool:
    return hasattr(X, "iloc") and hasattr(X, "columns")


def _is_table(X: Any) -> bool:
    return isinstance(X, list | tuple) and len({len(row) if isinstance(row, list | tuple) else -1 for row in X}) == 1


def _select(frame: pd.DataFrame, names: tuple[str, ...]) -> Fitted:
    """Return exactly the columns `names`, in that order."""
    there = [str(column) for column in frame.columns]
    missing = [name for name in names if name not in there]
    if missing:
        raise StoreError(
            f"the sample has no column {missing[0]!r}, which the estimator was fitted on"
            + (f" (nor {', '.join(map(repr, missing[1:6]))})" if missing[1:] else "")
            + f"; it has {', '.join(map(repr, there[:20]))}"
        )
    left_out = tuple(name for name in there if name not in names)
    return Fitted(frame.set_axis(there, axis=1)[list(names)], left_out=left_out)


def _named(rows: Any, names: tuple[str, ...]) -> pd.DataFrame:
    import pandas as pd

    if rows.shape[1] != len(names):
        raise StoreError(
            f"the sample has {rows.shape[1]} columns, and the estimator was fitted on {len(names)}: "
            + ", ".join(names[:20])
        )
    return pd.DataFrame(rows, columns=list(names)).infer_objects()


def _nameless(frame: pd.DataFrame) -> Fitted:
    X = frame.to_numpy(dtype=None if _is_numeric(frame) else object)
    if _is_numeric(frame) and X.dtype == object:
        # Booleans beside numbers, or pandas' own missing values.
        X = frame.to_numpy(dtype=np.float64, na_value=np.nan)
    named = all(isinstance(name, str) for name in frame.columns)
    return Fitted(X, tuple(frame.columns) if named else None)


def _is_numeric(frame: pd.DataFrame) -> bool:
    return all(dtype.kind in "fiub" for dtype in frame.dtypes)


def _warns_of_names(estimator: Any, X: Any) -> bool:
    """Tell whether scikit-learn says that it was fitted without names."""
    ask = answers(estimator)
    if ask is None:
        return False
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        # Whether it answers at all is asked elsewhere.
        with contextlib.suppress(Exception):
            ask(X.iloc[:1])
    return any("was fitted without feature names" in str(warning.message) for warning in told)


def _as_texts(X: Any) -> list[str]:
    """Return the rows as texts: a list as it is, else the only column, or the only one of strings."""
    if isinstance(X, list):
        return X
    if not _is_frame(X):
        return list(np.asarray(X).ravel().tolist()) if np.ndim(X) == 1 or np.shape(X)[1] == 1 else _refuse_texts([])
    worded = [name for name in X.columns if X[name].dtype.kind not in "fiubM"]
    if X.shape[1] > 1 and "text" in worded:
        worded = ["text"]
    if len(worded) != 1:
        _refuse_texts(worded)
    return [value if isinstance(value, str) else "" for value in X[worded[0]].tolist()]


def _refuse_texts(columns: list[Any]) -> list[str]:
    raise StoreError(
        "the estimator reads texts; give a sample with one text in each line, or a table with one column of texts"
        + (f" (it has {', '.join(map(repr, columns))}); name the right one 'text'" if columns else "")
    )


def _check_width(estimator: Any, X: Any) -> None:
    wanted = getattr(estimator, "n_features_in_", None)
    given = X.shape[1] if np.ndim(X) == 2 else None  # noqa: PLR2004  # rows and columns
    if isinstance(wanted, int) and given is not None and given != wanted:
        raise StoreError(
            f"the sample has {given} columns, and the estimator was fitted on {wanted}"
            + ("; leave out what it was not fitted on, such as the target" if given > wanted else "")
        )


def _candidates(X: Any) -> list[Fitted]:
    """List the containers that rows may have had, the likeliest first."""
    if isinstance(X, list):
        return [Fitted(X), Fitted(np.array(X, dtype=object).reshape(-1, 1))]
    if not _is_frame(X):
        columns = X.reshape(-1, 1) if X.ndim == 1 else X
        vector = [Fitted(columns[:, 0])] if columns.shape[1] == 1 else []
        return [*vector, Fitted(columns)] if X.ndim == 1 else [Fitted(columns), *vector]
    nameless = _nameless(X)
    names = nameless.feature_names
    vector = [Fitted(nameless.X[:, 0], names)] if X.shape[1] == 1 and nameless.X.dtype.kind in "fiub" else []
    if _is_numeric(X):
        return [nameless, *vector, Fitted(X)]
    texts = [Fitted([str(value) for value in X.iloc[:, 0]])] if X.shape[1] == 1 else []
    return [Fitted(X), nameless, *texts]


def _why_not(estimator: Any, X: Any) -> str | None:
    """Say why these rows are not in the container that the estimator was fitted on, or return None.

    It must give one answer for each row, and must not complain of names. More rows are asked than there
    are columns: what iterates over a DataFrame sees its columns' names, and gives an answer for each.
    """
    ask = answers(estimator)
    if ask is None:
        return f"it has none of {', '.join(METHODS)}"
    width = X.shape[1] if np.ndim(X) > 1 else 1
    chosen = [index % len(X) for index in range(width + 1)]
    rows = X.iloc[chosen] if _is_frame(X) else [X[index] for index in chosen] if isinstance(X, list) else X[chosen]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            answer = ask(rows)
            given = answer[0].shape[0] if isinstance(answer, list) else np.shape(answer)[0]
        except Exception as fault:  # whatever an estimator raises, it does not answer these rows
            return f"{type(fault).__name__}: {' '.join(str(fault).split())}"
    if given != len(chosen):
        return f"it gives {given} answers for {len(chosen)} rows"
    return next((str(note.message) for note in told if "feature names" in str(note.message)), None)
