"""Encoders of categories as lookup tables, made by asking the fitted encoder for each category it knows.

So dropped, rare, missing and unknown categories are encoded as the encoder itself encodes them.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from app.engines.base import NotReplayed
from app.engines.table.columns import Block, Hot, Number, Piece, Words
from app.signature import Array

# So many categories are asked at once, as the answer is dense.
_ASKED = 256
# Beyond this, float64 and int64 disagree about which integers are equal.
_EXACT = 2**53
_UNKNOWN = "\0 no category is called this"


def encode(step: Any, block: Block) -> Block:
    """Return what a fitted OneHotEncoder, OrdinalEncoder or TargetEncoder makes of a block.

    Raises
    ------
    NotReplayed
        It encodes something else than a column's own values.
    """
    if block.sparse:
        raise NotReplayed(f"{type(step).__name__} is given a sparse matrix")
    pieces: list[Piece] = []
    for piece, asked in zip(block.pieces, _ask(step), strict=True):
        pieces += _lookups(step, piece, asked)
    sparse = type(step).__name__ == "OneHotEncoder" and step.sparse_output
    return Block(tuple(pieces), sparse, block.watched)


@dataclass(frozen=True)
class _Asked:
    """A column's categories with their codes, and what each code is encoded as: shape (n_codes, k)."""

    codes: dict[Any, int]
    missing: int | None
    unknown: int | None
    answers: Array


def _lookups(step: Any, piece: Piece, asked: _Asked) -> list[Hot]:
    if isinstance(piece, Hot) and type(step).__name__ == "OrdinalEncoder":
        return [_recoded(piece, asked)]
    fill = _fill_of(step, piece)
    missing = asked.missing if fill is None else asked.codes.get(fill, asked.unknown)
    dtype = np.dtype(getattr(step, "dtype", np.float64))

    def lookup(numbers: Array) -> Hot:
        hot = numbers.argmax(axis=1) if numbers.shape[1] > 1 else np.zeros(len(numbers), dtype=np.intp)
        values = numbers[np.arange(len(numbers)), hot]
        base = np.zeros(numbers.shape[1])
        return Hot(piece.source, asked.codes, missing, asked.unknown, base, hot, values, dtype)

    if type(step).__name__ == "OneHotEncoder":
        if asked.answers.shape[1] == 0:
            return _nothing(piece, missing, asked.unknown)
        return [lookup(asked.answers)]
    return [lookup(asked.answers[:, [column]]) for column in range(asked.answers.shape[1])]


def _recoded(hot: Hot, asked: _Asked) -> Hot:
    """Return what an OrdinalEncoder makes of the codes of another, as boosting does with its categories."""

    def recode(number: float) -> float:
        code = asked.missing if number != number else asked.codes.get(number, asked.unknown)  # noqa: PLR0124
        if code is None:
            raise NotReplayed(f"OrdinalEncoder does not know all codes of column {hot.source!r}")
        return float(asked.answers[code, 0])

    if len(hot.base) != 1:
        raise NotReplayed(f"OrdinalEncoder encodes the one-hot columns of {hot.source!r}")
    return replace(hot, values=np.array([recode(number) for number in hot.values.tolist()], dtype=np.float64))


def _nothing(piece: Piece, missing: int | None, unknown: int | None) -> list[Hot]:
    if None in (missing, unknown):
        raise NotReplayed(f"OneHotEncoder makes nothing of column {piece.source!r} but checks its categories")
    return []


def _fill_of(step: Any, piece: Piece) -> Any:
    """Return what a missing value was filled with before it is encoded, or None."""
    if isinstance(piece, Words):
        return piece.fill
    if isinstance(piece, Number) and piece.part is None:
        if not piece.stages:
            return None
        if piece.operations == ("fill",):
            return piece.stages[0].constant
    raise NotReplayed(f"{type(step).__name__} encodes computed numbers of column {piece.source!r}")


def _ask(step: Any) -> list[_Asked]:
    """Ask for all columns at once: each row holds a category of every column, and columns are encoded apart."""
    named = [[category for category in categories if category == category] for categories in _categories(step)]  # noqa: PLR0124  # NaN differs from itself
    begins = range(0, max(map(len, named)), _ASKED)
    known = [_answers(step, [column[begin : begin + _ASKED] for column in named]) for begin in begins]
    missing, unknown = _probe(step, np.nan), _probe(step, _UNKNOWN)
    asked = []
    for index, column in enumerate(named):
        answers = [part[index] for part in known]
        places: list[int | None] = []
        for probed in (missing[index], unknown[index]):
            places.append(None if probed is None else sum(map(len, answers)))
            answers += [] if probed is None else [probed]
        codes = {category: code for code, category in enumerate(column)}
        asked.append(_Asked(codes, places[0], places[1], np.concatenate(answers)))
    return asked


def _categories(step: Any) -> list[list[Any]]:
    """Return the categories of each column; raises NotReplayed where some cannot be told apart."""
    several: list[list[Any]] = [categories.tolist() for categories in step.categories_]
    if any(isinstance(one, int | float) and abs(one) > _EXACT for categories in several for one in categories):
        raise NotReplayed(f"{type(step).__name__} knows integers that float64 does not hold")
    return several


def _probe(step: Any, value: Any) -> list[Array | None]:
    """Return what the encoder makes of `value` in each column, shape (1, k); None where it raises."""
    width = len(step.categories_)
    with contextlib.suppress(ValueError):  # what the encoder raises for a category it does not know
        return list(_answers(step, [[value]] * width))
    probed: list[Array | None] = []
    for index in range(width):
        try:
            encoded = _encoded(step, [[value] if other == index else [] for other in range(width)])
            probed.append(_part(step, encoded, index, 1))
        except ValueError:
            probed.append(None)
    return probed


def _answers(step: Any, columns: Sequence[Sequence[Any]]) -> list[Array]:
    """Return what the encoder makes of each column's values, shapes (n, k)."""
    encoded = _encoded(step, columns)
    return [_part(step, encoded, index, len(values)) for index, values in enumerate(columns)]


def _encoded(step: Any, columns: Sequence[Sequence[Any]]) -> Any:
    """Encode the columns side by side; those with fewer values than others are filled up with their first category."""
    rows = np.empty((max(map(len, columns)), len(columns)), dtype=object)
    for index, (values, categories) in enumerate(zip(columns, step.categories_, strict=True)):
        rows[:, index] = categories.tolist()[0]
        rows[: len(values), index] = values
    with warnings.catch_warnings():
        # Of columns without names, and of unknown categories where one is dropped.
        warnings.simplefilter("ignore")
        encoded = step.transform(rows)
    if hasattr(encoded, "tocsc"):
        return encoded.tocsc()
    return encoded.to_numpy() if hasattr(encoded, "to_numpy") else encoded


def _part(step: Any, encoded: Any, index: int, count: int) -> Array:
    """Return the first `count` rows of what the encoder's column `index` became."""
    part = encoded[:count, slice(*_columns_of(step, index))]
    return np.asarray(part.toarray() if hasattr(part, "toarray") else part, dtype=np.float64)


def _columns_of(step: Any, index: int) -> tuple[int, int]:
    """Return where the encoder's column `index` begins and ends among what it gives."""
    if type(step).__name__ == "OneHotEncoder":
        widths = list(step._n_features_outs)
        return sum(widths[:index]), sum(widths[: index + 1])
    several = len(step.classes_) if getattr(step, "target_type_", None) == "multiclass" else 1
    return index * several, (index + 1) * several
