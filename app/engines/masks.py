"""Ensembles of small trees as bit masks: a row's leaf in every tree, found without descending any.

Each tree's leaves are numbered from left to right, and stand for bits. A split that sends a row to the right
rules out the leaves on its left; what all such splits leave over has the row's leaf as its lowest bit. For each
column the splits are sorted, so that all that a value rules out, in all trees at once, is one line of a table.
(QuickScorer: Lucchese et al., SIGIR 2015, here in NumPy.) The answers are those of the descent, NaN included.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.engines import heads
from app.engines.base import Form, Kernel
from app.engines.outputs import added, to_float32
from app.signature import Array

_MOST_LEAVES = 64
# A larger table would no longer stay in a processor's cache.
_MOST_BYTES = 16 * 1024 * 1024
# So many rows at a time keep what is in work within the cache.
_BLOCK = 128


@dataclass(frozen=True)
class Nodes:
    """One tree, node by node, its root first.

    Attributes
    ----------
    left, right: the children's indices; only of inner nodes.
    leaf: whether a node is one.
    feature, threshold: what an inner node splits on; a value up to the threshold goes left.
    missing_left: whether a missing value goes left.
    values: shape (n_nodes, k).
    """

    left: Array
    right: Array
    leaf: Array
    feature: Array
    threshold: Array
    missing_left: Array
    values: Array


def describe(
    trees: Sequence[Nodes], start: Array | None, head: Mapping[str, Any], cast: str, n_features: int
) -> dict[str, Any] | None:
    """Return the state of an ensemble; None where a tree has too many leaves or the table would be too large.

    Parameters
    ----------
    trees
        The trees.
    start
        What the trees' values are added to, shape (1, k); None where their mean is taken.
    head
        What :mod:`app.engines.heads` makes of it.
    cast
        ``float64``; or ``float32``, and ``float32 finite`` where missing values are refused.
    n_features
        The number of columns.
    """
    leaves = [int(tree.leaf.sum()) for tree in trees]
    splits = sum(len(tree.leaf) for tree in trees) - sum(leaves)
    width = 4 if max(leaves) <= 32 else 8  # noqa: PLR2004  # bits of the narrower word
    if max(leaves) > _MOST_LEAVES or splits * len(trees) * width > _MOST_BYTES or not splits:
        return None
    word = np.dtype(f"u{width}")
    masks = [_left_leaves(tree, word) for tree in trees]
    owner = np.repeat(np.arange(len(trees)), [len(rows) for rows, _, _ in masks])
    ruled_out = np.concatenate([out for _, out, _ in masks])
    feature, threshold, missing_left = (
        np.concatenate([getattr(tree, name)[rows] for tree, (rows, _, _) in zip(trees, masks, strict=True)])
        for name in ("feature", "threshold", "missing_left")
    )
    columns = np.unique(feature)
    points, tables = [], []
    for column in columns:
        here = feature == column
        found, table = _table(threshold[here], owner[here], ruled_out[here], missing_left[here], len(trees))
        points.append(found)
        tables.append(table)
    return {
        "kind": "masks",
        "columns": columns.astype(np.intp),
        "points": points,
        "tables": tables,
        "values": np.concatenate([tree.values[order] for tree, (_, _, order) in zip(trees, masks, strict=True)]),
        "first": np.concatenate([[0], np.cumsum(leaves)[:-1]]).astype(np.intp),
        "start": start,
        "head": dict(head),
        "cast": cast,
        "width": n_features,
    }


def _left_leaves(tree: Nodes, word: np.dtype[Any]) -> tuple[Array, Array, Array]:
    """Return the inner nodes, the bits of the leaves on the left of each, and the leaves from left to right."""
    order: list[int] = []
    spans: dict[int, tuple[int, int]] = {}
    stack = [(0, False)]
    begun: dict[int, int] = {}
    # Depth first, the left child before the right; an inner node comes again between its children.
    while stack:
        node, back = stack.pop()
        if tree.leaf[node]:
            order.append(node)
        elif back:
            spans[node] = (begun[node], len(order))
        else:
            begun[node] = len(order)
            stack += [(int(tree.right[node]), False), (node, True), (int(tree.left[node]), False)]
    bits = [((1 << end) - 1) & ~((1 << begin) - 1) for begin, end in spans.values()]
    return np.array(list(spans), dtype=np.intp), np.array(bits, dtype=word), np.array(order)


def _table(points: Array, owner: Array, ruled_out: Array, missing_left: Array, count: int) -> tuple[Array, Array]:
    """Return a column's split points, and what is left over: a line for each rank of a value, and one for NaN."""
    found, rank = np.unique(points, return_inverse=True)
    lines = np.full((len(found) + 2, count), np.iinfo(ruled_out.dtype).max, dtype=ruled_out.dtype)
    np.bitwise_and.at(lines, (rank + 1, owner), ~ruled_out)
    np.bitwise_and.accumulate(lines[:-1], axis=0, out=lines[:-1])
    right = missing_left == 0
    np.bitwise_and.at(lines, (len(found) + 1, owner[right]), ~ruled_out[right])
    return found, lines


