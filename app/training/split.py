"""Rows -> rows to learn from and rows held out; the former -> folds."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from app.training.errors import TrainingError
from app.training.marks import Keys, Marks, mixed
from app.training.problem import Problem, Rows, Target, Task
from app.training.spool import spool

Rule = Literal["own", "drawn", "content", "group", "time"]
Indices = npt.NDArray[np.intp]
HeldOut = npt.NDArray[np.bool_]

_IN_WORDS: dict[Rule, str] = {
    "own": "as the data says",
    "drawn": "drawn with the seed",
    "content": "by a hash of the row",
    "group": "by a hash of the group",
    "time": "the latest",
}
_FEWEST = 2
_HASHES = 2**64
# Further off the share that was asked for than chance brings about, in standard deviations.
_FAR_OFF = 5
_NAMES_SHOWN = 5
_ROWS_PER_WORD = 10


@dataclass(frozen=True)
class Split:
    """Training rows and held-out rows, in the problem's container.

    Attributes
    ----------
    groups: which training rows belong together, shape (n_train,); None where each stands alone.
    times: what training rows are ordered by, shape (n_train,); None where they have no order.
    rule: what decided which rows are held out.
    notes: what the user should know of it, one line each.
    """

    X_train: Rows
    X_test: Rows
    y_train: Target
    y_test: Target
    groups: Keys | None = None
    times: npt.NDArray[Any] | None = None
    rule: Rule = "content"
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{len(self.y_train):,} rows to learn from, {len(self.y_test):,} held out ({_IN_WORDS[self.rule]})"

    def of_train(self, rows: Indices) -> Split:
        """Return the split with some of its training rows, by their numbers."""
        return replace(
            self,
            X_train=take_rows(self.X_train, rows),
            y_train=self.y_train[rows],
            groups=None if self.groups is None else self.groups[rows],
            times=None if self.times is None else self.times[rows],
        )


def split_rows(problem: Problem, test_size: float, seed: int, *, drawn: bool = False) -> tuple[Problem, Split]:
    """Hold out rows: the data's own test split if it has one, else a share of about `test_size`.

    A row is held out where the hash of its content (see ``marks``), as a fraction, is below
    `test_size`. Neither its place nor the seed counts, nor which other rows there are: a model trained
    before on some of the same rows has seen none that are held out now, and equal rows are on one
    side. With groups, the hash of a row's group decides; with times, the latest rows are held out.
    Where the hashes leave a class on one side only, as few rows as possible change sides.

    With `drawn`, rows are drawn with `seed` as ``sklearn.model_selection.train_test_split`` does,
    stratified by class for classification.

    Returns the problem with its rows in another order, those to learn from first, and the split, whose
    rows are parts of the problem's, not copies. Those of a large table are in a file (see ``spool``).

    Raises
    ------
    TrainingError
        Too few rows, or of some class, to hold any out.
    """
    if problem.marks is None:
        raise TypeError("these rows were not marked")
    n = len(problem.y)
    notes: tuple[str, ...] = ()
    if problem.n_held_out:
        rule: Rule = "own"
        n_test = problem.n_held_out
    else:
        _check_enough(problem, test_size)
        if drawn:
            rule = "drawn"
            order, n_test = _draw(problem, test_size, seed)
        else:
            rule, held_out, notes = _hold_out(problem, problem.marks, test_size)
            # The order of their hashes is a shuffled one, whatever order the file is in.
            by_hash = np.argsort(mixed(problem.marks.keys), kind="stable")
            order = np.concatenate([by_hash[~held_out[by_hash]], by_hash[held_out[by_hash]]])
            n_test = int(held_out.sum())
        problem = reorder(problem, order)
    problem = replace(problem, X=spool(problem.X))
    split = _divide(problem, n - n_test, rule, notes)
    if problem.task == "classification" and len(pd.unique(split.y_train)) < _FEWEST:
        raise TrainingError(f"the rows to learn {problem.target!r} from are all of one class; two or more are needed")
    return problem, split


def below(places: Keys, test_size: float) -> HeldOut:
    """Tell of each row whether its place, its key or that of its group mixed, is among the share `test_size`."""
    return places < np.uint64(int(test_size * _HASHES))


def reorder(problem: Problem, order: Indices) -> Problem:
    """Return the problem with its rows in the order given."""
    marks = None if problem.marks is None else problem.marks.take(order)
    X = share_words(problem.X) if isinstance(problem.X, pd.DataFrame) else problem.X
    return replace(problem, X=take_rows(X, order), y=problem.y[order], marks=marks)


def share_words(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with categories as Python's strings, one object for each.

    scikit-learn takes strings as objects; from Arrow's memory it would get one for each row, again and again.
    """
    shared = {
        str(name): _share(words, codes, frame.index)
        for name in frame
        if isinstance(frame[name].dtype, pd.StringDtype)
        for codes, words in [pd.factorize(frame[name])]
        if len(words) * _ROWS_PER_WORD <= len(frame)
    }
    return frame.assign(**shared) if shared else frame


