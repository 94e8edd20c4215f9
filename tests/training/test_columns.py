"""What kind of values a column holds is found from the values."""

from __future__ import annotations

from typing import Any

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


_ALIKE = "constant as float64, which cannot tell whole numbers beyond 2**53 apart"


@pytest.mark.parametrize("dtype", ["int64", "uint64", "Int64", "UInt64"])
def test_whole_numbers_that_floats_cannot_tell_apart_are_judged_by_their_digits(dtype: str) -> None:
    ids = pd.Series([2**62 + number for number in range(50)], dtype=dtype)
    features, columns = find_columns(
        pd.DataFrame({"user_id": ids, "code": ids, "same": ids.mask(ids > 0, 2**62), "z": range(50)})
    )
    assert columns.dropped == {"user_id": "an identifier", "code": _ALIKE, "same": "constant"}
    assert not any(isinstance(column, pd.Int64Dtype | pd.UInt64Dtype) for column in features.dtypes)


def test_whole_numbers_that_floats_confuse_are_told() -> None:
    flag = pd.Series([2**62, 2**62 + 1, None] * 10, dtype="Int64")
    _, columns = find_columns(pd.DataFrame({"v": [2**53 + row for row in range(30)], "flag": flag, "fits": range(30)}))
    assert set(columns.kinds.values()) == {"number"}
    remedy = "subtract what they share or, if they are names, put a letter before each"
    assert columns.notes == (
        f"column 'v' holds 30 different whole numbers beyond 2**53, of which float64 tells 15 apart: {remedy}",
        f"column 'flag' holds 2 different whole numbers beyond 2**53, of which float64 tells 1 apart: {remedy}",
    )


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


def words(common: str, strangers: dict[int, str], n: int = 300) -> pd.Series[Any]:
    """`n` words, with their number for {}, but for the strangers by their row."""
    return pd.Series([strangers.get(row, common.format(row)) for row in range(1, n + 1)], dtype="str")


@pytest.mark.parametrize(
    ("column", "told"),
    [
        (
            words("{}.5", dict.fromkeys(range(7, 300, 20), "n/a?")),
            "15 of its 300 values are no numbers, the first 'n/a?' in row 7; correct or empty them to have numbers",
        ),
        (
            words("{}.5", dict.fromkeys(range(2, 301, 2), "many")),
            "150 of its 300 values are no numbers, the first 'many' in row 2; correct or empty them to have numbers",
        ),
        (
            words("{}%", dict.fromkeys(range(3, 300, 3), "0.5")),
            "99 of its 300 values are no numbers like '1%', the first '0.5' in row 3; "
            "correct or empty them to have numbers",
        ),
        (
            words("{},5", dict.fromkeys(range(4, 300, 3), "0.5")),
            "99 of its 300 values are no numbers like '1,5', the first '0.5' in row 4; "
            "correct or empty them to have numbers",
        ),
        (
            words("{}.5", {1: "-", 9: "about 8", 10: "?"}, 20),
            "1 of its 18 values is no number, the first 'about 8' in row 9; correct or empty it to have numbers",
        ),
        (
            words("2020-02-17", {17: "2020-13-45"}),
            "1 of its 300 values is no date like '2020-02-17', the first '2020-13-45' in row 17; "
            "correct or empty it to have dates",
        ),
        (
            words("2020-02-17", dict.fromkeys(range(2, 301, 3), "17.02.2020")),
            "100 of its 300 values are no dates like '2020-02-17', the first '17.02.2020' in row 2; "
            "correct or empty them to have dates",
        ),
    ],
    ids=["a few words", "half words", "another unit", "another decimal mark", "missing", "a date", "dates"],
)
def test_what_makes_words_of_numbers_or_dates_is_told(column: pd.Series[Any], told: str) -> None:
    _, columns = find_columns(pd.DataFrame({"x": column, "z": range(len(column))}))
    assert columns.notes == (f"column 'x' is taken as words: {told}",)


def test_every_tenth_of_very_many_rows_is_a_stranger_as_well() -> None:
    column = words("{}.5", dict.fromkeys(range(1, 20_000, 10), "?!"), 20_000)
    told = find_columns(pd.DataFrame({"x": column, "z": range(len(column))}))[1].notes[0]
    assert "2000 of its 20000 values are no numbers, the first '?!' in row 1" in told


@pytest.mark.parametrize(
    "column",
    [
        words("red", dict.fromkeys(range(1, 100), "1")),
        words("1.2.3", {5: "1.2.4"}),
        words("station {} at 2020-02-17", {}),
        words("02.17.2020", {}),
    ],
    ids=["few numbers", "versions", "texts", "no dates"],
)
def test_what_is_mostly_words_is_no_surprise(column: pd.Series[Any]) -> None:
    assert find_columns(pd.DataFrame({"x": column, "z": range(len(column))}))[1].notes == ()


def test_words_that_look_alike_are_told() -> None:
    answers = pd.Series(["Yes", "no", "yes ", "maybe", "no", None], dtype="str")
    cities = pd.Series(["K\u00f6ln", "Ko\u0308ln", "Bonn", "Bonn", "Trier", "Trier"], dtype="str")
    _, columns = find_columns(pd.DataFrame({"answer": answers, "city": cities, "z": range(6)}))
    assert columns.notes == (
        "column 'answer': 2 of its 4 words look alike but for capitals and blanks, such as 'Yes' and 'yes '; "
        "they are taken for different ones: write them alike if they are not",
        "column 'city': 2 of its 4 words look alike but for capitals and blanks, such as 'K\u00f6ln' and 'Ko\u0308ln'; "
        "they are taken for different ones: write them alike if they are not",
    )


def test_infinity_is_refused_with_its_row() -> None:
    with pytest.raises(TrainingError, match="column 'x', row 2 is infinite; correct it or leave it empty"):
        find_columns(pd.DataFrame({"x": [1.0, np.inf]}))


def test_nothing_to_learn_from_is_refused() -> None:
    with pytest.raises(TrainingError, match="no column is left to learn from: 'a' is constant, 'b' is all missing"):
        find_columns(pd.DataFrame({"a": [1, 1], "b": [None, None]}, dtype="float64"))