def forms(state: Mapping[str, Any] | None, thresholds: Mapping[Any, Array]) -> list[Form]:
    """Return the form of a state, if there is one."""
    return [] if state is None else [Form("masks", build(state), thresholds, {"front": [], "final": state})]


def build(state: Mapping[str, Any]) -> dict[str, Kernel]:
    """Return the kernels of an ensemble by method; they take a matrix (n, n_features)."""
    return heads.kernels(state["head"], _Ensemble(state).raw)


class _Ensemble:
    def __init__(self, state: Mapping[str, Any]) -> None:
        self._columns: list[int] = state["columns"].tolist()
        self._tables: list[Array] = list(state["tables"])
        self._points: list[Array] = list(state["points"])
        self._lists = [points.tolist() for points in self._points]
        self._starts = np.cumsum([0, *map(len, self._tables)])[:-1].tolist()
        self._joined = np.concatenate(self._tables)
        # The tables of the columns are parts of the joined one, not copies.
        ends = [start + len(table) for start, table in zip(self._starts, self._tables, strict=True)]
        self._tables = [self._joined[start:end] for start, end in zip(self._starts, ends, strict=True)]
        self._values: Array = state["values"]
        self._first: Array = state["first"]
        self._start: Array | None = state["start"]
        self._finite = state["cast"] == "float32 finite"
        narrow = state["cast"] != "float64"
        self._cast = to_float32(int(state["width"]), nan=not self._finite) if narrow else None
        self._one = self._joined.dtype.type(1)

    def raw(self, X: Array) -> Array:
        """Return the mean of the trees, or the sum of the start and the trees, shape (n, k)."""
        rows = X if self._cast is None else self._cast(X)
        if len(rows) == 1:
            return self._of_trees(self._values.take(self._leaves(self._of_one(rows)), axis=0))
        blocks = [self._of_many(rows[start : start + _BLOCK]) for start in range(0, len(rows), _BLOCK)]
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)

    def _of_one(self, row: Array) -> Array:
        """Return what is left over in each tree for one row, shape (n_trees,)."""
        values = row[0].tolist()
        places = [
            start + (bisect_left(points, value) if (value := values[column]) == value else len(points) + 1)
            for column, start, points in zip(self._columns, self._starts, self._lists, strict=True)
        ]
        left: Array = np.bitwise_and.reduce(self._joined.take(places, axis=0))
        return left

    def _of_many(self, rows: Array) -> Array:
        left = np.full((len(rows), len(self._first)), np.iinfo(self._joined.dtype).max, dtype=self._joined.dtype)
        for column, points, table in zip(self._columns, self._points, self._tables, strict=True):
            values = rows[:, column]
            places = points.searchsorted(values)
            if not self._finite:
                # NaN comes after the last point, and has the line after that.
                places += values != values  # noqa: PLR0124  # only NaN differs from itself
            left &= table.take(places, axis=0)
        leaves = np.ascontiguousarray(self._leaves(left).T)
        return self._together(self._values.take(leaves, axis=0))

    def _leaves(self, left: Array) -> Array:
        """Return the places of the leaves: those of the lowest bits."""
        below = left - self._one
        below &= ~left
        return np.asarray(np.bitwise_count(below) + self._first)

    def _of_trees(self, values: Array) -> Array:
        """Add up the trees' values for one row, shape (n_trees, k), in their order."""
        if self._start is None:
            return added(values) / len(values)
        return added(np.concatenate([self._start, values.reshape(-1, self._start.shape[1])]))

    def _together(self, values: Array) -> Array:
        """Add up the trees' values for several rows, shape (n_trees, n, k), in their order."""
        if self._start is None:
            return np.asarray(np.add.reduce(values) / len(values))
        # The trees of a boosting come in turns, one for each raw prediction.
        steps = values.reshape(-1, self._start.shape[1], values.shape[1]).transpose(0, 2, 1)
        start = np.broadcast_to(self._start, (1, *steps.shape[1:]))
        return np.asarray(np.add.reduce(np.concatenate([start, steps])))
