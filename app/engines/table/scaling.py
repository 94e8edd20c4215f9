"""Scalers, replayed with scikit-learn's own operations in its own order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from app.engines.base import NotReplayed
from app.engines.table.columns import FLOAT64, Block, Dates, Hot, Number, Piece, Unreadable, Words, width
from app.engines.table.stages import FUNCTIONS, Stage
from app.signature import Array


def standard_scaler(step: Any, block: Block) -> Block:
    """Subtract the mean and divide by the standard deviation."""
    if step.with_mean and not block.sparse:
        block = _elementwise(step, block, "subtract", step.mean_)
    return _divide(step, block, step.scale_) if step.with_std else block


def robust_scaler(step: Any, block: Block) -> Block:
    """Subtract the median and divide by the range of quantiles."""
    if step.with_centering and not block.sparse:
        block = _elementwise(step, block, "subtract", step.center_)
    return _divide(step, block, step.scale_) if step.with_scaling else block


def max_abs_scaler(step: Any, block: Block) -> Block:
    """Divide by the largest absolute value."""
    block = _divide(step, block, step.scale_)
    return _clip(step, block, -1.0, 1.0) if step.clip else block


def min_max_scaler(step: Any, block: Block) -> Block:
    """Multiply and shift to a range."""
    block = _elementwise(step, block, "multiply", step.scale_)
    block = _elementwise(step, block, "add", step.min_)
    return _clip(step, block, *map(float, step.feature_range)) if step.clip else block


def _divide(step: Any, block: Block, scale: Array) -> Block:
    """Divide by `scale` as scikit-learn does: where the matrix is sparse, it multiplies by the reciprocal."""
    if not np.all(scale):
        raise NotReplayed(f"{type(step).__name__} divides by 0")
    return (
        _elementwise(step, block, "multiply", 1.0 / scale)
        if block.sparse
        else _elementwise(step, block, "divide", scale)
    )


def _clip(step: Any, block: Block, lower: float, upper: float) -> Block:
    if any(isinstance(piece, Number) and set(piece.operations) & FUNCTIONS.keys() for piece in block.pieces):
        raise NotReplayed(f"{type(step).__name__} clips what a function gave, and would raise for infinities")
    return _elementwise(step, block, "clip", np.full(sum(map(width, block.pieces)), lower), upper)


def _elementwise(step: Any, block: Block, op: str, constants: Array, upper: float = 0.0) -> Block:
    """Apply one operation to every column, with a constant for each."""
    held_dtype(step, block)
    constants = np.asarray(constants, dtype=np.float64)
    pieces: list[Piece] = []
    place = 0
    for piece in block.pieces:
        if isinstance(piece, Hot):
            pieces.append(piece.then(op, constants[place : place + width(piece)], upper))
        elif isinstance(piece, Number):
            pieces.append(piece.then(Stage(op, float(constants[place]), upper)))
        place += width(piece)
    return replace(block, pieces=tuple(pieces))


def held_dtype(step: Any, block: Block) -> np.dtype[Any]:
    """Return the dtype in which a step that works on numbers holds a block; raises NotReplayed for narrow floats."""
    for piece in block.pieces:
        if isinstance(piece, Unreadable):
            raise NotReplayed(f"column {piece.source!r} is {piece.dtype}")
        if isinstance(piece, Words | Dates):
            raise NotReplayed(f"{type(step).__name__} takes column {piece.source!r}, which holds no numbers")
    dtypes = [piece.dtype for piece in block.pieces if isinstance(piece, Number | Hot)]
    dtype = np.result_type(*dtypes) if dtypes else FLOAT64
    if dtype.kind == "f" and dtype != FLOAT64:
        raise NotReplayed(f"{type(step).__name__} computes in {dtype}")
    return dtype
