"""What a column takes, and what it becomes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from app.signature import Input
from app.wire.values import MAX_PLACES, Misfit, read_column

NAN = float("nan")


@pytest.mark.parametrize(
    ("dtype", "values", "expected", "becomes"),
    [
        ("float64", [1, 2.5], [1.0, 2.5], "float64"),
        ("float64", [2**70, -1], [float(2**70), -1.0], "float64"),
        ("float64", [None, 1], [NAN, 1.0], "float64"),
        ("float32", [0.1], [float(np.float32(0.1))], "float32"),
        ("int64", [1, -2], [1, -2], "int64"),
        ("int64", [1, 2.0], [1, 2], "int64"),
        ("int64", [1, 2.5], [1.0, 2.5], "float64"),
        ("int64", [1, None], [1.0, NAN], "float64"),
        ("int64", [2**63 - 1, -(2**63)], [2**63 - 1, -(2**63)], "int64"),
        ("uint8", [0, 255], [0, 255], "uint8"),
        ("uint8", [0, 256], [0, 256], "int64"),
        ("uint64", [2**64 - 1, 0], [2**64 - 1, 0], "uint64"),
        ("bool", [True, False], [True, False], "bool"),
        ("bool", [True, None], [True, NAN], "object"),
        ("str", ["a", "ü"], ["a", "ü"], "object"),
        ("str", [None, "a"], [NAN, "a"], "object"),
        ("object", ["a", 1, True, None], ["a", 1, True, NAN], "object"),
        ("datetime64[us]", ["2020-02-29"], [np.datetime64("2020-02-29", "us")], "datetime64[us]"),
        ("datetime64[s]", ["2020-02-29T12:30:01"], [np.datetime64("2020-02-29T12:30:01", "s")], "datetime64[s]"),
        (
            "datetime64[us, UTC]",
            ["2020-02-29T12:00:00+02:00"],
            [np.datetime64("2020-02-29T10:00", "us")],
            "datetime64[us]",
        ),
    ],
)
def test_a_value_that_fits_becomes_the_columns_own(dtype: str, values: Any, expected: Any, becomes: str) -> None:
    array = read_column(Input("c", dtype, nullable=True), values)
    assert array.dtype == becomes
    # NaN differs from itself; as text it does not.
    assert list(map(repr, array.tolist())) == list(map(repr, np.array(expected, dtype=array.dtype).tolist()))


@pytest.mark.parametrize(
    ("dtype", "value", "says"),
    [
        ("float64", True, "must be a number, not true"),
        ("float64", "4", "must be a number, not the string '4'"),
        ("float64", [1], "must be a number, not a list"),
        ("float64", None, "must not be missing: this column takes no missing values"),
        ("float64", NAN, "must not be missing: this column takes no missing values"),
        ("float64", float("inf"), "must be a finite number, not inf"),
        ("float32", 1e39, "1e+39 is out of range for float32"),
        ("int64", 2**63, "9223372036854775808 is out of range: this column holds integers of 64 bits"),
        ("int64", 1e30, "1e+30 is out of range: this column holds integers of 64 bits"),
        ("uint64", 2**64, "18446744073709551616 is out of range: this column holds integers of 64 bits"),
        ("int64", False, "must be a number, not false"),
        ("bool", 1, "must be true or false, not the number 1"),
        ("bool", "true", "must be true or false, not the string 'true'"),
        ("str", 4, "must be a string, not the number 4"),
        ("str", None, "must not be missing: this column takes no missing values"),
        ("object", {"a": 1}, "must be a string, a number, true or false, not an object"),
        ("category", "c", "'c' is not a category of this column; it has 'a', 'b'"),
        ("category", 1, "1 is not a category of this column; it has 'a', 'b'"),
        ("datetime64[us]", "yesterday", "must be a date in ISO 8601, such as '2026-11-22', not 'yesterday'"),
        ("datetime64[us]", 5, "must be a date in ISO 8601, such as '2026-11-22', not the number 5"),
        ("datetime64[us]", "2020-01-01T00:00:00Z", "must have no time zone, and this is '2020-01-01T00:00:00Z'"),
        (
            "datetime64[us, UTC]",
            "2020-01-01",
            "needs a time zone, such as '2026-11-22T08:30:00Z', and this is '2020-01-01'",
        ),
        ("datetime64[ns]", "9999-01-01", "must lie between 1678 and 2261, and this is '9999-01-01'"),
    ],
)
def test_a_value_that_does_not_fit_is_told_with_its_row(dtype: str, value: Any, says: str) -> None:
    column = Input("c", dtype, categories=("a", "b"))
    good = {"str": "a", "category": "a", "bool": True, "object": "a"}.get(dtype, 1)
    if "datetime" in dtype:
        good = "2020-01-01T00:00:00Z" if "," in dtype else "2020-01-01"
    with pytest.raises(Misfit) as misfit:
        read_column(column, [good, value])
    assert misfit.value.places == [(1, says)]


def test_only_the_first_places_are_told() -> None:
    with pytest.raises(Misfit) as misfit:
        read_column(Input("c", "float64"), ["x"] * 1000)
    assert [row for row, _ in misfit.value.places] == list(range(MAX_PLACES))


def test_numbers_that_fit_are_not_copied() -> None:
    numbers = np.arange(4.0)
    assert np.shares_memory(read_column(Input("c", "float64"), numbers), numbers)