def _share(words: Any, codes: Indices, index: pd.Index[Any]) -> pd.Series[Any]:
    objects = np.append(np.asarray(words, dtype=object), np.nan)[codes]
    return pd.Series(objects, index=index, dtype=pd.StringDtype("python", na_value=np.nan))


def take_rows(X: Rows, chosen: Indices | slice) -> Rows:
    """Return the chosen rows, in the same container; those of a slice are no copies."""
    if isinstance(X, pd.DataFrame):
        return X.iloc[chosen].reset_index(drop=True)
    if isinstance(X, list):
        return X[chosen] if isinstance(chosen, slice) else [X[index] for index in chosen]
    return X[chosen]


def make_folds(split: Split, task: Task, n_folds: int, seed: int) -> list[tuple[Indices, Indices]]:
    """Return folds of the training rows: indices of rows to learn from and of rows to validate on.

    Stratified by class for classification, shuffled with `seed`. With groups, each is on one side of a
    fold. With times, the rows to validate on are later than those to learn from. There are fewer than
    `n_folds` where a class has fewer rows, there are fewer groups, or the earliest rows are of one class.

    Raises
    ------
    TrainingError
        Not even two folds (by time: one) can be made.
    """
    y = split.y_train
    if split.times is not None:
        folds = _folds_by_time(split.times, n_folds)
    elif split.groups is not None:
        folds = _folds_by_group(y, split.groups, task, n_folds, seed)
    else:
        folds = _folds_by_row(y, task, n_folds, seed)
    if task == "classification":
        folds = [(train, valid) for train, valid in folds if len(pd.unique(y[train])) >= _FEWEST]
    if len(folds) < (_FEWEST if split.times is None else 1):
        raise TrainingError(f"the {len(y):,} rows to learn from cannot be divided into folds: {_why_not(split, task)}")
    return folds


def _divide(problem: Problem, n_train: int, rule: Rule, notes: tuple[str, ...]) -> Split:
    train, test = slice(n_train), slice(n_train, None)
    marks = problem.marks
    groups, times = (
        part if part is None else part[train] for part in ((marks.groups, marks.times) if marks else (None, None))
    )
    X, y = problem.X, problem.y
    return Split(take_rows(X, train), take_rows(X, test), y[train], y[test], groups, times, rule, notes)


def _draw(problem: Problem, test_size: float, seed: int) -> tuple[Indices, int]:
    from sklearn.model_selection import train_test_split

    strata = problem.y if problem.task == "classification" else None
    train, test = train_test_split(np.arange(len(problem.y)), test_size=test_size, random_state=seed, stratify=strata)
    return np.concatenate([train, test]), len(test)


def _hold_out(problem: Problem, marks: Marks, test_size: float) -> tuple[Rule, HeldOut, tuple[str, ...]]:
    classes: list[Any] = []
    codes = np.zeros(len(problem.y), dtype=np.intp)
    if problem.task == "classification":
        codes, distinct = pd.factorize(problem.y)
        classes = list(distinct)
    notes: list[str] = []
    if marks.times is not None:
        rule: Rule = "time"
        held_out = _latest(marks.times, test_size)
    else:
        rule = "content" if marks.groups is None else "group"
        places = mixed(marks.keys if marks.groups is None else marks.groups)
        held_out = below(places, test_size)
        # R2 needs two rows; each class one.
        if moved := _settle(held_out, places, codes, needed=1 if classes else _FEWEST):
            notes.append(f"{moved} row{'s' * (moved > 1)} changed sides of the split, so that there are enough on both")
    n, n_test = len(held_out), int(held_out.sum())
    if n_test < _FEWEST or n - n_test < _FEWEST:
        raise TrainingError(_too_alike(marks, n))
    notes += _lacking(classes, codes[held_out], "held out", "cannot be measured")
    notes += _lacking(classes, codes[~held_out], "to learn from", "cannot be learnt")
    if abs(n_test - n * test_size) > _FAR_OFF * math.sqrt(n * test_size * (1 - test_size)):
        kept = {"group": "groups", "time": "rows of the same time"}.get(rule, "equal rows")
        notes.append(f"{n_test / n:.1%} of the rows are held out, not {test_size:.1%}, to keep {kept} together")
    return rule, held_out, tuple(notes)


def _lacking(classes: list[Any], codes: npt.NDArray[np.intp], side: str, told: str) -> list[str]:
    """Say which classes have no rows on one side of the split, if there are any."""
    found = [str(classes[code]) for code in np.flatnonzero(np.bincount(codes, minlength=len(classes)) == 0)]
    if not classes or not found:
        return []
    shown = ", ".join(map(repr, found[:_NAMES_SHOWN])) + (", …" if len(found) > _NAMES_SHOWN else "")
    return [
        f"no rows {side} are of the class{'es' * (len(found) > 1)} {shown}: {'they' if len(found) > 1 else 'it'} {told}"
    ]


def _latest(times: npt.NDArray[Any], test_size: float) -> HeldOut:
    """Hold out the latest share; rows of the same time are on one side, held out where there is a choice."""
    n_test = int(np.ceil(len(times) * test_size))
    since = np.sort(times)[len(times) - n_test]
    held_out: HeldOut = times >= since
    return times > since if held_out.all() else held_out


