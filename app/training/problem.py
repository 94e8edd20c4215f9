"""A Table -> the rows, the target and the task that a model is fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api import types

from app.training.columns import Columns, describe_rounding, describe_spellings, find_columns
from app.training.dates import as_dates
from app.training.errors import TrainingError
from app.training.layout import is_number
from app.training.marks import Marks, mark_rows
from app.training.normalise import LARGEST_EXACT, greatest
from app.training.strangers import find_strangers
from app.training.table import Table

Task = Literal["classification", "regression"]
Container = Literal["array", "frame", "texts"]
Rows = npt.NDArray[np.float64] | pd.DataFrame | list[str]
Target = npt.NDArray[Any]

_DEFAULT_TARGETS = ("target", "label", "y")
_MOST_CLASSES_OF_INTEGERS = 20
_ROWS_PER_CLASS_OF_INTEGERS = 5
_NAMES_SHOWN = 30
_RARE = 0.05


@dataclass(frozen=True)
class Problem:
    """What is to be learnt.

    Attributes
    ----------
    X: the features in the container the model is fitted on and served with: a C-contiguous float64
        array of shape (n, n_features) where all are numbers, a list of n texts, else a DataFrame.
    y: the target, shape (n,): float64 for regression; integers, booleans or strings for classification.
    feature_names: the columns' names where X is an array and the data had names.
    n_held_out: how many of the last rows are the data's own test split.
    marks: what decides on which side of a split each row falls.
    notes: what was done to the data that the user should know, one line each.
    """

    X: Rows
    y: Target
    task: Task
    target: str
    columns: Columns
    feature_names: list[str] | None = None
    n_held_out: int = 0
    marks: Marks | None = None
    notes: tuple[str, ...] = ()

    @property
    def container(self) -> Container:
        """What kind of container X is."""
        if isinstance(self.X, pd.DataFrame):
            return "frame"
        return "texts" if isinstance(self.X, list) else "array"

    def held_out_marks(self, n_held_out: int) -> Marks | None:
        """Return the marks of the last rows, which a split has put there."""
        return None if self.marks is None else self.marks.take(np.arange(len(self.y) - n_held_out, len(self.y)))

    @property
    def array(self) -> npt.NDArray[np.float64]:
        """X where it is an array, for recipes that take nothing else."""
        if not isinstance(self.X, np.ndarray):
            raise TypeError(f"these rows are {self.container}")
        return self.X


def frame_problem(
    table: Table, target: str | None = None, task: Task | None = None, *, keep_all: bool = False, as_texts: bool = False
) -> Problem:
    """Separate the target from the features, leave out rows without a target, and find the task.

    With `keep_all` no column is left out for being of no use; with `as_texts` the only feature is a
    text, however short.

    Raises
    ------
    TrainingError
        An unknown target, one that the task cannot have, or features that cannot be learnt from.
    """
    target = choose_target(table, target)
    marks = table.marks or mark_rows(table.frame)
    table = replace(table, marks=marks.without(table.frame[target]))
    table, notes = drop_rows_without_target(table, target)
    notes += describe_strangers(table.frame[target], task)
    y, task = read_target(table.frame[target], task)
    features = table.frame.drop(columns=target)
    if as_texts:
        columns = Columns((str(features.columns[0]),), {str(features.columns[0]): "text"})
    else:
        features, columns = find_columns(features, keep_all=keep_all)
    notes += columns.notes + describe_dropped(columns)
    if task == "regression":
        notes += describe_rounding(table.frame[target])
    else:
        notes += describe_spellings(table.frame[target]) if y.dtype == object else ()
        notes += describe_rarest(y)
    if not table.n_held_out and (table.marks is None or table.marks.times is None):
        notes += describe_order(features, columns)
    X = contain(features, columns)
    names = list(map(str, features.columns)) if isinstance(X, np.ndarray) and table.named else None
    return Problem(X, y, task, target, columns, names, table.n_held_out, table.marks, table.notes + notes)


def describe_dropped(columns: Columns) -> tuple[str, ...]:
    """Say which columns are not used, one line for each reason."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in columns.dropped.items():
        by_reason.setdefault(reason, []).append(repr(name))
    return tuple(f"not used, being {reason}: {_shown(names)}" for reason, names in by_reason.items())


