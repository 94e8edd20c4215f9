"""Forms of pipelines on texts: the vectorizers' steps replayed, then the sum of the terms' weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from app.engines import bayes, covers, linear, matrix
from app.engines.base import Form, Kernel, NotReplayed
from app.engines.outputs import Scores
from app.engines.texts import terms
from app.engines.texts.terms import TermMatrix
from app.signature import Array, Signature

_NAME = "texts"
_FAMILIES = {"linear": linear, "bayes": bayes}


def forms(estimator: Any, signature: Signature) -> list[Form]:
    """Return the form of a fitted pipeline on texts; its kernels take a list of strings.

    Raises
    ------
    NotReplayed
        Why there is none: a step, an option of one, or the final estimator.
    """
    del signature
    steps, final = matrix.unwrapped(estimator)
    if not steps:
        raise NotReplayed(f"{type(final).__name__} has no steps that make terms of texts")
    front = terms.describe(steps)
    found = _final_forms(final)
    if not found:
        raise NotReplayed(f"{type(final).__name__} has no other form on terms")
    return [_behind(front, form) for form in found]


def rebuild(state: Mapping[str, Any], signature: Signature) -> Form:
    """Build a form again from its state, without the estimator."""
    del signature
    final = state["final"]
    return _behind(state["front"], Form(_NAME, _build_final(final), state={"final": final}))


def _final_forms(estimator: Any) -> list[Form]:
    """Return the form of an estimator without its front; its kernels take a TermMatrix."""
    if covers.is_cover(estimator):
        return covers.forms(estimator, _final_forms)
    for family in _FAMILIES.values():
        state = family.describe(estimator)
        if state is not None:
            return [Form(_NAME, _build_final(state), state={"final": state})]
    return []


def _build_final(state: Mapping[str, Any]) -> Mapping[str, Kernel]:
    if state["kind"] == covers.KIND:
        return covers.build(state, _build_final)
    if state["kind"] == "linear":
        return linear.kernels(state, _scores(state, flat=linear.is_flat(state)))
    return bayes.kernels(state, _scores(state, flat=False, threshold=state["threshold"]))


def _scores(state: Mapping[str, Any], *, flat: bool, threshold: float | None = None) -> Scores:
    """Make the kernel of ``terms @ coef.T + intercept``, shape (documents,) where `flat`, else (documents, k).

    With a `threshold`, a term counts 1 where its weight is above it, and else nothing.
    """
    coef = list(map(np.ascontiguousarray, np.atleast_2d(state["coef"])))
    intercept = state["intercept"]

    def scores(found: TermMatrix) -> Array:
        values = found.values if threshold is None else (found.values > threshold).astype(np.float64)
        if flat:
            return np.asarray(found.sums(values * coef[0][found.columns]) + intercept)
        out = np.empty((found.shape[0], len(coef)))
        for column, weights in enumerate(coef):
            out[:, column] = found.sums(values * weights[found.columns])
        out += intercept
        return out

    return scores


def _behind(front: terms.State, form: Form) -> Form:
    """Return a form that takes texts."""
    vectorize = terms.build(front)

    def kernel(answer: Kernel) -> Kernel:
        return lambda texts: answer(vectorize(texts))

    kernels = {method: kernel(answer) for method, answer in form.kernels.items()}
    state = None if form.state is None else {"front": front, "final": form.state["final"]}
    return Form(form.name, kernels, state=state)
