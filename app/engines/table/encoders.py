"""Encoders of categories as lookup tables, made by asking the fitted encoder for each category it knows.

So dropped, rare, missing and unknown categories are encoded as the encoder itself encodes them.
"""

from __future__ import annotations

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
    for index, piece in enumerate(block.pieces):
        pieces += _lookups(step, index, piece)
    sparse = type(step).__name__ == "OneHotEncoder" and step.sparse_output
    return Block(tuple(pieces), sparse, block.watched)


@dataclass(frozen=True)
class _Asked:
    """A column's categories with their codes, and what each code is encoded as: shape (n_codes, k)."""

    codes: dict[Any, int]
    missing: int | None
    unknown: int | None
    answers: Array


def _lookups(step: Any, index: int, piece: Piece) -> list[Hot]:
    if isinstance(piece, Hot) and type(step).__name__ == "OrdinalEncoder":
        return [_recoded(piece, _ask(step, index))]
    fill = _fill_of(step, piece)
    asked = _ask(step, index)
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


def _ask(step: Any, index: int) -> _Asked:
    categories = step.categories_[index].tolist()
    if any(isinstance(category, int | float) and abs(category) > _EXACT for category in categories):
        raise NotReplayed(f"{type(step).__name__} knows integers that float64 does not hold")
    named = [category for category in categories if category == category]  # noqa: PLR0124  # NaN differs from itself
    answers = [_answer(step, index, named[start : start + _ASKED]) for start in range(0, len(named), _ASKED)]
    codes = {category: code for code, category in enumerate(named)}
    places: list[int | None] = []
    for probe in (np.nan, _UNKNOWN):
        try:
            answers.append(_answer(step, index, [probe]))
        except ValueError:  # what the encoder raises for a category it does not know
            places.append(None)
        else:
            places.append(sum(map(len, answers)) - 1)
    return _Asked(codes, places[0], places[1], np.concatenate(answers))


def _answer(step: Any, index: int, values: Sequence[Any]) -> Array:
    """Return what the encoder makes of `values` in its column `index`, shape (n, k)."""
    rows = np.empty((len(values), len(step.categories_)), dtype=object)
    for other, categories in enumerate(step.categories_):
        rows[:, other] = categories.tolist()[0]
    rows[:, index] = values
    with warnings.catch_warnings():
        # Of columns without names, and of unknown categories where one is dropped.
        warnings.simplefilter("ignore")
        encoded = step.transform(rows)
    if hasattr(encoded, "tocsc"):
        encoded = encoded.tocsc()
    elif hasattr(encoded, "to_numpy"):
        encoded = encoded.to_numpy()
    first, last = _columns_of(step, index)
    encoded = encoded[:, first:last]
    return np.asarray(encoded.toarray() if hasattr(encoded, "toarray") else encoded, dtype=np.float64)


def _columns_of(step: Any, index: int) -> tuple[int, int]:
    """Return where the encoder's column `index` begins and ends among what it gives."""
    if type(step).__name__ == "OneHotEncoder":
        widths = list(step._n_features_outs)
        return sum(widths[:index]), sum(widths[: index + 1])
    several = len(step.classes_) if getattr(step, "target_type_", None) == "multiclass" else 1
    return index * several, (index + 1) * several
