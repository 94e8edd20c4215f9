"""What makes the held-out rows say more than is true: columns that give the target away, rows seen before."""

from __future__ import annotations

import shlex
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api import types

from app.training.marks import Keys, hash_column, hash_rows, mixed
from app.training.problem import Problem, Rows, Target
from app.training.split import Split

_ROWS = 5000
_MOST_COLUMNS = 200
_SUSPICIOUS = 0.999
_LEAVES_PER_CLASS = 2
_LEAVES_OF_QUANTITY = 100
# Of rows that are alike by chance there are always some.
_SHARE_TO_TELL = 0.01


def find_leaks(problem: Problem, split: Split) -> list[str]:
    """Say, one line each, what makes the held-out rows easier or harder than rows to come will be.

    Columns that, alone, predict the target of the held-out rows all but perfectly, where there are
    several columns: a single one that does is what was hoped for. Held-out rows that are equal to rows
    learnt from. Rows of different classes that are equal otherwise.
    """
    keys_train, keys_test = (_keys(X, problem) for X in (split.X_train, split.X_test))
    return [
        *_columns_that_tell(problem, split),
        *_rows_seen_before(problem, split, keys_train, keys_test),
        *_rows_of_two_classes(problem, split, keys_train, keys_test),
    ]


def _columns_that_tell(problem: Problem, split: Split) -> list[str]:
    names = problem.columns.kinds
    if problem.container == "texts" or not 1 < len(names) <= _MOST_COLUMNS:
        return []
    train, y_train = _sample(split.X_train, split.y_train, problem)
    test, y_test = _sample(split.X_test, split.y_test, problem)
    return [
        f"column {name!r} {found}; if it is not known beforehand, leave it out with --drop {shlex.quote(name)}"
        for name, kind in names.items()
        if kind != "text" and (found := _how_it_tells(train[name], test[name], y_train, y_test, problem))
    ]


