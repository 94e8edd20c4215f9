"""Rows -> rows to learn from and rows held out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from app.training.errors import TrainingError
from app.training.problem import Problem, Rows, Target, Task

Chosen = npt.NDArray[np.intp] | slice


@dataclass(frozen=True)
class Split:
    """Training rows and held-out rows, in the problem's container."""

    X_train: Rows
    X_test: Rows
    y_train: Target
    y_test: Target

    def of_train(self, rows: npt.NDArray[np.intp]) -> Split:
        """Return the split with some of its training rows, by their numbers."""
        return replace(self, X_train=take_rows(self.X_train, rows), y_train=self.y_train[rows])


def split_rows(problem: Problem, test_size: float, seed: int) -> Split:
    """Hold out rows: the data's own test split if it has one, else a share of `test_size` drawn with `seed`.

    Drawn as ``sklearn.model_selection.train_test_split`` does, stratified by class for classification.

    Raises
    ------
    TrainingError
        Too few rows, or of some class, to hold any out.
    """
    n = len(problem.y)
    train: Chosen
    test: Chosen
    if problem.n_held_out:
        # Slices, so that an array is not copied.
        train, test = slice(n - problem.n_held_out), slice(n - problem.n_held_out, n)
    else:
        train, test = _draw(problem, test_size, seed)
    if problem.task == "classification" and len(set(problem.y[train].tolist())) < 2:  # noqa: PLR2004  # two classes
        raise TrainingError(f"the rows to learn {problem.target!r} from are all of one class; two or more are needed")
    return Split(take_rows(problem.X, train), take_rows(problem.X, test), problem.y[train], problem.y[test])


def make_folds(
    split: Split, task: Task, n_folds: int, seed: int
) -> list[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """Divide the training rows for cross-validation: row numbers to fit on and to validate on."""
    from sklearn.model_selection import KFold, StratifiedKFold

    kind = StratifiedKFold if task == "classification" else KFold
    return list(kind(n_folds, shuffle=True, random_state=seed).split(split.y_train, split.y_train))


def take_rows(X: Rows, chosen: Chosen) -> Rows:
    """Return the chosen rows, in the same container."""
    if isinstance(X, pd.DataFrame):
        return X.iloc[chosen].reset_index(drop=True)
    if isinstance(X, list):
        return X[chosen] if isinstance(chosen, slice) else [X[index] for index in chosen]
    return X[chosen]


def _draw(problem: Problem, test_size: float, seed: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    from sklearn.model_selection import train_test_split

    _check_enough(problem, test_size)
    strata = problem.y if problem.task == "classification" else None
    train, test = train_test_split(np.arange(len(problem.y)), test_size=test_size, random_state=seed, stratify=strata)
    return train, test


def _check_enough(problem: Problem, test_size: float) -> None:
    n = len(problem.y)
    n_test = int(np.ceil(n * test_size))
    if n_test < 2 or n - n_test < 2:  # noqa: PLR2004  # R2 and two classes need two rows
        raise TrainingError(
            f"{n} rows split into {n - n_test} to learn from and {n_test} held out; two of each are needed at least"
        )
    if problem.task == "regression":
        return
    counts = Counter(problem.y.tolist())
    label, fewest = min(counts.items(), key=lambda item: item[1])
    if fewest < 2:  # noqa: PLR2004  # one to learn from, one held out
        raise TrainingError(
            f"class {label!r} of the target {problem.target!r} has only one row; "
            "two are needed to hold one out: add rows or leave it out"
        )
    if min(n_test, n - n_test) < len(counts):
        raise TrainingError(
            f"{len(counts)} classes of the target {problem.target!r} do not fit into {min(n_test, n - n_test)} rows; "
            "change --test-size, add rows, or use --task regression if it is a quantity"
        )
