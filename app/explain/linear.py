"""Linear models: what a feature adds is its coefficient times its distance from the background's mean.

These are the Shapley values of the linear part, for features taken as independent (Lundberg and Lee 2017,
corollary 1). A raw column's contribution is the sum of those of the features that were made of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from app.engines import linear
from app.explain.base import Explained, Explanation, NotExplained, by_name, most_rows
from app.explain.prepared import Prepared, dense
from app.signature import Array, Batch, Signature

_MOST_TERMS = 20


def weights_of(model: Any) -> tuple[Array, Array, Explained]:
    """Return coefficients (n_features, k), intercepts (k,) and what they make; raises NotExplained."""
    state = linear.describe(model)
    if state is None:
        raise NotExplained(f"{type(model).__name__} is not a known linear model")
    coef = np.atleast_2d(np.asarray(state["coef"], dtype=np.float64)).T
    intercept = np.broadcast_to(np.asarray(state["intercept"], dtype=np.float64).ravel(), coef.shape[1])
    if "classes" not in state:
        return coef, intercept, Explained("value", "predict")
    classes = tuple(state["classes"].tolist())
    if coef.shape[1] == 1:
        output = "log_odds" if state["probabilities"] == "one_vs_rest" else "score"
        return coef, intercept, Explained(output, "decision_function", classes[1:])
    return coef, intercept, Explained("score", "decision_function", classes)


class LinearExplainer:
    """Explains a linear model behind steps that keep columns apart."""

    method = "linear"
    background = "the mean of the rows that are kept with the version"
    rtol = 1e-9

    def __init__(self, estimator: Any, signature: Signature, background: Batch) -> None:
        self._prepared = Prepared(estimator, signature)
        self._coef, intercept, self.explained = weights_of(self._prepared.model)
        origins = self._prepared.origins(background)
        self.max_rows = most_rows(len(self._prepared.names), len(intercept))
        self._adding = _adding(origins, len(self._prepared.names))
        self._mean = dense(self._prepared.features(background)).astype(np.float64).reshape(background.rows, -1).mean(0)
        self._base = self._mean @ self._coef + intercept

    def run(self, batch: Batch) -> Explanation:
        """Explain the rows."""
        distance = dense(self._prepared.features(batch)).astype(np.float64).reshape(batch.rows, -1) - self._mean
        parts = [np.asarray((distance * weights) @ self._adding) for weights in self._coef.T]
        return by_name(self._prepared.names, self._base, np.stack(parts, axis=-1))


def _adding(origins: Array, columns: int) -> Any:
    """Return the sparse matrix (n_features, n_columns) that adds up features by their raw column."""
    from scipy import sparse

    ones = np.ones(len(origins))
    return sparse.csr_array((ones, (np.arange(len(origins)), origins)), shape=(len(origins), columns))


class TextExplainer:
    """Explains a linear model of texts by their terms; the most important ones are listed."""

    method = "linear"
    background = "an empty text"
    rtol = 1e-9

    def __init__(self, estimator: Any, signature: Signature) -> None:
        self._prepared = Prepared(estimator, signature)
        self._coef, self._base, self.explained = weights_of(self._prepared.model)
        self.max_rows = most_rows(_MOST_TERMS, len(self._base))
        self._terms = _terms(self._prepared.steps)
        if len(self._terms) != len(self._coef):
            raise NotExplained("its steps do not name the terms that the model sees")

    def run(self, batch: Batch) -> Explanation:
        """Explain the texts; each lists up to 20 terms, the one that adds or takes most first."""
        from scipy import sparse

        features = sparse.csr_array(self._prepared.features(batch), dtype=np.float64)
        rows, rest = [], np.zeros((batch.rows, self._coef.shape[1]))
        for row in range(batch.rows):
            place = slice(features.indptr[row], features.indptr[row + 1])
            terms = features.indices[place]
            added = features.data[place, None] * self._coef[terms]
            order = np.argsort(-np.abs(added).max(axis=1), kind="stable")
            rows.append({self._terms[terms[index]]: added[index] for index in order[:_MOST_TERMS]})
            rest[row] = added[order[_MOST_TERMS:]].sum(axis=0)
        return Explanation(self._base, rows, rest)


def _terms(steps: list[Any]) -> list[str]:
    names: Any = None
    for step in steps:
        if type(step).__name__ == "Densify":
            continue
        try:
            names = step.get_feature_names_out(names) if names is not None else step.get_feature_names_out()
        except (AttributeError, ValueError) as fault:
            raise NotExplained(f"{type(step).__name__} does not name the terms that it makes") from fault
    return [] if names is None else list(map(str, names))