def describe_rarest(y: Target) -> tuple[str, ...]:
    """Say what it means where a class is rare."""
    codes, classes = pd.factorize(y)
    counts = np.bincount(codes)
    rarest = int(counts.argmin())
    share = counts[rarest] / len(y)
    if share >= min(_RARE, 1 / (2 * len(classes))):
        return ()
    return (
        f"only {share:.1%} of the rows ({counts[rarest]:,}) are of the class {str(classes[rarest])!r}: accuracy says "
        "little of it; look at its recall and at balanced_accuracy, and choose models by one that counts it, "
        "such as --objective average_precision",
    )


def describe_order(features: pd.DataFrame, columns: Columns) -> tuple[str, ...]:
    """Say how to hold out the latest rows, where the rows are in the order of a date."""
    ordered = [
        name for name in columns.of("date") if features[name].is_monotonic_increasing and features[name].nunique() > 1
    ]
    if not ordered:
        return ()
    return (
        f"the rows are in the order of {ordered[0]!r}: if later ones are to be predicted from earlier ones, "
        f"--time {ordered[0]} holds the latest out",
    )


def choose_target(table: Table, target: str | None) -> str:
    """Return `target` if there is such a column; by default ``target``, ``label``, ``y``, else the last."""
    names = list(map(str, table.frame.columns))
    if target is not None:
        if target not in names:
            raise TrainingError(f"{table.source}: there is no column {target!r}; there are {_shown(names)}")
        return target
    if table.target is not None:
        return table.target
    return next((name for name in _DEFAULT_TARGETS if name in names), names[-1])


def mark_table(table: Table, group: str | None, time: str | None) -> Table:
    """Mark the rows by their content and by the columns `group` and `time`; leave out `group`, which is no feature.

    Raises
    ------
    TrainingError
        No such columns, or columns that cannot be used so.
    """
    if group is not None and time is not None:
        raise TrainingError("--group and --time cannot be given together: rows are split by one of them")
    table = replace(table, marks=mark_rows(table.frame, group, time))
    if group is None:
        return table
    note = f"not used, being what rows are grouped by: {group!r}"
    return replace(drop_columns(table, [group]), notes=(*table.notes, note))


def drop_columns(table: Table, names: Sequence[str]) -> Table:
    """Leave out columns by name."""
    for name in names:
        choose_target(table, name)
    frame = table.frame.drop(columns=list(names))
    if frame.shape[1] < 2:  # noqa: PLR2004  # a target and a feature
        raise TrainingError("--drop leaves no feature; a target and at least one feature are needed")
    return replace(table, frame=frame, target=None if table.target in names else table.target)


def drop_rows(table: Table, missing: npt.NDArray[np.bool_]) -> Table:
    """Leave out the rows where `missing` is true, of the data's own test split as well; the others keep their index."""
    held_out = int((~missing[len(missing) - table.n_held_out :]).sum()) if table.n_held_out else 0
    marks = None if table.marks is None else table.marks.take(~missing)
    return replace(table, frame=table.frame[~missing], n_held_out=held_out, marks=marks)


def drop_rows_without_target(table: Table, target: str) -> tuple[Table, tuple[str, ...]]:
    """Leave out the rows whose target is missing, and say how many they were."""
    missing = table.frame[target].isna().to_numpy()
    count = int(missing.sum())
    if count == len(missing):
        raise TrainingError(f"{table.source}: the target {target!r} is missing in every row")
    if not count:
        return table, ()
    rows = f"{count} row{'s' * (count > 1)}"
    return drop_rows(table, missing), (f"{rows} without a value of the target {target!r}: left out",)


def describe_strangers(column: pd.Series[Any], task: Task | None) -> tuple[str, ...]:
    """Refuse a target that is numbers but for a few values, unless they may be classes; else say what it is taken for.

    Raises
    ------
    TrainingError
        Most values are quantities; a few are not, or none may be, as `task` says.
    """
    strangers = find_strangers(column) if isinstance(column.dtype, pd.StringDtype) else None
    if strangers is None:
        return ()
    if strangers.others == "date":
        return (strangers.describe(),) if task is None else ()
    fractions = bool((strangers.numbers % 1 != 0).any())
    quantities = fractions if task == "classification" else find_task(strangers.numbers) == "regression"
    mistaken = strangers.few or (task is None and (fractions or strangers.count == 1))
    if task == "regression" or (quantities and mistaken):
        no_classes = fractions and strangers.few
        raise strangers.refuse(
            "correct it or leave it empty" if no_classes else "correct it, leave it empty or use --task classification"
        )
    return (strangers.describe(),) if quantities and task is None else ()


