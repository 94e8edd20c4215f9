"""Rows in whatever container their author had them: what is recorded of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from app.errors import StoreError
from app.store.samples import is_missing, take_sample


def test_a_few_rows_are_taken_from_all_over_the_sample() -> None:
    sample = take_sample(np.arange(100.0).reshape(100, 1))
    assert sample.rows() == [[0.0], [24.0], [49.0], [74.0], [99.0]]


def test_rows_are_what_json_holds() -> None:
    frame = pd.DataFrame(
        {
            "number": [1.5, np.nan],
            "word": ["a", None],
            "day": pd.to_datetime(["2026-11-22", None]),
            "whole": pd.array([1, None], dtype="Int64"),
            "any": np.array([np.float64(2.5), np.str_("b")], dtype=object),
        }
    )
    sample = take_sample(frame)
    assert sample.rows() == [[1.5, "a", "2026-11-22T00:00:00", 1, 2.5], [None, None, None, None, "b"]]
    assert sample.dtypes == ("float64", "str", "datetime64[us]", "Int64", "object")


def test_a_column_keeps_the_dtype_it_was_fitted_on() -> None:
    assert take_sample(np.zeros((2, 2), "f4")).dtypes == ("float32", "float32")
    assert take_sample([["a", 1], ["b", 2]]).dtypes == ("str", "object")


def test_names_are_given_counted_or_refused() -> None:
    X = np.zeros((2, 2))
    assert take_sample(X).names == ("x0", "x1")
    assert take_sample(X, ["a", "b"]).names == ("a", "b")
    for names in (["a"], ["a", "a"]):
        with pytest.raises(StoreError, match="must be 2 different names"):
            take_sample(X, names)


@pytest.mark.parametrize("value", [None, np.nan, np.float32("nan"), pd.NA, pd.NaT, np.datetime64("NaT")])
def test_every_way_to_miss_a_value_is_known(value: object) -> None:
    assert is_missing(value)


@pytest.mark.parametrize("value", [0, "", False, np.float64(0), "nan"])
def test_what_is_empty_is_not_missing(value: object) -> None:
    assert not is_missing(value)
