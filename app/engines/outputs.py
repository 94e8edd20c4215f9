"""From raw scores to labels and probabilities, as scikit-learn's classifiers make them."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any

import numpy as np

from app.engines.base import Doubt
from app.signature import Array

# What rows are is known to what makes the scores alone: a matrix mostly, terms of texts too.
Scores = Callable[[Any], Array]


def finite_check(n_features: int, dtype: Any = np.float64) -> Callable[[Array], None]:
    """Make a check that raises Doubt where a matrix (n, n_features) may hold NaN or an infinity.

    A row's sum is NaN or infinite where one of its values is. It is also where finite ones add up to more
    than fits: then scikit-learn is asked for nothing, which is rare and right.
    """
    # A product with ones is half the time of a sum, and BLAS warns of no overflow.
    ones = np.ones(n_features, dtype=dtype)

    def check(X: Array) -> None:
        sums = X.dot(ones)
        if not (isfinite(sums[0]) if len(sums) == 1 else np.isfinite(sums).all()):
            raise Doubt

    return check


def to_float32(n_features: int, *, nan: bool) -> Callable[[Array], Array]:
    """Make the cast of rows to float32 that scikit-learn's trees take.

    Doubt is raised where a value is infinite or too large for float32, or where one is NaN and `nan` is False.
    """
    check = finite_check(n_features, np.float32)

    def cast(X: Array) -> Array:
        with np.errstate(over="ignore"):
            rows = X.astype(np.float32)
        if not nan:
            check(rows)
        elif np.isinf(rows).any():
            raise Doubt
        return rows

    return cast


def added(values: Array) -> Array:
    """Add up the trees' values of one row, shape (n_trees, k), in their order; returns shape (1, k).

    In their order, since scikit-learn adds them so and a label may hang on the last bit; NumPy's sum pairs
    them up where k is 1.
    """
    return np.add.accumulate(values)[-1:] if values.shape[1] == 1 else np.add.reduce(values, keepdims=True)


def expit(scores: Array) -> Array:
    """Return ``1 / (1 + exp(-scores))``, in an array of its own."""
    with np.errstate(over="ignore"):
        out: Array = np.exp(-scores)
    out += 1.0
    np.reciprocal(out, out=out)
    return out


def softmax(scores: Array) -> Array:
    """Return the softmax over the columns of `scores`, in an array of its own."""
    with np.errstate(under="ignore"):
        out: Array = np.exp(scores - scores.max(axis=1, keepdims=True))
    out /= out.sum(axis=1, keepdims=True)
    return out


def two_columns(positive: Array) -> Array:
    """Return the probabilities of two classes from that of the second, shape (n,)."""
    out = np.empty((len(positive), 2), dtype=positive.dtype)
    out[:, 1] = positive
    np.subtract(1.0, positive, out=out[:, 0])
    return out


def one_vs_rest(scores: Array) -> Array:
    """Return each class's own probability, normalised over the classes (as LIBLINEAR does)."""
    out = expit(scores)
    if out.ndim == 1:
        return two_columns(out)
    total = out.sum(axis=1, keepdims=True)
    if not total.all():
        raise Doubt
    out /= total
    return out


def log_of(probabilities: Scores) -> Scores:
    """Make the kernel of predict_log_proba from that of predict_proba."""

    def log(X: Array) -> Array:
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(probabilities(X)))

    return log


def labels_of(classes: Array, scores: Scores, *, tie: bool = False) -> Scores:
    """Make a kernel of labels: the highest of several scores, or whether a single one is positive.

    With `tie`, a single score of 0 stands for the second class too.
    """
    above = np.greater_equal if tie else np.greater

    def labels(X: Array) -> Array:
        values = scores(X)
        return classes.take(above(values, 0.0) if values.ndim == 1 else values.argmax(axis=1), axis=0)

    return labels
