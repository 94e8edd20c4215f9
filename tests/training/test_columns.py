"""What kind of values a column holds is found from the values."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from app.training.columns import find_columns
from app.training.errors import TrainingError


def test_every_kind_is_found_and_useless_columns_are_dropped(passengers: pd.DataFrame) -> None:
    _, columns = find_columns(passengers.drop(columns="survived"))
    assert columns.kinds == {
        "age": "number",
        "fare": "number",
        "city": "category",
        "alone": "boolean",
        "booked": "date",
        "remark": "text",
    }
    assert columns.dropped == {"passenger_id": "an identifier", "ship": "constant", "empty": "all missing"}
    assert columns.names == tuple(passengers.columns[:-1])


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2024-02-29", "2024-02-29"),
        ("2024-02-29T12:30:00+02:00", "2024-02-29 10:30"),
        ("2024/02/29", "2024-02-29"),
        ("29.02.2024", "2024-02-29"),
        ("02/29/2024", "2024-02-29"),
        ("29/02/2024", "2024-02-29"),
    ],
)
def test_written_dates_become_dates(written: str, read: str) -> None:
    features, columns = find_columns(pd.DataFrame({"when": [written, None], "x": [1, 2]}))
    assert columns.kinds["when"] == "date"
    assert features["when"][0] == pd.Timestamp(read)
    assert pd.isna(features["when"][1])


def test_numbers_that_count_are_no_identifiers() -> None:
    _, columns = find_columns(pd.DataFrame({"x": np.arange(100), "z": np.arange(100) % 7}))
    assert columns.dropped == {}


def test_codes_that_are_all_different_are_identifiers() -> None:
    codes = [f"K{number:05}" for number in range(50)]
    _, columns = find_columns(pd.DataFrame({"code": codes, "x": np.arange(50)}))
    assert columns.dropped == {"code": "an identifier"}


def test_a_value_that_is_there_or_missing_is_kept() -> None:
    _, columns = find_columns(pd.DataFrame({"flag": ["x", None] * 10, "z": range(20)}))
    assert columns.kinds["flag"] == "category"


def test_all_is_kept_where_that_is_asked() -> None:
    _, columns = find_columns(pd.DataFrame({"pixel": [0, 0], "z": [1, 2]}), keep_all=True)
    assert columns.dropped == {}


def test_a_stray_word_among_numbers_is_refused_with_its_row() -> None:
    values = [str(number) for number in range(100)]
    values[41] = "n.a"
    with pytest.raises(TrainingError, match=r"column 'age', row 42: 'n\.a' is not a number, as the 99 others are"):
        find_columns(pd.DataFrame({"age": pd.Series(values, dtype="str"), "x": range(100)}))


def test_infinity_is_refused_with_its_row() -> None:
    with pytest.raises(TrainingError, match="column 'x', row 2 is infinite; correct it or leave it empty"):
        find_columns(pd.DataFrame({"x": [1.0, np.inf]}))


def test_nothing_to_learn_from_is_refused() -> None:
    with pytest.raises(TrainingError, match="no column is left to learn from: 'a' is constant, 'b' is all missing"):
        find_columns(pd.DataFrame({"a": [1, 1], "b": [None, None]}, dtype="float64"))
