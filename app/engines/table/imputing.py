"""SimpleImputer, replayed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from app.engines.base import NotReplayed
from app.engines.table.columns import FLOAT64, Block, Hot, Number, Piece, Words
from app.engines.table.scaling import held_dtype
from app.engines.table.stages import Stage


def simple_imputer(step: Any, block: Block) -> Block:
    """Fill missing values with what was learned, and add indicators of what was missing."""
    if not (isinstance(step.missing_values, float) and np.isnan(step.missing_values)) or block.sparse:
        raise NotReplayed("SimpleImputer looks for other missing values than NaN, or in a sparse matrix")
    plain = not any(isinstance(piece, Words) for piece in block.pieces)
    if plain or step.strategy in ("mean", "median"):
        held_dtype(step, block)
    statistics, fills = step.statistics_, step.statistics_.astype(step._fill_dtype, copy=False)
    pieces: list[Piece] = []
    watched = list(block.watched)
    for index, piece in enumerate(block.pieces):
        empty = isinstance(statistics[index], float) and np.isnan(statistics[index])
        if not empty or step.keep_empty_features:
            pieces.append(_filled(piece, fills[index]))
        elif isinstance(piece, Number):
            watched.append(piece)
    if step.add_indicator:
        pieces += [_indicator(block.pieces[index]) for index in step.indicator_.features_]
    return Block(tuple(pieces), block.sparse, tuple(watched))


def _filled(piece: Piece, fill: Any) -> Piece:
    fill = fill.item() if isinstance(fill, np.generic) else fill
    if isinstance(piece, Words):
        return piece if piece.fill is not None else replace(piece, fill=fill)
    if not isinstance(piece, Number):
        raise NotReplayed("SimpleImputer is given what an encoder made")
    if isinstance(fill, int | float):
        whole = piece.dtype.kind in "iu" and isinstance(fill, int)
        return piece.then(Stage("fill", float(fill)), dtype=piece.dtype if whole else FLOAT64)
    if piece.stages or piece.part:
        raise NotReplayed(f"SimpleImputer fills computed numbers of column {piece.source!r} with {fill!r}")
    return Words(piece.source, fill)


def _indicator(piece: Piece) -> Piece:
    if isinstance(piece, Number):
        return piece.then(Stage("missing"))
    if isinstance(piece, Words):
        if piece.fill is not None:
            raise NotReplayed("SimpleImputer indicates what was missing after another has filled it")
        zeros = np.zeros(2, dtype=np.intp)
        return Hot(piece.source, {}, 1, 0, np.zeros(1), zeros, np.array([0.0, 1.0]))
    raise NotReplayed("SimpleImputer is given what an encoder made")
