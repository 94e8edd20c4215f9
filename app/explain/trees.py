"""Trees, forests and boosting as tables of nodes, for :mod:`app.explain.paths`.

Of forests and trees the value or the probability is explained, of boosting what its trees add up to: the value, its
logarithm, log-odds, or a score for each class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.explain.base import Explained, Explanation, NotExplained, by_name, most_rows
from app.explain.paths import Nodes, Paths
from app.explain.prepared import Prepared, dense
from app.signature import Array, Batch, Signature

# Steps on the way to leaves that are laid out at once, and kept from one request to the next.
_CHUNK_STEPS = 500_000
_KEPT_STEPS = 500_000
# Larger ensembles would take seconds to lay out for every request.
_MOST_STEPS = 10_000_000
# Some seconds' work: features on the way to a leaf, times the points of their integral, times rows.
_MOST_WORK = 300_000_000


@dataclass(frozen=True)
class _Tree:
    """One tree, as a table of nodes; leaves have the left child -1.

    `categories`, shape (n_nodes, 257), tells which of 256 codes go left, and last whether the node splits by code;
    None where no node does.
    """

    feature: Array
    threshold: Array
    left: Array
    right: Array
    missing_left: Array
    cover: Array
    values: Array
    depth: int
    categories: Array | None = None

    @property
    def steps(self) -> int:
        """At most so many steps lead to its leaves."""
        return int((self.left < 0).sum()) * self.depth


@dataclass(frozen=True)
class _Ensemble:
    """Trees whose values add up, from `start` on, to the explained output."""

    explained: Explained
    start: Array
    trees: Callable[[], Iterator[_Tree]]
    dtype: Any


class TreeExplainer:
    """Explains trees behind steps that keep columns apart."""

    method = "tree"
    background = "the training rows, as they went through the trees"
    rtol = 1e-9

    def __init__(self, estimator: Any, signature: Signature, background: Batch) -> None:
        self._prepared = Prepared(estimator, signature)
        model = self._prepared.model
        name = f"{type(model).__module__.split('.')[0]}.{type(model).__name__}"
        if name not in _ENSEMBLES:
            raise NotExplained(f"{type(model).__name__} is not a known tree")
        self._ensemble = _ENSEMBLES[name](model)
        self.explained = self._ensemble.explained
        self._coder = getattr(model, "_preprocessor", None)
        self._origins = self._prepared.origins(background)
        if self._coder is not None:
            # Histogram boosting puts its categories first, as codes.
            taken = self._coder._transformer_to_input_indices
            self._origins = self._origins[[*taken["encoder"], *taken["numerical"]]]
        steps, work = 0, 1
        for tree in self._ensemble.trees():
            most = min(tree.depth, len(self._origins))
            steps += tree.steps
            work += int((tree.left < 0).sum()) * most * ((most + 1) // 2)
        if steps > _MOST_STEPS:
            raise NotExplained(f"{steps} steps lead to its leaves; up to {_MOST_STEPS} are followed")
        self.max_rows = most_rows(len(self._prepared.names), len(self._ensemble.start), _MOST_WORK // work)
        self._kept = list(self._paths()) if steps <= _KEPT_STEPS else None

    def run(self, batch: Batch) -> Explanation:
        """Explain the rows."""
        features = self._prepared.features(batch)
        rows = dense(features if self._coder is None else self._coder.transform(features))
        X = rows.astype(self._ensemble.dtype).reshape(batch.rows, -1)
        base = self._ensemble.start.copy()
        contributions = np.zeros((batch.rows, len(self._prepared.names), len(base)))
        for paths in self._paths() if self._kept is None else self._kept:
            base += paths.base
            contributions += paths.contributions(X)
        return by_name(self._prepared.names, base, contributions)

    def _paths(self) -> Iterator[Paths]:
        chunk: list[_Tree] = []
        steps = 0
        for tree in self._ensemble.trees():
            if chunk and steps + tree.steps > _CHUNK_STEPS:
                yield Paths(_joined(chunk), self._origins, len(self._prepared.names))
                chunk, steps = [], 0
            chunk.append(tree)
            steps += tree.steps
        if chunk:
            yield Paths(_joined(chunk), self._origins, len(self._prepared.names))


def _joined(trees: list[_Tree]) -> Nodes:
    """Put the nodes of several trees into one table."""
    sizes = [len(tree.left) for tree in trees]
    shift = np.repeat(np.cumsum(sizes) - sizes, sizes)

    def together(name: str) -> Array:
        return np.concatenate([getattr(tree, name) for tree in trees])

    left, right = together("left"), together("right")
    inner = left >= 0
    threshold, missing, feature = together("threshold"), together("missing_left"), together("feature")
    coded = _categories(trees)

    def goes_left(X: Array, nodes: Array) -> Array:
        x = X[:, feature[nodes]]
        out = np.where(np.isnan(x), missing[nodes], x <= threshold[nodes])
        if coded is not None:
            which = np.flatnonzero(coded[nodes, 256])
            there = ~np.isnan(x[:, which])
            codes = np.where(there, x[:, which], 0).astype(np.intp)
            out[:, which] = np.where(there, coded[nodes[which], codes], missing[nodes[which]])
        return np.asarray(out, dtype=bool)

    return Nodes(
        np.where(inner, feature, 0),
        np.where(inner, left + shift, -1),
        np.where(inner, right + shift, -1),
        together("cover"),
        together("values"),
        goes_left,
    )


def _categories(trees: list[_Tree]) -> Array | None:
    if all(tree.categories is None for tree in trees):
        return None
    none = [np.zeros((len(tree.left), 257), dtype=bool) for tree in trees]
    return np.concatenate(
        [part if tree.categories is None else tree.categories for tree, part in zip(trees, none, strict=True)]
    )


def _cart(tree: Any, values: Array) -> _Tree:
    """Read a tree of scikit-learn's Cython class; `values` has shape (n_nodes, k)."""
    return _Tree(
        tree.feature,
        tree.threshold,
        tree.children_left,
        tree.children_right,
        tree.missing_go_to_left.astype(bool),
        tree.weighted_n_node_samples,
        values,
        int(tree.max_depth),
    )


