"""What can be read off a fitted model itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from app.training.report.labels import readable

_TERMS = 15
_MOST_CLASSES = 20
_BINARY = 2
# Where wrappers that choose a threshold or calibrate keep what they wrap.
_WRAPPED = ("estimator_", "calibrated_classifiers_", "estimator")


def pipeline_of(model: Any) -> Any | None:
    """Return the fitted Pipeline in a model, the first one where a wrapper holds several; None where there is none."""
    for _ in range(5):
        if hasattr(model, "steps"):
            return model
        wrapped = next((getattr(model, name) for name in _WRAPPED if hasattr(model, name)), None)
        if wrapped is None:
            return None
        model = wrapped[0] if isinstance(wrapped, list) else wrapped
    return None


def telling_terms(model: Any) -> list[dict[str, Any]]:
    """Return the terms that speak most for each class, with their weights, of a linear model of texts.

    For quantities, those that raise and that lower the answer. Empty for models without weights of terms.
    """
    pipeline = pipeline_of(model)
    if pipeline is None or not hasattr(pipeline[0], "get_feature_names_out"):
        return []
    estimator, terms = pipeline[-1], pipeline[0].get_feature_names_out()
    weights = _weights(estimator)
    if weights is None or weights.shape[1] != len(terms):
        return []
    classes = list(getattr(estimator, "classes_", ()))
    if len(weights) == 1:
        labels = [readable(label) for label in classes] if len(classes) == _BINARY else ["lower", "higher"]
        rows = [(labels[0], -weights[0]), (labels[1], weights[0])]
    else:
        rows = [(readable(label), row) for label, row in zip(classes, weights, strict=True)]
    return [{"class": label, "terms": _heaviest(row, terms)} for label, row in rows[:_MOST_CLASSES]]


def _weights(estimator: Any) -> npt.NDArray[np.float64] | None:
    """Return the weights of the terms where the model is linear in them, shape (1 or n_classes, n_terms)."""
    if hasattr(estimator, "coef_"):
        return np.atleast_2d(np.asarray(estimator.coef_))
    if hasattr(estimator, "feature_log_prob_"):
        logs = np.asarray(estimator.feature_log_prob_)
        apart: npt.NDArray[np.float64] = logs[1:] - logs[:1] if len(logs) == _BINARY else logs - logs.mean(axis=0)
        return apart
    return None


def _heaviest(weights: npt.NDArray[np.float64], terms: Any) -> list[dict[str, Any]]:
    order = np.argsort(weights)[::-1][:_TERMS]
    return [{"term": readable(terms[place]), "weight": float(weights[place])} for place in order if weights[place] > 0]
