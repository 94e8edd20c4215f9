"""Voting by several estimators, each with steps of its own: the mean of their forms' answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from app.engines.base import Doubt, Form, Kernel
from app.engines.outputs import log_of
from app.signature import Array

# Two labels of which the mean probabilities are nearer than this may change places by the order of adding up.
_NEAR = 1e-12


def members_of(estimator: Any) -> Sequence[Any] | None:
    """Return the fitted estimators whose mean `estimator` takes; None where it takes none."""
    own = type(estimator)
    if not own.__module__.startswith("sklearn."):
        return None
    soft = own.__name__ == "VotingClassifier" and estimator.voting == "soft"
    return list(estimator.estimators_) if soft or own.__name__ == "VotingRegressor" else None


def forms(estimator: Any, forms_of: Callable[[Any], list[Form]]) -> list[Form]:
    """Return the forms of a vote, made of each member's first form for one row, and of that for many.

    `forms_of` gives the forms of a member, which takes the same rows.
    """
    method = "predict_proba" if hasattr(estimator, "classes_") else "predict"
    known = [[form for form in forms_of(member) if method in form.kernels] for member in members_of(estimator) or []]
    one, many = (
        [next((form for form in own if form.rows in (rows, "any")), None) for own in known] for rows in ("one", "many")
    )
    if one == many:
        return _blend(estimator, "blend", one, "any")
    return [*_blend(estimator, "blend", one, "one"), *_blend(estimator, "blend of many", many, "many")]


def _blend(estimator: Any, name: str, members: Sequence[Form | None], rows: str) -> list[Form]:
    """Return the form made of the members'; none where one of them has none."""
    there = [form for form in members if form is not None]
    if len(there) < len(members):
        return []
    weights = None if estimator.weights is None else np.asarray(estimator._weights_not_none, dtype=np.float64)
    return [Form(name, _kernels(estimator, there, weights), _split_points(there), rows=rows)]


def _kernels(estimator: Any, members: Sequence[Form], weights: Array | None) -> dict[str, Kernel]:
    if not hasattr(estimator, "classes_"):
        values = [member.kernels["predict"] for member in members]

        def mean_value(X: Any) -> Array:
            return np.asarray(np.average(np.asarray([kernel(X) for kernel in values]).T, axis=1, weights=weights))

        return {"predict": mean_value}
    each = [member.kernels["predict_proba"] for member in members]
    classes = np.asarray(estimator.classes_)

    def mean(X: Any) -> Array:
        return np.asarray(np.average(np.asarray([kernel(X) for kernel in each]), axis=0, weights=weights))

    def labels(X: Any) -> Array:
        likely = mean(X)
        best = np.partition(likely, -2, axis=1)
        if (best[:, -1] - best[:, -2]).min() <= _NEAR:
            raise Doubt("two classes are as likely")
        return np.asarray(classes.take(likely.argmax(axis=1)))

    return {"predict": labels, "predict_proba": mean, "predict_log_proba": log_of(mean)}


def _split_points(members: Sequence[Form]) -> Mapping[Any, Array]:
    found: dict[Any, list[Array]] = {}
    for member in members:
        for column, values in member.thresholds.items():
            found.setdefault(column, []).append(values)
    return {column: np.unique(np.concatenate(values)) for column, values in found.items()}
