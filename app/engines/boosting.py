"""Gradient boosting, on histograms or not: one descent through all trees at once for one row, see `forest`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from app.engines import heads, masks
from app.engines.base import Form, SplitPoints
from app.engines.forest import MergedTrees, merge_nodes, nodes_of, split_points
from app.engines.outputs import Scores, added, to_float32
from app.signature import Array

_NAMES = {"left": "left", "right": "right", "feature": "feature_idx", "threshold": "num_threshold"}


def forms(estimator: Any) -> list[Form]:
    """Return the forms of a gradient boosting, one for single rows and one for several; none for anything else."""
    from sklearn.ensemble import (
        GradientBoostingClassifier,
        GradientBoostingRegressor,
        HistGradientBoostingClassifier,
        HistGradientBoostingRegressor,
    )

    if type(estimator) in (GradientBoostingClassifier, GradientBoostingRegressor):
        return _stages(estimator)
    if type(estimator) in (HistGradientBoostingClassifier, HistGradientBoostingRegressor):
        return _histograms(estimator)
    return []


def _stages(estimator: Any) -> list[Form]:
    from sklearn.ensemble._gradient_boosting import predict_stages

    if estimator.init_ != "zero" and type(estimator.init_).__name__ not in ("DummyClassifier", "DummyRegressor"):
        return []
    stages, rate = estimator.estimators_, estimator.learning_rate
    n_raw = stages.shape[1]
    trees = [member.tree_ for member in stages.ravel()]
    cast = to_float32(estimator.n_features_in_, nan=False)
    start = np.asarray(estimator._raw_predict_init(np.zeros((1, estimator.n_features_in_), dtype=np.float32)))
    merged = MergedTrees(trees)

    def one(X: Array) -> Array:
        return added(np.concatenate([start, rate * merged.values_at(cast(X)).reshape(-1, n_raw)]))

    def many(X: Array) -> Array:
        X = cast(X)
        out = np.repeat(start, len(X), axis=0)
        predict_stages(stages, X, rate, out)
        return out

    thresholds = SplitPoints(lambda: split_points(trees))
    head = heads.describe(estimator)
    state = masks.describe(
        [nodes_of(tree, rate) for tree in trees], start, head, "float32 finite", estimator.n_features_in_
    )
    return [
        *masks.forms(state, thresholds),
        Form("merged trees", heads.kernels(head, one), thresholds, rows="one"),
        Form("trees", heads.kernels(head, many), thresholds, rows="many"),
    ]


def _histograms(estimator: Any) -> list[Form]:
    if estimator._preprocessor is not None:
        return []
    trees = [tree for iteration in estimator._predictors for tree in iteration]
    start = np.asarray(estimator._baseline_prediction)
    n_features = estimator.n_features_in_
    thresholds = SplitPoints(lambda: _split_points(trees))
    head = heads.describe(estimator)
    one, many = _one_histogram(estimator, trees, start), _many_histograms(estimator, trees, start)
    state = None
    if not any(len(tree.raw_left_cat_bitsets) for tree in trees):
        state = masks.describe([_nodes_of(tree) for tree in trees], start, head, "float64", n_features)
    return [
        *masks.forms(state, thresholds),
        Form("merged trees", heads.kernels(head, one), thresholds, rows="one"),
        Form("trees", heads.kernels(head, many), thresholds, rows="many"),
    ]


def _one_histogram(estimator: Any, trees: Sequence[Any], start: Array) -> Scores:
    from sklearn.ensemble._hist_gradient_boosting._predictor import _predict_from_raw_data

    n_features = estimator.n_features_in_
    nodes = merge_nodes(_with_joint_bits(trees), n_features, _NAMES)
    bits = np.concatenate([np.zeros((0, 8), dtype=np.uint32), *(tree.raw_left_cat_bitsets for tree in trees)])
    known, places = estimator._bin_mapper.make_known_categories_bitsets()
    # The number of the tree, a further column, is no category.
    places = np.append(places, np.zeros(1, dtype=places.dtype))
    template = np.empty((len(trees), n_features + 1))
    template[:, -1] = np.arange(len(trees))
    n_raw = start.shape[1]

    def raw(X: Array) -> Array:
        rows = template.copy()
        rows[:, :-1] = X
        values = np.empty(len(rows))
        _predict_from_raw_data(nodes, rows, bits, known, places, 1, values)
        return added(np.concatenate([start, values.reshape(-1, n_raw)]))

    return raw


def _with_joint_bits(trees: Sequence[Any]) -> list[Array]:
    """Return the nodes of each tree, whose splits on categories find their bits in those of all trees together."""
    joint, offset = [], 0
    for tree in trees:
        nodes = tree.nodes.copy()
        nodes["bitset_idx"][nodes["is_categorical"] == 1] += offset
        offset += len(tree.raw_left_cat_bitsets)
        joint.append(nodes)
    return joint


def _many_histograms(estimator: Any, trees: Sequence[Any], start: Array) -> Scores:
    from sklearn.ensemble._hist_gradient_boosting._predictor import _predict_from_raw_data

    known, places = estimator._bin_mapper.make_known_categories_bitsets()
    parts = [(index % start.shape[1], tree.nodes, tree.raw_left_cat_bitsets) for index, tree in enumerate(trees)]

    def raw(X: Array) -> Array:
        X = np.ascontiguousarray(X, dtype=np.float64)
        out = np.empty((start.shape[1], len(X)))
        out[:] = start.T
        values = np.empty(len(X))
        for output, nodes, bits in parts:
            _predict_from_raw_data(nodes, X, bits, known, places, 1, values)
            out[output] += values
        return out.T

    return raw


def _split_points(trees: Sequence[Any]) -> dict[int, Array]:
    nodes = np.concatenate([tree.nodes for tree in trees])
    inner = nodes[nodes["is_leaf"] == 0]
    return {
        int(column): np.unique(inner["num_threshold"][inner["feature_idx"] == column])
        for column in np.unique(inner["feature_idx"])
    }


def _nodes_of(tree: Any) -> masks.Nodes:
    nodes = tree.nodes
    return masks.Nodes(
        left=nodes["left"],
        right=nodes["right"],
        leaf=nodes["is_leaf"] == 1,
        feature=nodes["feature_idx"],
        threshold=nodes["num_threshold"],
        missing_left=nodes["missing_go_to_left"],
        values=nodes["value"][:, None],
    )