def read_target(column: pd.Series[Any], task: Task | None) -> tuple[Target, Task]:
    """Return the target as an array of shape (n,) and the task, found where it is not given.

    Text, booleans and integers of few values are classes; other numbers are quantities.
    """
    dtype: Any = column.dtype
    written_dates = task is None and isinstance(dtype, pd.StringDtype) and as_dates(column) is not None
    if written_dates or types.is_datetime64_dtype(dtype):
        raise TrainingError(f"the target {column.name!r} holds dates; name another with --target")
    task = task or find_task(column)
    if task == "regression":
        if types.is_bool_dtype(dtype) or not types.is_numeric_dtype(dtype):
            example = next((word for word in map(str, column) if not is_number(word)), str(column.iloc[0]))[:40]
            raise TrainingError(
                f"the target {column.name!r} holds {example!r}, no numbers; "
                "use --task classification, or another --target"
            )
        y = column.to_numpy(dtype=np.float64)
        if not np.isfinite(y).all():
            row = column.index[int(np.argmin(np.isfinite(y)))] + 1
            raise TrainingError(f"the target {column.name!r} is infinite in row {row}")
        if len(y) > 1 and (y == y[0]).all():
            raise _refuse_constant(column)
        return y, task
    classes = column.unique()
    if len(classes) < 2:  # noqa: PLR2004  # two classes
        raise TrainingError(
            f"the target {column.name!r} has one class only, {classes[0]!s:.40}; two or more are needed"
        )
    if types.is_bool_dtype(dtype):
        return column.to_numpy(dtype=bool), task
    if types.is_numeric_dtype(dtype):
        return _whole_classes(column), task
    codes, words = pd.factorize(column)
    # Each class is one object, however many rows it has.
    return np.asarray(words, dtype=object)[codes], task


def find_task(column: pd.Series[Any]) -> Task:
    """Tell classes from quantities: see :func:`read_target`."""
    if types.is_bool_dtype(column.dtype) or not types.is_numeric_dtype(column.dtype):
        return "classification"
    distinct = column.nunique()
    if greatest(column) > LARGEST_EXACT:
        return "regression"
    few = distinct <= max(2, min(_MOST_CLASSES_OF_INTEGERS, len(column) // _ROWS_PER_CLASS_OF_INTEGERS))
    return "classification" if few and bool((column % 1 == 0).all()) else "regression"


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMES_SHOWN]) + (", …" if len(names) > _NAMES_SHOWN else "")


def _refuse_constant(column: pd.Series[Any]) -> TrainingError:
    first = _exact(column.iloc[0])
    if column.nunique() == 1:
        return TrainingError(f"the target {column.name!r} is {first} in every row; there is nothing to learn")
    return TrainingError(
        f"the target {column.name!r} holds whole numbers beyond 2**53 such as {first}, which float64 cannot tell "
        "apart; subtract what they share or, if they are names, put a letter before each"
    )


def _exact(number: Any) -> str:
    return f"{number:g}" if isinstance(number, float) else str(number)


def _whole_classes(column: pd.Series[Any]) -> Target:
    if not (column % 1 == 0).all():
        example = column[column % 1 != 0].iloc[0]
        raise TrainingError(
            f"the target {column.name!r} holds fractions such as {example:g}, no classes; use --task regression"
        )
    if (most := greatest(column)) > LARGEST_EXACT:
        raise TrainingError(
            f"the target {column.name!r} holds {_exact(most)}, too large a number for a class; put a letter before each"
        )
    return column.to_numpy(dtype=np.int64)


def contain(features: pd.DataFrame, columns: Columns) -> Rows:
    """Put the features into the plainest container that holds them."""
    if columns.only_text:
        return features.iloc[:, 0].fillna("").tolist()
    if columns.all_numbers and all(
        types.is_numeric_dtype(dtype) and not types.is_bool_dtype(dtype) for dtype in features.dtypes
    ):
        return np.ascontiguousarray(features.to_numpy(dtype=np.float64))
    return features.reset_index(drop=True)