def _sample(X: Rows, y: Target, problem: Problem) -> tuple[pd.DataFrame, Target]:
    """Return some rows, evenly spaced: the first ones of a data set with a split of its own may be of one class."""
    every = slice(None, None, max(1, len(y) // _ROWS))
    rows = X.iloc[every] if isinstance(X, pd.DataFrame) else pd.DataFrame(X[every], columns=list(problem.columns.names))
    return rows, y[every]


def _how_it_tells(
    train: pd.Series[Any], test: pd.Series[Any], y_train: Target, y_test: Target, problem: Problem
) -> str | None:
    from sklearn.metrics import balanced_accuracy_score, r2_score

    if problem.task == "classification" and not types.is_numeric_dtype(train.dtype):
        if _one_to_one(pd.concat([train, test]), np.concatenate([y_train, y_test])):
            return f"is {problem.target!r} in other words: each of its values goes with one class"
        predicted = _predict_by_value(train, test, y_train)
    else:
        predicted = _predict_by_tree(train, test, y_train, problem)
    # Balanced, since where one class is rare any column at all is right nearly always.
    measure = balanced_accuracy_score if problem.task == "classification" else r2_score
    if measure(y_test, predicted) < _SUSPICIOUS:
        return None
    return f"alone predicts {problem.target!r} all but perfectly"


def _one_to_one(column: pd.Series[Any], y: Target) -> bool:
    values, classes = pd.factorize(column)[0], pd.factorize(y)[0]
    pairs = pd.DataFrame({"value": values, "class": classes}).drop_duplicates()
    return bool(pairs["value"].is_unique and pairs["class"].is_unique)


def _predict_by_value(train: pd.Series[Any], test: pd.Series[Any], y_train: Target) -> Target:
    """Predict the class that is most frequent with a value; for one that was not seen, the most frequent of all."""
    seen = pd.DataFrame({"value": train.to_numpy(dtype=object), "class": y_train})
    counts = seen.value_counts(["value", "class"], dropna=False).reset_index()
    likely = counts.drop_duplicates("value").set_index("value")["class"]
    places = likely.index.get_indexer(pd.Index(test.to_numpy(dtype=object)))
    return np.where(places >= 0, likely.to_numpy()[places], counts["class"].iloc[0])


def _predict_by_tree(train: pd.Series[Any], test: pd.Series[Any], y_train: Target, problem: Problem) -> Target:
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    if problem.task == "classification":
        leaves = _LEAVES_PER_CLASS * len(pd.unique(y_train))
        tree = DecisionTreeClassifier(max_leaf_nodes=leaves, random_state=0)
    else:
        tree = DecisionTreeRegressor(max_leaf_nodes=_LEAVES_OF_QUANTITY, random_state=0)
    codes_train, codes_test = _as_numbers(train, test)
    predicted: Target = tree.fit(codes_train, y_train).predict(codes_test)
    return predicted


def _as_numbers(train: pd.Series[Any], test: pd.Series[Any]) -> list[npt.NDArray[np.float64]]:
    """Return both columns as shape (n, 1): the ranks of numbers and dates, the codes of categories."""
    if not types.is_datetime64_dtype(train.dtype) and not types.is_numeric_dtype(train.dtype):
        codes = {value: code for code, value in enumerate(train.dropna().unique())}
        train, test = (column.map(codes) for column in (train, test))
    # The order is all that a tree looks at, and of numbers it can hold those of 32 bits only.
    ranks = pd.concat([train, test]).rank(method="dense").to_numpy(dtype=np.float64, na_value=np.nan).reshape(-1, 1)
    return [ranks[: len(train)], ranks[len(train) :]]


def _keys(X: Rows, problem: Problem) -> Keys:
    """Return a hash of what is learnt from of each row; of texts, whatever their case and blanks."""
    if isinstance(X, list):
        return hash_column(pd.Series([" ".join(text.casefold().split()) for text in X], dtype="str", name="text"))
    frame = X if isinstance(X, pd.DataFrame) else pd.DataFrame(X, columns=list(problem.columns.names), copy=False)
    return hash_rows(frame[list(problem.columns.kinds)])


def _rows_seen_before(problem: Problem, split: Split, keys_train: Keys, keys_test: Keys) -> list[str]:
    train, test = (
        keys + hash_column(pd.Series(y, name=problem.target))
        for keys, y in ((keys_train, split.y_train), (keys_test, split.y_test))
    )
    count = int(np.isin(test, train).sum())
    if count < _SHARE_TO_TELL * len(test):
        return []
    found = (
        f"{_of(count, len(test))} held-out rows are equal to rows learnt from, but for columns that are not used: "
        "if they are copies, the metrics flatter the model"
    )
    # Whoever has given --group needs no advice to.
    grouped = split.groups is not None
    return [found if grouped else f"{found}; --group COLUMN keeps what belongs together on one side"]


def _rows_of_two_classes(problem: Problem, split: Split, keys_train: Keys, keys_test: Keys) -> list[str]:
    if problem.task == "regression":
        return []
    rows = pd.factorize(np.concatenate([keys_train, keys_test]))[0].astype(np.uint64)
    classes = pd.factorize(np.concatenate([split.y_train, split.y_test]))[0].astype(np.uint64)
    # A row has two classes where it makes more than one pair with them.
    pairs = np.unique(mixed(rows * np.uint64(classes.max() + 1) + classes), return_index=True)[1]
    several = np.bincount(rows[pairs].astype(np.intp)) > 1
    count = int(several[rows.astype(np.intp)].sum())
    if count < _SHARE_TO_TELL * len(rows):
        return []
    return [
        f"{_of(count, len(rows))} rows are equal to one of another class in all columns that are used: "
        "no model can tell these apart"
    ]


def _of(count: int, n: int) -> str:
    return f"{count:,} of the {n:,} ({count / n:.1%})"
