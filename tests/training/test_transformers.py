"""Our own transformers: their numbers, and what they make of missing values."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from app.training.transformers import DateParts, Densify, FillText


def test_dates_become_their_parts_and_missing_ones_stay_missing() -> None:
    frame = pd.DataFrame({"when": pd.to_datetime(["2024-02-29 12:30", None])})
    parts = DateParts().fit(frame)
    assert parts.get_feature_names_out().tolist() == [
        f"when_{part}" for part in ("year", "month", "day", "weekday", "hour", "days")
    ]
    expected = [[2024, 2, 29, 3, 12.5, 19782 + 12.5 / 24], [np.nan] * 6]
    np.testing.assert_allclose(pickle.loads(pickle.dumps(parts)).transform(frame), expected)


def test_a_column_of_missing_dates_only_gives_missing_parts() -> None:
    fitted = DateParts().fit(pd.DataFrame({"when": pd.to_datetime(["2024-02-29"])}))
    for dtype in ("object", "float64", "datetime64[us]"):
        missing = fitted.transform(pd.DataFrame({"when": pd.Series([None], dtype=dtype)}))
        assert np.isnan(missing).all()
        assert missing.shape == (1, 6)


def test_missing_texts_become_empty() -> None:
    assert FillText().fit_transform(pd.Series(["a", None, np.nan])) == ["a", "", ""]


def test_sparse_rows_become_dense() -> None:
    assert Densify().fit_transform(csr_array([[0.0, 1.0]])).tolist() == [[0.0, 1.0]]
