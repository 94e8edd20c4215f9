"""From what the trees of an ensemble add up to, to the answers of its methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from app.engines.base import Kernel
from app.engines.outputs import Scores, expit, labels_of, log_of, softmax, two_columns
from app.signature import Array

_PROBABILITIES = {"HalfBinomialLoss": 1.0, "ExponentialLoss": 2.0, "HalfMultinomialLoss": 1.0}
_EXPONENTIAL = ("HalfPoissonLoss", "HalfGammaLoss")


def describe(estimator: Any) -> dict[str, Any]:
    """Return what is needed of a fitted forest, tree or boosting, as a state."""
    loss = getattr(estimator, "_loss", None)
    return {
        "classes": getattr(estimator, "classes_", None),
        "loss": None if loss is None else type(loss).__name__,
        # A raw prediction of exactly 0 is the second class to one of the two boostings, the first to the other.
        "tie": not hasattr(estimator, "_predictors"),
        "several": getattr(estimator, "n_outputs_", 1) > 1,
    }


def kernels(head: Mapping[str, Any], raw: Scores) -> dict[str, Kernel]:
    """Return the kernels by method; `raw` gives the trees' mean (of a forest) or sum, shape (n, k)."""
    classes, loss = head["classes"], head["loss"]
    if loss is not None:
        return _boosting(head, raw)
    if classes is not None:
        return {"predict": labels_of(classes, raw), "predict_proba": raw, "predict_log_proba": log_of(raw)}
    return {"predict": raw if head["several"] else lambda X: raw(X)[:, 0]}


def _boosting(head: Mapping[str, Any], raw: Scores) -> dict[str, Kernel]:
    loss: str = head["loss"]

    def scores(X: Array) -> Array:
        out = raw(X)
        return out.ravel() if out.shape[1] == 1 else out

    if head["classes"] is None:
        return {"predict": (lambda X: np.exp(scores(X))) if loss in _EXPONENTIAL else scores}
    found: dict[str, Kernel] = {
        "predict": labels_of(head["classes"], scores, tie=head["tie"]),
        "decision_function": scores,
    }
    if loss in _PROBABILITIES:
        steep = _PROBABILITIES[loss]

        def probabilities(X: Array) -> Array:
            values = scores(X)
            return two_columns(expit(values * steep)) if values.ndim == 1 else softmax(values)

        found |= {"predict_proba": probabilities, "predict_log_proba": log_of(probabilities)}
    return found