def _settle(held_out: HeldOut, places: Keys, codes: npt.NDArray[np.intp], needed: int) -> int:
    """Move rows, in place, so that each class has the `needed` rows on both sides; return how many.

    Rows of one place move together, those nearest to the border first. Having rows to learn from
    comes first: where a class cannot be on both sides, it is held out nowhere.
    """
    moved = 0
    n_classes = int(codes.max()) + 1
    for to_test in (False, True):
        counts = np.bincount(codes[held_out == to_test], minlength=n_classes)
        for code in np.flatnonzero(counts < needed):
            rows = np.flatnonzero((codes == code) & (held_out != to_test))
            by_place = np.unique(places[rows])
            for place in by_place if to_test else by_place[::-1]:
                if (held_out == to_test)[codes == code].sum() >= needed:
                    break
                together = places == place
                left = np.bincount(codes[(held_out != to_test) & ~together], minlength=n_classes)
                if to_test and (left[codes[together]] < needed).any():
                    continue
                held_out[together] = to_test
                moved += int(together.sum())
    return moved


def _check_enough(problem: Problem, test_size: float) -> None:
    n = len(problem.y)
    n_test = int(np.ceil(n * test_size))
    if n_test < _FEWEST or n - n_test < _FEWEST:  # R2 and two classes need two rows
        raise TrainingError(
            f"{n} rows split into {n - n_test} to learn from and {n_test} held out; two of each are needed at least"
        )
    if problem.task == "regression":
        return
    counts = Counter(problem.y.tolist())
    label, fewest = min(counts.items(), key=lambda item: item[1])
    if fewest < _FEWEST:  # one to learn from, one held out
        raise TrainingError(
            f"class {label!r} of the target {problem.target!r} has only one row; "
            "two are needed to hold one out: add rows or leave it out"
        )
    if min(n_test, n - n_test) < len(counts):
        raise TrainingError(
            f"{len(counts)} classes of the target {problem.target!r} do not fit into {min(n_test, n - n_test)} rows; "
            "change --test-size, add rows, or use --task regression if it is a quantity"
        )


def _too_alike(marks: Marks, n: int) -> str:
    if marks.times is not None:
        return f"too few different times ({len(np.unique(marks.times))} of {n} rows) to hold the latest rows out"
    if marks.groups is not None:
        return f"too few groups ({len(np.unique(marks.groups))} of {n} rows) to hold some out"
    return f"too few different rows ({len(np.unique(marks.keys))} of {n}) to hold some out"


def _folds_by_row(y: Target, task: Task, n_folds: int, seed: int) -> list[tuple[Indices, Indices]]:
    from sklearn.model_selection import KFold, StratifiedKFold

    most = min(Counter(y.tolist()).values()) if task == "classification" else len(y)
    n_folds = min(n_folds, most)
    if n_folds < _FEWEST:
        return []
    kind = StratifiedKFold if task == "classification" else KFold
    return list(kind(n_folds, shuffle=True, random_state=seed).split(np.zeros(len(y)), y))


def _folds_by_group(y: Target, groups: Keys, task: Task, n_folds: int, seed: int) -> list[tuple[Indices, Indices]]:
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    codes, distinct = pd.factorize(groups)
    most = len(distinct)
    if task == "classification":
        # More folds than a class has groups would leave it out of some.
        pairs = pd.DataFrame({"y": pd.factorize(y)[0], "group": codes}).drop_duplicates()
        most = int(pairs["y"].value_counts().min())
    n_folds = min(n_folds, most)
    if n_folds < _FEWEST:
        return []
    kind = StratifiedGroupKFold if task == "classification" else GroupKFold
    folds = kind(n_folds, shuffle=True, random_state=seed).split(np.zeros(len(y)), y, codes)
    return [(train, valid) for train, valid in folds if len(valid)]


def _folds_by_time(times: npt.NDArray[Any], n_folds: int) -> list[tuple[Indices, Indices]]:
    from sklearn.model_selection import TimeSeriesSplit

    order = np.argsort(times, kind="stable")
    n_folds = min(n_folds, len(times) - 1)
    if n_folds < _FEWEST:
        return []
    folds = []
    for train, valid in TimeSeriesSplit(n_folds).split(order):
        # Rows of the same time are not learnt from to predict one another.
        earlier = train[times[order[train]] < times[order[valid[0]]]]
        if len(earlier):
            folds.append((order[earlier], order[valid]))
    return folds


def _why_not(split: Split, task: Task) -> str:
    if split.times is not None:
        return "none is earlier than others" + (", or the earlier ones are of one class" * (task == "classification"))
    if split.groups is not None:
        return "each class needs two groups at least" if task == "classification" else "there is only one group"
    if task == "regression":
        return "two are needed at least"
    label, fewest = min(Counter(split.y_train.tolist()).items(), key=lambda item: item[1])
    return f"class {label!r} has {fewest}, and two of each class are needed: add rows or leave it out"
