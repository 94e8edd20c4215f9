"""Contributions of trees are Shapley values: compared with the sum over all subsets, read from the trees' own nodes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import make_classification, make_regression
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from tests.explain.helpers import explained

COLUMNS = 4
Xc, yc = make_classification(200, COLUMNS, n_informative=3, n_redundant=0, n_classes=3, n_clusters_per_class=1)
Xr, yr = make_regression(200, COLUMNS, random_state=0)
yr = yr / 50
HOLES = np.where(np.random.default_rng(0).random(Xr.shape) < 0.2, np.nan, Xr)
Walk = Callable[[set[int], Any], Any]


def shapley(value: Callable[[frozenset[int]], Any]) -> list[Any]:
    """The definition: what a column adds to each subset of the others, weighted by the orders that lead there."""
    found = []
    for column in range(COLUMNS):
        others = [other for other in range(COLUMNS) if other != column]
        total = 0.0
        for size in range(COLUMNS):
            weight = math.factorial(size) * math.factorial(COLUMNS - size - 1) / math.factorial(COLUMNS)
            for subset in itertools.combinations(others, size):
                total = total + weight * (value(frozenset({*subset, column})) - value(frozenset(subset)))
        found.append(total)
    return found


def cart(tree: Any, of: Callable[[int], Any]) -> Callable[[frozenset[int], Any], Any]:
    """Lundberg et al. 2018, algorithm 1: what a tree answers where only some columns are known."""

    def walk(known: frozenset[int], x: Any, node: int = 0) -> Any:
        left, right = tree.children_left[node], tree.children_right[node]
        if left < 0:
            return of(node)
        if tree.feature[node] in known:
            cell = np.float32(x[tree.feature[node]])
            goes_left = tree.missing_go_to_left[node] if np.isnan(cell) else cell <= tree.threshold[node]
            return walk(known, x, left if goes_left else right)
        cover = tree.weighted_n_node_samples
        return (cover[left] * walk(known, x, left) + cover[right] * walk(known, x, right)) / cover[node]

    return walk


def histogram(predictor: Any) -> Callable[[frozenset[int], Any], Any]:
    nodes = predictor.nodes

    def walk(known: frozenset[int], x: Any, place: int = 0) -> Any:
        node = nodes[place]
        if node["is_leaf"]:
            return node["value"]
        if node["feature_idx"] in known:
            cell = x[node["feature_idx"]]
            goes_left = node["missing_go_to_left"] if np.isnan(cell) else cell <= node["num_threshold"]
            return walk(known, x, node["left"] if goes_left else node["right"])
        left, right = nodes[node["left"]], nodes[node["right"]]
        halves = [part["count"] * walk(known, x, node[side]) for part, side in ((left, "left"), (right, "right"))]
        return sum(halves) / node["count"]

    return walk


def trees_of(model: Any) -> list[Callable[[frozenset[int], Any], Any]]:
    """Every tree of a model as a function of known columns and a row, so that their sum is what is explained."""
    if hasattr(model, "_predictors"):
        return [histogram(predictor) for (predictor,) in model._predictors]
    if hasattr(model, "init_"):
        return [
            cart(member.tree_, lambda node, tree=member.tree_: model.learning_rate * tree.value[node, 0, 0])
            for (member,) in model.estimators_
        ]
    members = getattr(model, "estimators_", [model])
    if hasattr(model, "classes_"):
        return [
            cart(member.tree_, lambda node, tree=member.tree_: tree.value[node, 0] / len(members)) for member in members
        ]
    return [
        cart(member.tree_, lambda node, tree=member.tree_: tree.value[node, 0, 0] / len(members)) for member in members
    ]


MODELS = {
    "tree": (DecisionTreeRegressor(max_depth=5, random_state=0), Xr, yr),
    "tree with missing values": (DecisionTreeRegressor(max_depth=5, random_state=0), HOLES, yr),
    "weighted classes": (DecisionTreeClassifier(max_depth=4, class_weight="balanced", random_state=0), Xc, yc),
    "forest": (RandomForestClassifier(5, max_depth=4, random_state=0), Xc, yc),
    "extra trees": (ExtraTreesRegressor(5, max_depth=6, random_state=0), Xr, yr),
    "gradient boosting": (GradientBoostingRegressor(n_estimators=8, random_state=0), Xr, yr),
    "gradient boosting of two classes": (GradientBoostingClassifier(n_estimators=8, random_state=0), Xc, yc > 0),
    "histogram boosting": (HistGradientBoostingClassifier(max_iter=8, random_state=0), Xc, yc > 0),
    "histogram boosting with missing values": (HistGradientBoostingRegressor(max_iter=8, random_state=0), HOLES, yr),
    "a single leaf": (DecisionTreeRegressor(max_depth=5).fit(Xr, np.ones(200)), Xr, np.ones(200)),
}


@pytest.mark.parametrize("which", MODELS)
def test_contributions_are_shapley_values(which: str) -> None:
    model, X, y = MODELS[which]
    model.fit(X, y)
    explainer, explanation = explained(model, X, X[:6])
    assert explainer.method == "tree"
    for row, contributions in zip(X[:6], explanation.contributions, strict=True):
        walks = trees_of(model)

        def value(known: frozenset[int], row: Any = row, walks: Any = walks) -> Any:
            return sum(walk(known, row) for walk in walks)

        expected = shapley(value)
        for given, right in zip(contributions.values(), expected, strict=True):
            np.testing.assert_allclose(given, np.atleast_1d(right), rtol=1e-9, atol=1e-12)


def test_a_column_that_splits_many_times_on_a_path_is_one_player() -> None:
    """A deep tree of one column: all it adds is what the leaf differs from the mean."""
    X = np.sort(Xr[:, :1], axis=0)
    model = DecisionTreeRegressor(random_state=0).fit(X, yr)
    _, explanation = explained(model, X, X[:5])
    assert explanation.base[0] == pytest.approx(yr.mean())
    added = [row["x0"][0] for row in explanation.contributions]
    np.testing.assert_allclose(added, model.predict(X[:5]) - yr.mean(), rtol=1e-9, atol=1e-12)


def test_deep_paths_lose_no_digits() -> None:
    X, y = make_regression(800, 40, n_informative=40, random_state=0)
    model = ExtraTreesRegressor(3, random_state=0).fit(X, y)
    assert max(tree.get_depth() for tree in model.estimators_) > 15
    _, explanation = explained(model, X, X[:20])
    np.testing.assert_allclose(explanation.values[:, 0], model.predict(X[:20]), rtol=1e-9)


def test_rows_of_huge_forests_are_bounded_by_their_work() -> None:
    from app.explain import trees

    model = ExtraTreesRegressor(3, random_state=0).fit(Xr, yr)
    explainer, _ = explained(model, Xr, Xr[:1])
    assert explainer.max_rows == 100
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trees, "_MOST_WORK", 5_000)
        # What is too much to keep is laid out anew for each request, in parts.
        patch.setattr(trees, "_KEPT_STEPS", 0)
        patch.setattr(trees, "_CHUNK_STEPS", 1000)
        few, explanation = explained(model, Xr, Xr[:1])
    assert few.max_rows == 1
    np.testing.assert_allclose(explanation.values[:, 0], model.predict(Xr[:1]), rtol=1e-9)


def test_what_is_larger_still_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    from app.explain import trees

    model = ExtraTreesRegressor(3, random_state=0).fit(Xr, yr)
    monkeypatch.setattr(trees, "_MOST_STEPS", 1000)
    explainer, explanation = explained(model, Xr, Xr[:1])
    assert explainer.method == "permutations"
    np.testing.assert_allclose(explanation.values[:, 0], model.predict(Xr[:1]), rtol=1e-9)
