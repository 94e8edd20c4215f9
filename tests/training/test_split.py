"""Who is held out depends on the row itself; folds keep classes, groups and time apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import train_test_split

from app.training.errors import TrainingError
from app.training.marks import hash_rows
from app.training.problem import Problem, drop_columns, frame_problem, mark_table
from app.training.split import Split, make_folds, split_rows
from app.training.table import Table


def people(n: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "age": rng.integers(1, 80, n),
            "fare": rng.normal(30, 8, n).round(2),
            "city": rng.choice(["Köln", "Bonn", None], n),
            "household": rng.integers(0, n // 4, n),
            "booked": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 50, n), unit="D"),
            "survived": rng.choice(["yes", "no"], n),
        }
    ).assign(number=np.arange(n))


def divide(
    frame: pd.DataFrame,
    *,
    group: str | None = None,
    time: str | None = None,
    drop: Sequence[str] = (),
    target: str = "survived",
    **options: Any,
) -> Split:
    table = mark_table(Table(frame, "t.csv"), group, time)
    table = drop_columns(table, drop) if drop else table
    problem = frame_problem(table, target)
    return split_rows(problem, **{"test_size": 0.2, "seed": 42} | options)[1]


def held_out(split: Split) -> set[int]:
    """Which rows are held out, by their number in the file."""
    assert isinstance(split.X_test, pd.DataFrame)
    return set(split.X_test["number"])


def test_a_row_is_held_out_whatever_its_place_the_seed_and_the_other_rows() -> None:
    frame = people()
    expected = held_out(divide(frame))
    assert 50 < len(expected) < 110
    assert held_out(divide(frame, seed=7)) == expected
    assert held_out(divide(frame.sample(frac=1, random_state=1).reset_index(drop=True))) == expected
    assert held_out(divide(frame[frame.columns[::-1]])) == expected
    assert held_out(divide(frame, drop=["fare"])) == expected
    assert held_out(divide(frame.iloc[100:].reset_index(drop=True))) == {row for row in expected if row >= 100}


def test_a_correction_of_the_target_moves_no_row() -> None:
    frame = people()
    corrected = frame.assign(survived=np.where(frame["age"] < 30, "yes", frame["survived"]))
    assert held_out(divide(corrected)) == held_out(divide(frame))


def test_rows_are_hashed_the_same_in_every_version() -> None:
    frame = pd.DataFrame(
        {
            "number": [1, 2],
            "share": [0.5, np.nan],
            "word": ["Köln", None],
            "flag": [True, False],
            "day": pd.to_datetime(["2024-02-29", None]),
        }
    )
    assert hash_rows(frame).tolist() == [17349959019194127727, 13197605606689034660]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([1, 2], [1.0, 2.0]),
        ([1, 2], ["1", "2"]),
        ([0.0, 1.5], ["-0", "1.50"]),
        ([True, False], pd.array([True, False], dtype="boolean")),
        ([np.nan, 1.0], [None, "1"]),
        (pd.to_datetime(["2024-01-01"]).as_unit("s"), pd.to_datetime(["2024-01-01"]).as_unit("ns")),
    ],
)
def test_what_a_column_is_parsed_as_moves_no_row(one: Any, other: Any) -> None:
    assert (hash_rows(pd.DataFrame({"x": one})) == hash_rows(pd.DataFrame({"x": other}))).all()


def test_equal_rows_are_on_one_side() -> None:
    frame = people(60).drop(columns="number")
    split = divide(pd.concat([frame] * 5, ignore_index=True))
    assert isinstance(split.X_train, pd.DataFrame)
    assert isinstance(split.X_test, pd.DataFrame)
    assert not set(split.X_train.itertuples(index=False)) & set(split.X_test.itertuples(index=False))


def test_each_class_is_learnt_from_and_held_out() -> None:
    for n in range(20, 60):
        frame = pd.DataFrame({"x": np.arange(n) * 1.5, "y": ["rare"] * 2 + ["often"] * (n - 2)})
        split = divide(frame, target="y")
        assert set(split.y_train) == set(split.y_test) == {"rare", "often"}, n
        rare = sum(label == "rare" for label in split.y_test)
        assert rare == 1
        moved = [note for note in split.notes if "changed sides of the split" in note]
        assert len(moved) <= 1


def test_a_class_of_equal_rows_is_learnt_from_only() -> None:
    frame = pd.DataFrame({"x": [0.5] * 9 + list(range(1, 50)), "y": ["same"] * 9 + ["a"] * 49})
    split = divide(frame, target="y")
    assert "same" in split.y_train
    assert "same" not in split.y_test
    assert split.notes[-1] == "no rows held out are of the class 'same': it cannot be measured"


def test_the_datas_own_split_is_kept() -> None:
    table = Table(pd.DataFrame({"x": range(10), "y": [0, 1] * 5}), "t.npz", n_held_out=4)
    _, split = split_rows(frame_problem(table), 0.2, 42)
    assert isinstance(split.X_test, np.ndarray)
    assert split.X_test.ravel().tolist() == [6, 7, 8, 9]
    assert str(split) == "6 rows to learn from, 4 held out (as the data says)"


def test_the_rows_are_not_copied_once_more() -> None:
    problem, split = split_rows(frame_problem(Table(pd.DataFrame({"x": range(50), "y": [0, 1] * 25}), "t")), 0.2, 42)
    assert np.shares_memory(problem.array, split.X_train)  # type: ignore[arg-type]
    assert np.shares_memory(problem.array, split.X_test)  # type: ignore[arg-type]


def test_a_drawn_split_is_train_test_splits_own() -> None:
    X, y = np.arange(40.0).reshape(20, 2), np.arange(20) * 0.5
    split = divide(pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "y": y}), target="y", drawn=True)
    for ours, theirs in zip(
        (split.X_train, split.X_test, split.y_train, split.y_test),
        train_test_split(X, y, test_size=0.2, random_state=42),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_a_group_is_on_one_side_whatever_else_is_in_the_file() -> None:
    frame = people()
    split = divide(frame, group="household")
    households = frame["household"]
    out = held_out(split)
    assert not set(households[list(out)]) & set(households.drop(list(out)))
    assert "household" not in split.X_train  # type: ignore[operator]
    assert held_out(divide(frame.iloc[200:].reset_index(drop=True), group="household")) == {r for r in out if r >= 200}
    with pytest.raises(TrainingError, match=r"there is no column 'x'; there are age, fare"):
        divide(frame, group="x")
    with pytest.raises(TrainingError, match="--group: column 'city', row 2 has no value; every row needs one"):
        divide(frame.assign(city=["a", None] * 200), group="city")
    with pytest.raises(TrainingError, match=r"too few groups \(1 of 400 rows\) to hold some out"):
        divide(frame.assign(household=1), group="household")


@pytest.mark.parametrize("written", [False, True])
def test_the_latest_rows_are_held_out(written: bool) -> None:
    frame = people()
    days = frame["booked"]
    split = divide(frame.assign(booked=days.astype("str")) if written else frame, time="booked")
    out = list(held_out(split))
    assert days[out].min() > days.drop(out).max()
    assert 80 <= len(out) < 100
    with pytest.raises(TrainingError, match=r"--time: column 'city', row 1 holds 'Köln'; dates such as 2026-11-22 or"):
        divide(frame.assign(city="Köln"), time="city")
    with pytest.raises(TrainingError, match=r"too few different times \(1 of 400 rows\)"):
        divide(frame.assign(booked=1), time="booked")


def test_a_class_of_the_latest_rows_alone_is_told() -> None:
    frame = pd.DataFrame({"x": range(100), "y": ["a", "b"] * 45 + ["new"] * 10})
    split = divide(frame, target="y", time="x")
    assert split.notes == ("no rows to learn from are of the class 'new': it cannot be learnt",)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["a", "b"], "2 rows split into 1 to learn from and 1 held out; two of each are needed at least"),
        (
            ["a"] * 9 + ["b"],
            "class 'b' of the target 'y' has only one row; two are needed to hold one out: add rows or leave it out",
        ),
        (
            ["a", "b", "c"] * 3,
            "3 classes of the target 'y' do not fit into 2 rows; "
            "change --test-size, add rows, or use --task regression if it is a quantity",
        ),
    ],
)
def test_too_few_rows_to_hold_any_out_are_refused(y: list[str], message: str) -> None:
    with pytest.raises(TrainingError) as raised:
        divide(pd.DataFrame({"x": range(len(y)), "y": y}), target="y")
    assert str(raised.value) == message


def test_equal_rows_alone_cannot_be_held_out() -> None:
    problem = frame_problem(
        Table(pd.DataFrame({"x": [1, 1] * 9, "z": [2, 2] * 9, "y": np.arange(18) * 0.5}), "t"), keep_all=True
    )
    with pytest.raises(TrainingError, match=r"too few different rows \(1 of 18\) to hold some out"):
        split_rows(problem, 0.2, 42)


def split_of(y: Any, **parts: Any) -> Split:
    return Split(np.zeros((len(y), 1)), np.zeros((0, 1)), np.asarray(y), np.asarray(y[:0]), **parts)


def test_folds_are_stratified_and_cover_every_row_once() -> None:
    y = np.array(["a", "b", "b", "b"] * 10)
    folds = make_folds(split_of(y), "classification", 5, 0)
    assert len(folds) == 5
    assert sorted(np.concatenate([valid for _, valid in folds])) == list(range(40))
    for train, valid in folds:
        assert not set(train) & set(valid)
        assert (y[valid] == "a").sum() == 2
    again = make_folds(split_of(y), "classification", 5, 0)
    assert all((one[1] == other[1]).all() for one, other in zip(folds, again, strict=True))
    assert any(
        (one[1] != other[1]).any()
        for one, other in zip(folds, make_folds(split_of(y), "classification", 5, 1), strict=True)
    )


def test_there_are_fewer_folds_where_a_class_has_fewer_rows() -> None:
    assert len(make_folds(split_of(["a"] * 20 + ["b"] * 3), "classification", 5, 0)) == 3
    with pytest.raises(TrainingError) as raised:
        make_folds(split_of(["a"] * 20 + ["b"]), "classification", 5, 0)
    assert str(raised.value) == (
        "the 21 rows to learn from cannot be divided into folds: "
        "class 'b' has 1, and two of each class are needed: add rows or leave it out"
    )


def test_folds_of_quantities_are_shuffled() -> None:
    folds = make_folds(split_of(np.arange(20.0)), "regression", 4, 0)
    assert [len(valid) for _, valid in folds] == [5] * 4
    assert any((np.diff(valid) != 1).any() for _, valid in folds)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_group_is_on_one_side_of_each_fold(task: Any) -> None:
    groups = np.repeat(np.arange(12, dtype=np.uint64), 5)
    y = np.tile([0, 1, 1, 0, 1], 12)
    folds = make_folds(split_of(y, groups=groups), task, 4, 0)
    assert len(folds) == 4
    for train, valid in folds:
        assert not set(groups[train]) & set(groups[valid])
    with pytest.raises(TrainingError, match="cannot be divided into folds"):
        make_folds(split_of(y, groups=groups * np.uint64(0)), task, 4, 0)


def test_folds_by_time_learn_from_what_came_before() -> None:
    times = np.random.default_rng(0).permutation(np.repeat(np.arange(20), 5))
    y = np.arange(100) % 2
    folds = make_folds(split_of(y, times=times), "classification", 4, 0)
    assert len(folds) == 4
    for train, valid in folds:
        assert times[train].max() < times[valid].min()
    assert len(folds[-1][0]) > len(folds[0][0])
    with pytest.raises(TrainingError, match="none is earlier than others, or the earlier ones are of one class"):
        make_folds(split_of(y, times=times * 0), "classification", 4, 0)


def test_a_split_needs_marks() -> None:
    problem = frame_problem(Table(pd.DataFrame({"x": range(9), "y": range(9)}), "t"))
    with pytest.raises(TypeError):
        split_rows(Problem(problem.X, problem.y, "regression", "y", problem.columns), 0.2, 42)
