"""Gradient boosting, on histograms or not: one descent through all trees at once for one row, see `forest`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from app.engines.base import Form, Kernel
from app.engines.forest import MergedTrees, merge_nodes, split_points, to_float32
from app.engines.outputs import Scores, expit, labels_of, log_of, softmax, two_columns
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


def _kernels(estimator: Any, raw: Scores, n_raw: int) -> dict[str, Kernel]:
    """Return the kernels by method; `raw` gives the raw predictions, shape (n, n_raw)."""
    scores: Scores = (lambda X: raw(X).ravel()) if n_raw == 1 else raw
    loss = type(estimator._loss).__name__
    if not hasattr(estimator, "classes_"):
        links = {"HalfPoissonLoss": np.exp, "HalfGammaLoss": np.exp}
        link = links.get(loss)
        return {"predict": scores if link is None else lambda X: link(scores(X))}
    # A raw prediction of exactly 0 is the second class to one of the two, the first to the other.
    tie = not hasattr(estimator, "_predictors")
    kernels: dict[str, Kernel] = {
        "predict": labels_of(estimator.classes_, scores, tie=tie),
        "decision_function": scores,
    }
    if loss in ("HalfBinomialLoss", "ExponentialLoss", "HalfMultinomialLoss"):
        steep = 2.0 if loss == "ExponentialLoss" else 1.0

        def probabilities(X: Array) -> Array:
            values = scores(X)
            return two_columns(expit(values * steep)) if values.ndim == 1 else softmax(values)

        kernels |= {"predict_proba": probabilities, "predict_log_proba": log_of(probabilities)}
    return kernels


def _added(start: Array, values: Array) -> Array:
    """Add the values of the stages, shape (n_stages, k), to the first raw prediction, shape (1, k), in their order."""
    return np.add.accumulate(np.concatenate([start, values]))[-1:]


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
        return _added(start, rate * merged.values_at(cast(X)).reshape(-1, n_raw))

    def many(X: Array) -> Array:
        X = cast(X)
        out = np.repeat(start, len(X), axis=0)
        predict_stages(stages, X, rate, out)
        return out

    thresholds = split_points(trees)
    return [
        Form("merged trees", _kernels(estimator, one, n_raw), thresholds, rows="one"),
        Form("trees", _kernels(estimator, many, n_raw), thresholds, rows="many"),
    ]


def _histograms(estimator: Any) -> list[Form]:
    if estimator._preprocessor is not None:
        return []
    trees = [tree for iteration in estimator._predictors for tree in iteration]
    start = np.asarray(estimator._baseline_prediction)
    n_raw = estimator.n_trees_per_iteration_
    n_features = estimator.n_features_in_
    thresholds = _split_points(trees)
    one, many = _one_histogram(trees, start, n_features), _many_histograms(estimator, trees, start)
    return [
        Form("merged trees", _kernels(estimator, one, n_raw), thresholds, rows="one"),
        Form("trees", _kernels(estimator, many, n_raw), thresholds, rows="many"),
    ]


def _one_histogram(trees: Sequence[Any], start: Array, n_features: int) -> Scores:
    from sklearn.ensemble._hist_gradient_boosting._predictor import _predict_from_raw_data

    nodes = merge_nodes([tree.nodes for tree in trees], n_features, _NAMES)
    template = np.empty((len(trees), n_features + 1))
    template[:, -1] = np.arange(len(trees))
    # No split is categorical here: the bitsets of categories are empty.
    no_bits, no_map = np.zeros((0, 8), dtype=np.uint32), np.zeros(n_features + 1, dtype=np.uint32)
    n_raw = start.shape[1]

    def raw(X: Array) -> Array:
        rows = template.copy()
        rows[:, :-1] = X
        values = np.empty(len(rows))
        _predict_from_raw_data(nodes, rows, no_bits, no_bits, no_map, 1, values)
        return _added(start, values.reshape(-1, n_raw))

    return raw


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
