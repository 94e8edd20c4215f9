"""Multi-layer perceptrons: the forward pass, operation by operation as scikit-learn does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from app.engines.base import Kernel
from app.engines.outputs import Scores, expit, finite_check, labels_of, log_of, softmax, two_columns
from app.signature import Array


def _relu(values: Array) -> Array:
    return np.maximum(values, 0.0, out=values)


def _tanh(values: Array) -> Array:
    return np.tanh(values, out=values)


def _identity(values: Array) -> Array:
    return values


_ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = {
    "identity": _identity,
    "relu": _relu,
    "tanh": _tanh,
    "logistic": expit,
    "softmax": softmax,
}


_ANSWERING = ("predict", "predict_proba", "predict_log_proba", "_predict", "_forward_pass_fast")


def describe(estimator: Any) -> dict[str, Any] | None:
    """Return the state of a perceptron's form; None where the estimator is none, or one of several labels."""
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    base = next((base for base in (MLPClassifier, MLPRegressor) if isinstance(estimator, base)), None)
    if base is None or not _answers_as(type(estimator), base) or estimator.out_activation_ not in _ACTIVATIONS:
        return None
    state = {
        "kind": "neural",
        "weights": list(estimator.coefs_),
        "biases": list(estimator.intercepts_),
        "hidden": estimator.activation,
        "output": estimator.out_activation_,
    }
    if isinstance(estimator, MLPRegressor):
        return state
    if estimator._label_binarizer.y_type_ not in ("binary", "multiclass"):
        return None
    return state | {"classes": estimator.classes_}


def _answers_as(kind: type, base: type) -> bool:
    """Tell whether a class of somebody's own answers as scikit-learn's, from which it is derived, does."""
    return all(getattr(kind, name, None) is getattr(base, name, None) for name in _ANSWERING)


def build(state: Mapping[str, Any]) -> dict[str, Kernel]:
    """Return the kernels of a perceptron by method; they take a matrix (n, n_features)."""
    forward = _forward(state)
    flat = state["biases"][-1].size == 1
    if "classes" not in state:
        return {"predict": (lambda X: forward(X).ravel()) if flat else forward}
    proba: Scores = (lambda X: two_columns(forward(X).ravel())) if flat else forward
    # A single output is the probability of the second class, and 0.5 is its limit.
    scores: Scores = (lambda X: forward(X).ravel() - 0.5) if flat else forward
    return {
        "predict": labels_of(state["classes"], scores),
        "predict_proba": proba,
        "predict_log_proba": log_of(proba),
    }


def _forward(state: Mapping[str, Any]) -> Scores:
    check = finite_check(len(state["weights"][0]))
    hidden, output = _ACTIVATIONS[state["hidden"]], _ACTIVATIONS[state["output"]]
    layers = list(zip(state["weights"], state["biases"], strict=True))
    inner, (last_weights, last_bias) = layers[:-1], layers[-1]

    def forward(X: Array) -> Array:
        check(X)
        for weights, bias in inner:
            X = X.dot(weights)
            X += bias
            X = hidden(X)
        X = X.dot(last_weights)
        X += last_bias
        return output(X)

    return forward
