"""Trees and forests: scikit-learn's own compiled descent, called without what is around it.

For few rows all trees are one: above them stand nodes that split on a further column, the number of the
tree, so that a single call descends every tree (a call costs more than a descent). For more rows each
tree is called directly, and where only labels are asked, a row is done once the trees that are left cannot change
its label. All walk the nodes with scikit-learn's own code, so NaN and split points are its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from app.engines import heads, masks
from app.engines.base import Form, SplitPoints
from app.engines.outputs import Scores, added, labels_of, to_float32
from app.signature import Array

# For more rows the further levels above merged trees cost more than the calls that they spare.
_FEW_ROWS = 64
# The values of more rows in all trees, or of more cells, leave the processor's cache: they are added up tree by tree.
_SEVERAL_ROWS = 512
_MOST_CELLS = 200_000
# It is looked after each tenth of the trees whether labels are settled; rounding may move a sum of votes so far.
_LOOKS = 10
_ROUNDING = 1e-6


def forms(estimator: Any) -> list[Form]:
    """Return the forms of a tree or a forest, one for single rows and one for several; none for anything else."""
    from sklearn.ensemble import (
        ExtraTreesClassifier,
        ExtraTreesRegressor,
        RandomForestClassifier,
        RandomForestRegressor,
    )
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor

    forests = (RandomForestClassifier, RandomForestRegressor, ExtraTreesClassifier, ExtraTreesRegressor)
    single = (DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor)
    if type(estimator) not in (*forests, *single):
        return []
    several_outputs = estimator.n_outputs_ > 1
    if several_outputs and hasattr(estimator, "classes_"):
        return []
    members = estimator.estimators_ if type(estimator) in forests else [estimator]
    trees = [member.tree_ for member in members]
    nan = takes_nan(estimator)
    cast = to_float32(estimator.n_features_in_, nan=nan)
    thresholds = SplitPoints(lambda: split_points(trees))
    head = heads.describe(estimator)
    state = masks.describe(
        [nodes_of(tree) for tree in trees], None, head, "float32" if nan else "float32 finite", estimator.n_features_in_
    )
    found = masks.forms(state, thresholds)
    if len(trees) == 1:
        return [*found, Form("trees", heads.kernels(head, _mean_of_many(trees, cast)), thresholds)]
    merged = MergedTrees(trees)
    found.append(Form("merged trees", heads.kernels(head, _mean_of_one(merged, cast)), thresholds, rows="one"))
    few, many = _mean_of_few(merged, cast), _mean_of_many(trees, cast)
    most = _most_few(merged, estimator.n_features_in_)
    kernels = heads.kernels(head, _by_rows([(most, few)], many))
    if head["classes"] is not None and _are_shares(trees):
        votes = (_most_several(merged), _votes(trees, merged, cast))
        kernels["predict"] = labels_of(head["classes"], _by_rows([(most, few), votes], many))
    return [*found, Form("trees", kernels, thresholds, rows="many")]


def _most_few(merged: MergedTrees, n_features: int) -> int:
    """Return for how many rows all trees are asked in one call."""
    return min(_FEW_ROWS, _MOST_CELLS // (merged.count * max(n_features + 1, merged.width)))


def _most_several(merged: MergedTrees) -> int:
    """Return for how many rows the values of all trees are gathered."""
    return min(_SEVERAL_ROWS, _MOST_CELLS // (merged.count * merged.width))


def _by_rows(limited: Sequence[tuple[int, Scores]], otherwise: Scores) -> Scores:
    """Make the kernel that takes the first of those whose limit of rows is kept."""

    def scores(X: Array) -> Array:
        return next((few for most, few in limited if len(X) <= most), otherwise)(X)

    return scores


def _mean_of_one(merged: MergedTrees, cast: Scores) -> Scores:
    return lambda X: added(merged.values_at(cast(X))) / merged.count


def _mean_of_few(merged: MergedTrees, cast: Scores) -> Scores:
    # From two rows on NumPy adds up the trees in their order, whatever k is; for one, see `added`.
    return lambda X: np.add.reduce(merged.values_of(cast(X))) / merged.count


def _mean_of_many(trees: Sequence[Any], cast: Scores) -> Scores:
    predict = [tree.predict for tree in trees]
    shape = trees[0].value.shape[1:]
    flat = max(shape) if min(shape) == 1 else 0
    count = len(trees)

    def mean(X: Array) -> Array:
        X = cast(X)
        out: Array = predict[0](X).reshape(len(X), flat)
        for tree in predict[1:]:
            out += tree(X).reshape(out.shape)
        return out if count == 1 else np.divide(out, count, out=out)

    return mean


def _votes(trees: Sequence[Any], merged: MergedTrees, cast: Scores) -> Scores:
    """Make the kernel of sums of which the highest column, the label's, is that of the mean.

    A tree moves two classes apart by 1 at most: what is further apart than there are trees left, stays so. Half of
    the trees must have voted before that can be.
    """
    apply, first, values = [tree.apply for tree in trees], merged.first[:, None], merged.values
    count = len(trees)
    ends = [*range(count // 2 + 1, count, max(1, count // _LOOKS)), count]

    def votes(X: Array) -> Array:
        X = cast(X)
        out = np.empty((len(X), merged.width))
        where, begin, voted = np.arange(len(X)), 0, np.zeros((1, *out.shape))
        for end in ends:
            leaves = np.array([ask(X) for ask in apply[begin:end]])
            leaves += first[begin:end]
            # One after the other, as scikit-learn adds them.
            sums = np.add.reduce(np.concatenate([voted, values.take(leaves, axis=0)]))
            best = np.partition(sums, -2, axis=1)
            unsettled = best[:, -1] - best[:, -2] <= count - end + _ROUNDING
            out[where] = sums
            X, where, voted, begin = X[unsettled], where[unsettled], sums[None, unsettled], end
            if not len(X):
                break
        # What is settled is so before and after the division; a tie of means may be none of sums.
        return np.divide(out, count, out=out)

    return votes


def _are_shares(trees: Sequence[Any]) -> bool:
    """Tell whether the values of the trees are shares of classes, two or more: from 0 to 1."""
    return all(
        tree.value.shape[2] > 1 and tree.value.min() >= 0.0 and tree.value.max() <= 1.0 + _ROUNDING for tree in trees
    )


class MergedTrees:
    """Trees of scikit-learn as one, which takes the number of the tree as a further column.

    Parameters
    ----------
    trees
        Fitted ``sklearn.tree._tree.Tree``, of the same number of features and outputs.

    Attributes
    ----------
    count: how many trees they were.
    values: each node's value, shape (n_nodes, width), a view of the tree's own memory.
    first: the place of each tree's root, shape (n_trees,).
    """

    def __init__(self, trees: Sequence[Any]) -> None:
        from sklearn.tree._tree import Tree

        states = [tree.__getstate__() for tree in trees]
        n_features = trees[0].n_features
        self.count = len(trees)
        self.first = np.cumsum([len(trees) - 1, *(tree.node_count for tree in trees[:-1])])
        nodes = merge_nodes([state["nodes"] for state in states], n_features, _NAMES)
        values = np.concatenate([np.zeros((len(trees) - 1, *states[0]["values"].shape[1:])), *_values(states)])
        state = {"max_depth": 0, "node_count": len(nodes), "nodes": nodes, "values": values}
        merged = Tree(n_features + 1, trees[0].n_classes, trees[0].n_outputs)
        merged.__setstate__(state | {"max_depth": max(map(_depth, states)) + len(trees).bit_length()})
        self._apply = merged.apply
        self.values: Array = merged.value.reshape(len(nodes), -1)
        self.width = int(self.values.shape[1])
        self._rows = np.empty((len(trees), n_features + 1), dtype=np.float32)
        self._rows[:, -1] = np.arange(len(trees))

    def values_of(self, rows: Array) -> Array:
        """Return every tree's value for rows of float32, shape (n, n_features); shape (n_trees, n, k)."""
        asked = np.empty((self.count, len(rows), rows.shape[1] + 1), dtype=np.float32)
        asked[:, :, :-1] = rows
        asked[:, :, -1] = self._rows[:, -1:]
        leaves = self._apply(asked.reshape(-1, asked.shape[2])).reshape(asked.shape[:2])
        return np.asarray(self.values.take(leaves, axis=0))

    def values_at(self, row: Array) -> Array:
        """Return every tree's value for one row of float32, shape (1, n_features); shape (n_trees, k)."""
        rows = self._rows.copy()
        rows[:, :-1] = row
        return np.asarray(np.take(self.values, self._apply(rows), axis=0))


