"""Linear models: one product with the coefficients, as scikit-learn itself takes it, without the checks around it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from app.engines.base import Kernel
from app.engines.outputs import Scores, finite_check, labels_of, log_of, one_vs_rest, softmax
from app.signature import Array


def describe(estimator: Any) -> dict[str, Any] | None:
    """Return the state of a linear model's form; None where the estimator is none.

    What counts is whose `predict` it has, not its class: a subclass that answers in its own way is left alone.
    """
    coef, intercept = getattr(estimator, "coef_", None), getattr(estimator, "intercept_", 0.0)
    if not isinstance(coef, np.ndarray) or coef.dtype.kind != "f" or coef.ndim > 2:  # noqa: PLR2004  # a matrix
        return None
    shift = np.asarray(intercept, dtype=coef.dtype)
    state = {"kind": "linear", "coef": coef, "intercept": shift}
    regressors, classifiers, decisions = _known()
    own = type(estimator)
    if own.predict in regressors and not hasattr(estimator, "classes_"):
        return state | {"flat": own.__name__ == "SGDRegressor"}
    if own.predict in classifiers and getattr(own, "decision_function", None) in decisions:
        if not isinstance(estimator.classes_, np.ndarray):
            return None
        # Of two classes, some have the coefficients of a single score as a vector.
        state |= {"coef": np.atleast_2d(coef), "intercept": np.atleast_1d(shift)}
        return state | {"classes": estimator.classes_, "probabilities": _probabilities_of(estimator)}
    return None


def _known() -> tuple[set[Any], set[Any], set[Any]]:
    """Return the `predict` of regressors and of classifiers, and the `decision_function`, that are replayed."""
    from sklearn import linear_model
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.linear_model._base import LinearClassifierMixin, LinearModel, MultiOutputLinearModel

    regressors = (LinearModel, MultiOutputLinearModel, linear_model.Ridge, linear_model.SGDRegressor)
    classifiers = (LinearClassifierMixin, linear_model.RidgeClassifier, linear_model.RidgeClassifierCV)
    return (
        {owner.predict for owner in regressors},
        {owner.predict for owner in classifiers},
        {owner.decision_function for owner in (LinearClassifierMixin, LinearDiscriminantAnalysis)},
    )


def _probabilities_of(estimator: Any) -> str | None:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.linear_model import LogisticRegression, SGDClassifier

    if isinstance(estimator, LogisticRegression | LinearDiscriminantAnalysis):
        return "one_vs_rest" if len(estimator.classes_) <= 2 else "softmax"  # noqa: PLR2004  # two classes
    if isinstance(estimator, SGDClassifier) and estimator.loss == "log_loss":
        return "one_vs_rest"
    return None


def build(state: Mapping[str, Any]) -> dict[str, Kernel]:
    """Return the kernels of a linear model by method; they take a matrix (n, n_features)."""
    return kernels(state, _scores(state["coef"], state["intercept"], flat=is_flat(state)))


def is_flat(state: Mapping[str, Any]) -> bool:
    """Tell whether a linear model makes one score of a row, shape (n,), and not one for each class or output."""
    coef = state["coef"]
    flat = bool(state.get("flat")) or "classes" in state
    return coef.ndim == 1 or (flat and len(coef) == 1)


def kernels(state: Mapping[str, Any], scores: Scores) -> dict[str, Kernel]:
    """Return the kernels by method; `scores` gives what the coefficients and the intercept make of the rows."""
    if "classes" not in state:
        return {"predict": scores}
    found: dict[str, Kernel] = {"predict": labels_of(state["classes"], scores), "decision_function": scores}
    link = {"one_vs_rest": one_vs_rest, "softmax": softmax}.get(state["probabilities"] or "")
    if link is not None:

        def probabilities(X: Array) -> Array:
            return link(scores(X))

        found |= {"predict_proba": probabilities, "predict_log_proba": log_of(probabilities)}
    return found


def _scores(coef: Array, intercept: Array, *, flat: bool) -> Scores:
    """Make the kernel of ``X @ coef.T + intercept``; one column becomes a vector where `flat`."""
    weights, check = coef.T, finite_check(coef.shape[-1])
    # A number is added faster than an array of one.
    shift: Any = intercept.item() if intercept.size == 1 else intercept

    def scores(X: Array) -> Array:
        check(X)
        out: Array = X.dot(weights)
        out += shift
        return out.ravel() if flat else out

    return scores
