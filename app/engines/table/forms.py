"""Forms of pipelines on tables: the fitted steps replayed on typed columns, no DataFrame built.

What comes after the replayed steps is a matrix of numbers, which the final estimator's own forms take.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from app.engines import covers, matrix
from app.engines.base import Answer, Form, Kernel, NotReplayed
from app.engines.native import as_arrays
from app.engines.table.columns import Block, Dates, Number, Piece, Unreadable, Words, width
from app.engines.table.plan import TablePlan
from app.engines.table.stages import Stage
from app.engines.table.state import dump_plan, load_plan
from app.engines.table.steps import replay, replay_categories
from app.signature import METHODS, Array, Input, Signature

_SEARCHES = ("GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV")


def forms(estimator: Any, signature: Signature) -> list[Form]:
    """Return the forms of a fitted pipeline on a table.

    Their kernels take ``Batch.data`` of the container ``frame``: a dict of arrays of shape (n,) by column.
    Where no form is known, the final estimator itself is asked for what it makes of the matrix.

    Raises
    ------
    NotReplayed
        Why there is none: a step, an option of one, or a column's dtype that is not replayed.
    """
    if signature.container != "frame":
        raise NotReplayed(f"its rows are no table but {signature.container}")
    block, final, stopped = _replay_front(estimator, _sources(estimator, signature))
    try:
        plan = TablePlan(block, takes_missing=_takes_missing(final, sum(map(width, block.pieces))))
    except NotReplayed as fault:
        raise stopped or fault from None
    found = matrix.final_forms(final)
    found = [*found, *_own_form(final, {method for form in found for method in form.kernels})]
    if not found:
        raise stopped or NotReplayed(f"{type(final).__name__} has no other form, and wants its columns by name")
    return [_on_table(plan, form, signature.methods) for form in found]


def _sources(estimator: Any, signature: Signature) -> Block:
    """Return the columns in the order they had in fitting."""
    columns = {column.name: column for column in signature.inputs}
    names = getattr(estimator, "feature_names_in_", None)
    order = [column.name for column in signature.required] if names is None else list(map(str, names))
    return Block(tuple(_source(columns[name]) for name in order))


def _source(column: Input) -> Piece:
    """Return the piece that a column is to begin with; a dtype of pandas' own stays what no step takes."""
    if column.kind in ("number", "integer", "boolean") and column.dtype[0].islower():
        return Number(column.name, dtype=np.dtype(column.dtype))
    if column.dtype in ("str", "object"):
        return Words(column.name)
    if column.kind == "category" and all(isinstance(category, str) for category in column.categories or ()):
        return Words(column.name)
    if column.kind == "datetime" and "," not in column.dtype:
        return Dates(column.name)
    return Unreadable(column.name, column.dtype)


def _replay_front(estimator: Any, block: Block) -> tuple[Block, Any, NotReplayed | None]:
    """Replay the steps before the last as far as they go.

    Returns what they give, what is left (the final estimator, or a pipeline), and why a step was left, if one was.
    """
    if type(estimator).__name__ in _SEARCHES and hasattr(estimator, "best_estimator_"):
        return _replay_front(estimator.best_estimator_, block)
    covered = covers.inside(estimator)
    if covered is not None:
        block, final, stopped = _replay_front(covered, block)
        return block, covers.around(estimator, final), stopped
    if type(estimator).__name__ != "Pipeline" or not type(estimator).__module__.startswith("sklearn."):
        try:
            return *replay_categories(estimator, block), None
        except NotReplayed as fault:
            return block, estimator, fault
    for index, (_, step) in enumerate(estimator.steps[:-1]):
        try:
            block = replay(step, block)
        except NotReplayed as fault:
            return block, type(estimator)(estimator.steps[index:]), fault
    return _replay_front(estimator.steps[-1][1], block)


def _takes_missing(final: Any, columns: int) -> bool:
    """Ask the final estimator whether it takes NaN."""
    ask = next((getattr(final, method) for method in METHODS if hasattr(final, method)), None)
    if ask is None:
        raise NotReplayed(f"the last step, {final!r:.80}, answers nothing")
    with warnings.catch_warnings():
        # Of columns without names.
        warnings.simplefilter("ignore")
        try:
            ask(np.full((1, columns), np.nan))
        except Exception:  # whatever it raises, it does not take NaN
            return False
    return True


def _own_form(final: Any, covered: set[str]) -> list[Form]:
    """Return the final estimator as it is for the methods that no form covers, unless it would miss columns' names."""
    methods = [method for method in METHODS if method not in covered and hasattr(final, method)]
    if not methods or getattr(final, "feature_names_in_", None) is not None:
        return []

    def kernel(method: str) -> Kernel:
        return lambda matrix: as_arrays(getattr(final, method)(matrix))

    return [Form("sklearn", {method: kernel(method) for method in methods})]


def rebuild(state: Mapping[str, Any], signature: Signature) -> Form:
    """Build a form again from its state, without the estimator."""
    return _on_table(load_plan(state["plan"]), matrix.rebuild(state["final"]), signature.methods)


def _on_table(plan: TablePlan, form: Form, methods: tuple[str, ...]) -> Form:
    def kernel(answer: Kernel) -> Callable[[Mapping[str, Array]], Answer]:
        return lambda columns: answer(plan.matrix(columns))

    return Form(
        f"table+{form.name}",
        {method: kernel(answer) for method, answer in form.kernels.items() if method in methods},
        dict(_thresholds(plan, form.thresholds)),
        None if form.state is None else {"plan": dump_plan(plan), "final": form.state},
        form.rows,
    )


def _thresholds(plan: TablePlan, thresholds: Mapping[Any, Array]) -> Iterator[tuple[str, Array]]:
    """Yield split points of the matrix' columns as split points of the table's."""
    place = 0
    for piece in plan.block.pieces:
        if place in thresholds and isinstance(piece, Number) and piece.part is None:
            points = np.asarray(thresholds[place], dtype=np.float64)
            for stage in reversed(piece.stages):
                points = _inverse(stage, points)
            yield piece.source, points
        place += width(piece)


def _inverse(stage: Stage, points: Array) -> Array:
    with np.errstate(all="ignore"):
        if stage.op in ("subtract", "add"):
            return points + stage.constant if stage.op == "subtract" else points - stage.constant
        if stage.op in ("divide", "multiply"):
            return points * stage.constant if stage.op == "divide" else points / stage.constant
    return points if stage.op in ("fill", "clip") else np.empty(0)
