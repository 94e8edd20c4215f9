"""A fitted pipeline's steps, replayed on pieces: which step does what to which column.

Steps are known by their exact class, without importing it; a subclass may do anything and is left to scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np

from app.engines.base import NotReplayed
from app.engines.table.columns import FLOAT64, Block, Dates, Hot, Number, Piece, width
from app.engines.table.dates import PARTS
from app.engines.table.encoders import encode
from app.engines.table.imputing import simple_imputer
from app.engines.table.scaling import held_dtype, max_abs_scaler, min_max_scaler, robust_scaler, standard_scaler
from app.engines.table.stages import FUNCTIONS, Stage

_BOOSTING = ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor")


def replay(step: Any, block: Block) -> Block:
    """Return what a fitted step makes of a block.

    Raises
    ------
    NotReplayed
        The step is not one of those below, or not with these parameters or columns.
    """
    if step is None or (isinstance(step, str) and step == "passthrough"):
        return block
    name = f"{type(step).__module__.split('.')[0]}.{type(step).__name__}"
    if name not in _STEPS:
        raise NotReplayed(f"{type(step).__name__} is not among the steps that are replayed")
    return _STEPS[name](step, block)


def _pipeline(step: Any, block: Block) -> Block:
    for _, part in step.steps:
        block = replay(part, block)
    return block


def _column_transformer(step: Any, block: Block) -> Block:
    if step.transformer_weights:
        raise NotReplayed("ColumnTransformer has transformer_weights")
    blocks = []
    for name, part, columns in step.transformers_:
        indices = step._transformer_to_input_indices.get(name, ())
        if (isinstance(part, str) and part == "drop") or len(indices) == 0:
            continue
        if np.isscalar(columns):
            raise NotReplayed(f"{name!r} takes the one column {columns!r} as a vector, as vectorizers do")
        blocks.append(replay(part, Block(tuple(block.pieces[index] for index in indices), block.sparse)))
    return _side_by_side(blocks, sparse=bool(step.sparse_output_), before=block)


def replay_categories(boosting: Any, block: Block) -> tuple[Block, Any]:
    """Replay how histogram boosting codes its native categories, which it then finds first.

    Returns the coded block and a copy of the estimator that takes codes; both as they are where it codes nothing.
    """
    coder = getattr(boosting, "_preprocessor", None)
    if type(boosting).__name__ not in _BOOSTING or coder is None:
        return block, boosting
    pieces: tuple[Piece, ...] = ()
    for name, part, _ in coder.transformers_:
        given = Block(tuple(block.pieces[index] for index in coder._transformer_to_input_indices[name]))
        pieces += encode(part, given).pieces if name == "encoder" else given.pieces
    boosting = copy(boosting)
    boosting._preprocessor = None
    return Block(pieces, watched=block.watched), boosting


def _feature_union(step: Any, block: Block) -> Block:
    if step.transformer_weights:
        raise NotReplayed("FeatureUnion has transformer_weights")
    blocks = [replay(part, Block(block.pieces, block.sparse)) for _, part in step.transformer_list if part != "drop"]
    return _side_by_side(blocks, sparse=any(part.sparse for part in blocks), before=block)


def _side_by_side(blocks: list[Block], *, sparse: bool, before: Block) -> Block:
    pieces = tuple(piece for block in blocks for piece in block.pieces)
    return Block(pieces, sparse, before.watched + tuple(number for block in blocks for number in block.watched))


def _function_transformer(step: Any, block: Block) -> Block:
    if step.func is None and not step.validate:
        return block
    name = next((name for name, function in FUNCTIONS.items() if step.func is function), None)
    if name is None or step.kw_args or step.validate or block.sparse:
        raise NotReplayed("FunctionTransformer is not a plain NumPy function that works value by value")
    held_dtype(step, block)
    for piece in block.pieces:
        # Of narrow integers NumPy takes narrow logarithms, and the square of an integer may overflow.
        if not isinstance(piece, Number) or piece.dtype != FLOAT64:
            raise NotReplayed(f"np.{name} is given column {piece.source!r}, which is no float64")
    return replace(block, pieces=tuple(piece.then(Stage(name)) for piece in block.pieces if isinstance(piece, Number)))


def _selector(step: Any, block: Block) -> Block:
    """Keep the columns that a feature selector kept, where none can be missing: most selectors raise for NaN."""
    held_dtype(step, block)
    support = np.asarray(step.get_support(), dtype=bool)
    pieces: list[Piece] = []
    watched = list(block.watched)
    place = 0
    for piece in block.pieces:
        kept = support[place : place + width(piece)]
        place += width(piece)
        if not _always_there(piece):
            raise NotReplayed(f"{type(step).__name__} is given column {piece.source!r}, which may be missing")
        if kept.any():
            pieces.append(piece.keep(kept) if isinstance(piece, Hot) else piece)
        elif isinstance(piece, Hot) and None in (piece.missing, piece.unknown):
            raise NotReplayed(f"{type(step).__name__} leaves out column {piece.source!r}, whose categories are checked")
        elif isinstance(piece, Number):
            watched.append(piece)
    return Block(tuple(pieces), block.sparse, tuple(watched))


def _always_there(piece: Piece) -> bool:
    if isinstance(piece, Hot):
        return bool(np.isfinite(piece.values).all() and np.isfinite(piece.base).all())
    if not isinstance(piece, Number):
        return False
    filled = [index for index, stage in enumerate(piece.stages) if stage.op in ("fill", "missing")]
    return bool(filled) and not FUNCTIONS.keys() & set(piece.operations[filled[-1] :])


def _date_parts(step: Any, block: Block) -> Block:
    pieces: list[Piece] = []
    for piece in block.pieces:
        if not isinstance(piece, Dates):
            raise NotReplayed(f"DateParts takes column {piece.source!r}, which holds no dates without a time zone")
        pieces += [Number(piece.source, part=part) for part in PARTS]
    return replace(block, pieces=tuple(pieces))


def _densify(step: Any, block: Block) -> Block:
    return replace(block, sparse=False)


_STEPS: dict[str, Callable[[Any, Block], Block]] = {
    "sklearn.Pipeline": _pipeline,
    "sklearn.ColumnTransformer": _column_transformer,
    "sklearn.FeatureUnion": _feature_union,
    "sklearn.StandardScaler": standard_scaler,
    "sklearn.RobustScaler": robust_scaler,
    "sklearn.MaxAbsScaler": max_abs_scaler,
    "sklearn.MinMaxScaler": min_max_scaler,
    "sklearn.SimpleImputer": simple_imputer,
    "sklearn.OneHotEncoder": encode,
    "sklearn.OrdinalEncoder": encode,
    "sklearn.TargetEncoder": encode,
    "sklearn.FunctionTransformer": _function_transformer,
    "sklearn.VarianceThreshold": _selector,
    "sklearn.SelectKBest": _selector,
    "sklearn.SelectPercentile": _selector,
    "sklearn.SelectFromModel": _selector,
    "app.DateParts": _date_parts,
    "app.Densify": _densify,
}