_NAMES = {"left": "left_child", "right": "right_child", "feature": "feature", "threshold": "threshold"}


def _values(states: Sequence[Mapping[str, Any]]) -> list[Array]:
    return [state["values"] for state in states]


def _depth(state: Mapping[str, Any]) -> int:
    return int(state["max_depth"])


def merge_nodes(trees: Sequence[Array], n_features: int, names: Mapping[str, str]) -> Array:
    """Return one tree's nodes from those of several, under nodes that split on column `n_features`.

    Parameters
    ----------
    trees
        The nodes of each tree, a structured array with its root first.
    n_features
        The number of columns; the one after the last is to hold the number of the tree.
    names
        What the fields ``left``, ``right``, ``feature`` and ``threshold`` are called.
    """
    left, right = names["left"], names["right"]
    routes = len(trees) - 1
    offsets = np.cumsum([routes, *map(len, trees)])
    nodes = np.concatenate([np.zeros(routes, dtype=trees[0].dtype), *trees])
    for offset, tree in zip(offsets, trees, strict=False):
        # A child that is none is 0 or -1: the root is nobody's child.
        inner = offset + np.flatnonzero((tree[left] != 0) & (tree[left] != -1))
        for side in (left, right):
            nodes[side][inner] += offset.astype(nodes[side].dtype)
    free = iter(range(routes))

    def route(low: int, high: int) -> int:
        """Place the nodes that lead to the trees `low` to `high`, and return the first of them."""
        if high - low == 1:
            return int(offsets[low])
        index, middle = next(free), (low + high) // 2
        nodes[names["feature"]][index] = n_features
        nodes[names["threshold"]][index] = middle - 0.5
        nodes[left][index], nodes[right][index] = route(low, middle), route(middle, high)
        return index

    route(0, len(trees))
    return nodes


def takes_nan(estimator: Any) -> bool:
    """Tell whether the estimator answers a row of missing values."""
    try:
        estimator.predict(np.full((1, estimator.n_features_in_), np.nan))
    except ValueError:
        return False
    return True


def split_points(trees: Sequence[Any]) -> dict[int, Array]:
    """Return the thresholds of the trees by column."""
    features = np.concatenate([tree.feature for tree in trees])
    thresholds = np.concatenate([tree.threshold for tree in trees])
    return {int(column): np.unique(thresholds[features == column]) for column in np.unique(features[features >= 0])}


def nodes_of(tree: Any, rate: float = 1.0) -> masks.Nodes:
    """Return the nodes of a ``sklearn.tree._tree.Tree``; its values times `rate`."""
    left = tree.children_left
    return masks.Nodes(
        left=left,
        right=tree.children_right,
        leaf=left == -1,
        feature=tree.feature,
        threshold=tree.threshold,
        missing_left=tree.__getstate__()["nodes"]["missing_go_to_left"],
        values=tree.value.reshape(len(left), -1) * rate,
    )