def _forest(model: Any) -> _Ensemble:
    members = getattr(model, "estimators_", [model])
    classes = getattr(model, "classes_", None)
    if classes is None:
        outputs = model.n_outputs_

        def of(tree: Any) -> Array:
            return np.asarray(tree.value[:, :, 0] / len(members))

        explained = Explained("value", "predict")
    else:
        if not isinstance(classes, np.ndarray):
            raise NotExplained("it answers several outputs separately")
        kept = classes.tolist()[1:] if len(classes) == 2 else classes.tolist()  # noqa: PLR2004  # two classes
        outputs = len(kept)

        def of(tree: Any) -> Array:
            shares = tree.value[:, 0, :] / tree.value[:, 0, :].sum(axis=1, keepdims=True)
            return np.asarray(shares[:, -outputs:] / len(members))

        explained = Explained("probability", "predict_proba", tuple(kept))

    def trees() -> Iterator[_Tree]:
        for member in members:
            yield _cart(member.tree_, of(member.tree_))

    return _Ensemble(explained, np.zeros(outputs), trees, np.float32)


def _boosting(model: Any, start: Array, trees: Callable[[], Iterator[_Tree]], dtype: Any) -> _Ensemble:
    loss = type(model._loss).__name__
    classes = getattr(model, "classes_", None)
    if classes is None:
        output = "log_value" if loss in ("HalfPoissonLoss", "HalfGammaLoss") else "value"
        return _Ensemble(Explained(output, "predict"), start, trees, dtype)
    if len(start) > 1:
        return _Ensemble(Explained("score", "decision_function", tuple(classes.tolist())), start, trees, dtype)
    output = "log_odds" if loss == "HalfBinomialLoss" else "score"
    return _Ensemble(Explained(output, "decision_function", tuple(classes.tolist()[1:])), start, trees, dtype)


def _gradient_boosting(model: Any) -> _Ensemble:
    outputs = model.estimators_.shape[1]
    if not (isinstance(model.init_, str) or type(model.init_).__module__ == "sklearn.dummy"):
        raise NotExplained("it starts from another model's answers")
    start = np.asarray(model._raw_predict_init(np.zeros((1, model.n_features_in_), dtype=np.float32)))[0]

    def trees() -> Iterator[_Tree]:
        for round_ in model.estimators_:
            for output, member in enumerate(round_):
                values = np.zeros((member.tree_.node_count, outputs))
                values[:, output] = model.learning_rate * member.tree_.value[:, 0, 0]
                yield _cart(member.tree_, values)

    return _boosting(model, start.astype(np.float64), trees, np.float32)


def _histogram_boosting(model: Any) -> _Ensemble:
    start = np.asarray(model._baseline_prediction, dtype=np.float64).ravel()

    def trees() -> Iterator[_Tree]:
        for round_ in model._predictors:
            for output, member in enumerate(round_):
                yield _histogram_tree(member, output, len(start))

    return _boosting(model, start, trees, np.float64)


def _histogram_tree(member: Any, output: int, outputs: int) -> _Tree:
    nodes = member.nodes
    leaf = nodes["is_leaf"].astype(bool)
    values = np.zeros((len(nodes), outputs))
    values[:, output] = nodes["value"]
    categories = None
    if nodes["is_categorical"].any():
        # The last column tells which nodes split by category.
        which = np.flatnonzero(nodes["is_categorical"])
        bits = member.raw_left_cat_bitsets[nodes["bitset_idx"][which]].astype("<u4").view(np.uint8)
        categories = np.zeros((len(nodes), 257), dtype=bool)
        categories[which, :256] = np.unpackbits(bits.reshape(len(which), -1), axis=1, bitorder="little")
        categories[which, 256] = True
    return _Tree(
        nodes["feature_idx"],
        nodes["num_threshold"],
        np.where(leaf, -1, nodes["left"].astype(np.intp)),
        np.where(leaf, -1, nodes["right"].astype(np.intp)),
        nodes["missing_go_to_left"].astype(bool),
        nodes["count"].astype(np.float64),
        values,
        int(nodes["depth"].max()),
        categories,
    )


_ENSEMBLES: dict[str, Callable[[Any], _Ensemble]] = {
    **{
        f"sklearn.{name}{task}": _forest
        for name in ("DecisionTree", "ExtraTree", "RandomForest", "ExtraTrees")
        for task in ("Classifier", "Regressor")
    },
    "sklearn.GradientBoostingClassifier": _gradient_boosting,
    "sklearn.GradientBoostingRegressor": _gradient_boosting,
    "sklearn.HistGradientBoostingClassifier": _histogram_boosting,
    "sklearn.HistGradientBoostingRegressor": _histogram_boosting,
}
