"""The target and the task are found; a target that cannot be learnt is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from app.training.errors import TrainingError
from app.training.problem import drop_columns, frame_problem
from app.training.table import Table


def table_of(**columns: Any) -> Table:
    return Table(pd.DataFrame(columns), "t.csv")


@pytest.mark.parametrize(
    ("names", "target"),
    [(("a", "target", "b"), "target"), (("label", "a"), "label"), (("a", "y", "b"), "y"), (("a", "b", "c"), "c")],
)
def test_the_target_is_found_by_name_or_is_the_last_column(names: tuple[str, ...], target: str) -> None:
    table = table_of(**{name: [0, 1] * 5 for name in names})
    assert frame_problem(table).target == target


@pytest.mark.parametrize(
    ("y", "task", "dtype"),
    [
        (["a", "b"] * 25, "classification", "object"),
        ([True, False] * 25, "classification", "bool"),
        ([0, 1] * 25, "classification", "int64"),
        ([0.0, 1.0] * 25, "classification", "int64"),
        (list(range(5)) * 10, "classification", "int64"),
        (list(range(50)), "regression", "float64"),
        ([0.5, 1.0] * 25, "regression", "float64"),
    ],
)
def test_the_task_is_found_from_the_target(y: list[Any], task: str, dtype: str) -> None:
    problem = frame_problem(table_of(x=range(50), y=y))
    assert (problem.task, str(problem.y.dtype)) == (task, dtype)


def test_numbers_alone_become_a_contiguous_array_with_names() -> None:
    problem = frame_problem(table_of(a=[1, 2, 3, 4], b=[0.5, np.nan, 1, 2], y=[0, 1, 0, 1]))
    assert problem.container == "array"
    assert problem.array.dtype == np.float64
    assert problem.array.flags.c_contiguous
    assert problem.feature_names == ["a", "b"]


def test_a_text_alone_becomes_a_list() -> None:
    texts = [f"see you at station {number}" for number in range(11)]
    problem = frame_problem(table_of(label=["ham", "spam"] * 6, text=pd.Series([*texts, None], dtype="str")), "label")
    assert [*texts, ""] == problem.X


def test_anything_else_stays_a_frame(passengers: pd.DataFrame) -> None:
    problem = frame_problem(Table(passengers, "p.csv"), "survived")
    assert isinstance(problem.X, pd.DataFrame)
    assert str(problem.X["alone"].dtype) == "bool"
    assert problem.notes == (
        "not used, being an identifier: 'passenger_id'",
        "not used, being constant: 'ship'",
        "not used, being all missing: 'empty'",
    )


def test_rows_without_a_target_are_left_out_and_counted() -> None:
    problem = frame_problem(table_of(x=range(10), y=["a", "b", None, "a", None] * 2))
    assert len(problem.y) == 6
    assert problem.notes == ("4 rows without a value of the target 'y': left out",)


REFUSED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"x": [1, 2], "y": [1, 2]}, {"target": "z"}, "t.csv: there is no column 'z'; there are x, y"),
    ({"x": [1, 2], "y": [None, None]}, {}, "t.csv: the target 'y' is missing in every row"),
    ({"x": [1, 2], "y": ["a", "a"]}, {}, "the target 'y' has one class only, a; two or more are needed"),
    (
        {"x": [1, 2], "y": ["a", "b"]},
        {"task": "regression"},
        "the target 'y' holds 'a', no numbers; use --task classification, or another --target",
    ),
    ({"x": [1, 2], "y": ["2024-01-01", "2024-01-02"]}, {}, "the target 'y' holds dates; name another with --target"),
    ({"x": [1, 2], "y": [0.5, 0.5]}, {}, "the target 'y' is 0.5 in every row; there is nothing to learn"),
    (
        {"x": [1, 2], "y": [1e300, 1]},
        {"task": "classification"},
        "the target 'y' holds 1e+300, too large a number for a class; put a letter before each",
    ),
    (
        {"x": [1, 2], "y": [2**62 + 1, -(2**63)]},
        {"task": "classification"},
        "the target 'y' holds 9223372036854775808, too large a number for a class; put a letter before each",
    ),
    (
        {"x": [1, 2], "y": [2**62 + 1] * 2},
        {},
        "the target 'y' is 4611686018427387905 in every row; there is nothing to learn",
    ),
    (
        {"x": [1, 2], "y": [2**62 + 1, 2**62 + 3]},
        {},
        "the target 'y' holds whole numbers beyond 2**53 such as 4611686018427387905, which float64 cannot tell apart; "
        "subtract what they share or, if they are names, put a letter before each",
    ),
    (
        {"x": [1, 2], "y": [0.25, 1]},
        {"task": "classification"},
        "the target 'y' holds fractions such as 0.25, no classes; use --task regression",
    ),
    (
        {"x": [1, 2], "y": [0.25, np.inf]},
        {"task": "regression"},
        "the target 'y' is infinite in row 2",
    ),
    (
        {"x": [1, 2], "y": pd.to_datetime(["2024-01-01", "2024-01-02"])},
        {},
        "the target 'y' holds dates; name another with --target",
    ),
]


@pytest.mark.parametrize(("columns", "options", "message"), REFUSED, ids=[message for *_, message in REFUSED])
def test_a_target_that_cannot_be_learnt_is_refused(
    columns: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(TrainingError) as raised:
        frame_problem(table_of(**columns), **options)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("common", "task", "remedy"),
    [
        ("{}.5", None, "correct it or leave it empty"),
        ("{}.5", "regression", "correct it or leave it empty"),
        ("{}.5", "classification", "correct it or leave it empty"),
        ("{}", None, "correct it, leave it empty or use --task classification"),
        ("{}", "regression", "correct it, leave it empty or use --task classification"),
    ],
)
def test_a_stray_word_among_quantities_is_refused_with_its_row(common: str, task: Any, remedy: str) -> None:
    values = [common.format(number) for number in range(300)]
    values[16] = "abc"
    with pytest.raises(TrainingError) as raised:
        frame_problem(table_of(x=np.arange(300) % 7, y=[None, *values][:300]), task=task)
    assert str(raised.value) == f"column 'y', row 18: 'abc' is not a number, as the 298 others are; {remedy}"


def test_one_word_among_a_few_quantities_is_refused() -> None:
    with pytest.raises(TrainingError, match="column 'y', row 3: 'abc' is not a number, as the 29 others are; correct"):
        frame_problem(table_of(x=range(30), y=["1", "2", "abc", *map(str, range(3, 30))]))


def test_a_word_among_numbers_is_a_class_where_they_are_classes() -> None:
    levels = ["1", "2", "3", "4"] * 25
    assert frame_problem(table_of(x=np.arange(101) % 7, y=[*levels, "high"])).task == "classification"
    numbered = [str(number) for number in range(300)]
    problem = frame_problem(table_of(x=np.arange(301) % 7, y=[*numbered, "other"]), task="classification")
    assert len(set(problem.y)) == 301


def test_a_target_that_words_make_classes_is_told() -> None:
    values = ["unknown" if row % 20 == 6 else str(row % 100) for row in range(300)]
    problem = frame_problem(table_of(x=np.arange(300) % 7, y=values))
    assert problem.task == "classification"
    assert problem.notes[0] == (
        "column 'y' is taken as words: 15 of its 300 values are no numbers, the first 'unknown' in row 7; "
        "correct or empty them to have numbers"
    )


def test_a_target_whose_whole_numbers_are_confused_is_told() -> None:
    problem = frame_problem(table_of(x=np.arange(300) % 7, y=[2**53 + number for number in range(300)]))
    assert problem.notes == (
        "column 'y' holds 300 different whole numbers beyond 2**53, of which float64 tells 151 apart: "
        "subtract what they share or, if they are names, put a letter before each",
    )


def test_rows_are_counted_as_in_the_file_whatever_was_left_out() -> None:
    x = [0.5, np.nan, np.inf, 1.5]
    with pytest.raises(TrainingError, match="column 'x', row 3 is infinite"):
        frame_problem(table_of(x=x, y=[None, "a", "b", "a"]))
    frame = frame_problem(table_of(x=["u", "v", "w", "u"], y=[None, "a", "b", "a"])).X
    assert isinstance(frame, pd.DataFrame)
    assert frame.index.tolist() == [0, 1, 2]


def test_dropping_follows_names() -> None:
    table = table_of(a=[1], b=[2], y=[3])
    assert drop_columns(table, ["b"]).frame.columns.tolist() == ["a", "y"]
    with pytest.raises(TrainingError, match="there is no column 'z'"):
        drop_columns(table, ["z"])
    with pytest.raises(TrainingError, match="--drop leaves no feature"):
        drop_columns(table, ["a", "b"])


@pytest.mark.parametrize(("rare", "told"), [(3, True), (40, False)])
def test_a_rare_class_is_told(rare: int, told: bool) -> None:
    notes = frame_problem(table_of(x=np.arange(100) * 1.5, y=["rare"] * rare + ["often"] * (100 - rare))).notes
    assert any("only 3.0% of the rows (3) are of the class 'rare'" in note for note in notes) is told


def test_classes_that_look_alike_are_told() -> None:
    assert frame_problem(table_of(x=range(40), y=["yes", "Yes", "no", "NO"] * 10)).notes == (
        "column 'y': 4 of its 4 words look alike but for capitals and blanks, such as 'yes' and 'Yes'; "
        "they are taken for different ones: write them alike if they are not",
    )


def test_many_classes_of_like_size_are_not_rare() -> None:
    assert frame_problem(table_of(x=np.arange(300) * 1.5, y=[f"c{row % 30}" for row in range(300)])).notes == ()


@pytest.mark.parametrize(("order", "told"), [(1, True), (-1, False)])
def test_rows_in_the_order_of_a_date_are_told(order: int, told: bool) -> None:
    days = pd.date_range("2024-01-01", periods=60)[::order]
    notes = frame_problem(table_of(day=days, x=np.arange(60) % 7, y=["a", "b"] * 30)).notes
    assert (
        notes
        == (
            "the rows are in the order of 'day': if later ones are to be predicted from earlier ones, "
            "--time day holds the latest out",
        )
    ) is told
