"""Naive Bayes on terms: a text's joint log likelihoods are linear in how often, or whether, each term is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from app.engines.base import Kernel
from app.engines.outputs import Scores, labels_of
from app.signature import Array


def describe(estimator: Any) -> dict[str, Any] | None:
    """Return the state of a naive Bayes classifier's form; None where the estimator is none."""
    own = type(estimator)
    reader = _READERS.get(own.__name__)
    if reader is None or not own.__module__.startswith("sklearn."):
        return None
    coef, intercept, threshold = reader(estimator)
    # scikit-learn refuses such a threshold for a sparse matrix.
    if threshold is not None and threshold < 0:
        return None
    return {
        "kind": "bayes",
        "coef": coef,
        "intercept": intercept,
        "threshold": threshold,
        "classes": np.asarray(estimator.classes_),
    }


def _multinomial(estimator: Any) -> tuple[Array, Array, float | None]:
    return estimator.feature_log_prob_, estimator.class_log_prior_, None


def _complement(estimator: Any) -> tuple[Array, Array, float | None]:
    # The prior matters to a single class alone.
    prior: Array = estimator.class_log_prior_
    return estimator.feature_log_prob_, prior if len(prior) == 1 else np.zeros_like(prior), None


def _bernoulli(estimator: Any) -> tuple[Array, Array, float | None]:
    present = estimator.feature_log_prob_
    # Without smoothing, a term may be certain, or certainly absent.
    with np.errstate(divide="ignore", invalid="ignore"):
        absent = np.log(1 - np.exp(present))
        return present - absent, estimator.class_log_prior_ + absent.sum(axis=1), estimator.binarize


_READERS = {"MultinomialNB": _multinomial, "ComplementNB": _complement, "BernoulliNB": _bernoulli}


def kernels(state: Mapping[str, Any], likelihoods: Scores) -> dict[str, Kernel]:
    """Return the kernels by method; `likelihoods` gives each class's joint log likelihood, shape (n, n_classes)."""

    def logs(X: Any) -> Array:
        joint = likelihoods(X)
        with np.errstate(invalid="ignore"):
            return np.asarray(joint - _log_sum_exp(joint))

    return {
        "predict": labels_of(state["classes"], likelihoods),
        "predict_proba": lambda X: np.exp(logs(X)),
        "predict_log_proba": logs,
    }


def _log_sum_exp(joint: Array) -> Array:
    """Return ``log(sum(exp(joint)))`` of each row, shape (n, 1), with scikit-learn's own operations.

    The greatest ones are counted, and the rest added relative to them, so that the logarithm of a probability near 1
    keeps its digits.
    """
    greatest = joint.max(axis=1, keepdims=True)
    among = joint == greatest
    count = among.sum(axis=1, keepdims=True, dtype=np.float64)
    shift = np.where(np.isfinite(greatest), greatest, 0.0)
    rest = np.exp(np.where(among, -np.inf, joint) - shift).sum(axis=1, keepdims=True)
    return np.asarray(np.log1p(rest / count) + np.log(count) + greatest)
