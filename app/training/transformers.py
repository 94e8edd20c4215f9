"""Transformers of our own; saved pipelines name them by this import path, so it must stay."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

_SECONDS_A_DAY = 86_400
_PARTS = ("year", "month", "day", "weekday", "hour", "days")


class DateParts(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Turn columns of dates into numbers that a model can use.

    Each column of ``datetime64`` gives year, month (1-12), day of the month, weekday (Monday is 0),
    hour with minutes as its fraction, and days since 1970; a missing date gives NaN in all six.
    """

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:
        """Remember the columns of `X`, shape (n, n_columns)."""
        self.n_features_in_ = X.shape[1]
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        return self

    def transform(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Return the parts as float64, shape (n, 6 * n_columns)."""
        check_is_fitted(self)
        parts = [part for name in self.feature_names_in_ for part in _parts(pd.to_datetime(X[name]))]
        return np.column_stack(parts)

    def get_feature_names_out(self, input_features: object = None) -> npt.NDArray[np.object_]:
        """Return names such as ``born_year``."""
        check_is_fitted(self)
        return np.array([f"{name}_{part}" for name in self.feature_names_in_ for part in _PARTS], dtype=object)


def _parts(dates: pd.Series[Any]) -> list[npt.NDArray[np.float64]]:
    parts = dates.dt
    seconds = (dates - pd.Timestamp(0)).dt.total_seconds()
    columns = (
        parts.year,
        parts.month,
        parts.day,
        parts.day_of_week,
        parts.hour + parts.minute / 60,
        seconds / _SECONDS_A_DAY,
    )
    return [np.asarray(column, dtype=np.float64) for column in columns]


class FillText(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Turn missing texts into empty ones, which a vectorizer takes."""

    def fit(self, X: pd.Series[Any], y: object = None) -> Self:
        """Learn nothing; `X` has shape (n,)."""
        return self

    def transform(self, X: pd.Series[Any]) -> list[str]:
        """Return the n texts."""
        return ["" if missing else str(text) for text, missing in zip(X, pd.isna(X), strict=True)]

    def __sklearn_is_fitted__(self) -> bool:
        return True


class Densify(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Turn a sparse matrix into an array, for estimators that take no sparse one."""

    def fit(self, X: Any, y: object = None) -> Self:
        """Learn nothing; `X` has shape (n, n_features)."""
        return self

    def transform(self, X: Any) -> npt.NDArray[np.float64]:
        """Return the same numbers, shape (n, n_features)."""
        return np.asarray(X.toarray() if hasattr(X, "toarray") else X)

    def __sklearn_is_fitted__(self) -> bool:
        return True
