"""Steps before the final estimator, replayed on a float64 matrix: imputing, scaling, selecting, projecting.

Each takes the operations of scikit-learn's own ``transform`` in the same order, so the last bit agrees.
NaN passes through as it does there; what refuses it comes after.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from app.engines.outputs import finite_check
from app.signature import Array

Step = Callable[[Array], Array]
State = Mapping[str, Any]


def describe(step: Any) -> State | None:
    """Return the state of a fitted transformer; None where it is none of those that are replayed."""
    if step is None or step == "passthrough":
        return {"kind": "same"}
    reader = _READERS.get(type(step).__name__)
    if reader is None or not type(step).__module__.startswith("sklearn."):
        return None
    if getattr(step, "_sklearn_output_config", {}).get("transform", "default") != "default":
        return None
    return reader(step)


def build(states: Sequence[State]) -> Step | None:
    """Return one function for several steps, which takes a matrix (n, n_features); None where nothing is to be done."""
    steps = [_BUILDERS[state["kind"]](state) for state in states if state["kind"] != "same"]
    if not steps:
        return None
    if len(steps) == 1:
        return steps[0]

    def front(X: Array) -> Array:
        for step in steps:
            X = step(X)
        return X

    return front


# What is read of each transformer


def _affine(
    first: tuple[str, Array] | None, second: tuple[str, Array] | None, clip: tuple[float, float] | None = None
) -> State:
    steps = [step for step in (first, second) if step is not None]
    if not steps:
        return {"kind": "same"}
    return {
        "kind": "affine",
        "operations": [name for name, _ in steps],
        "operands": [np.asarray(values, dtype=np.float64) for _, values in steps],
        "clip": clip,
    }


def _standard(step: Any) -> State:
    return _affine(("-", step.mean_) if step.with_mean else None, ("/", step.scale_) if step.with_std else None)


def _min_max(step: Any) -> State:
    return _affine(("*", step.scale_), ("+", step.min_), step.feature_range if step.clip else None)


def _max_abs(step: Any) -> State:
    return _affine(("/", step.scale_), None, (-1.0, 1.0) if getattr(step, "clip", False) else None)


def _robust(step: Any) -> State:
    return _affine(
        ("-", step.center_) if step.with_centering else None, ("/", step.scale_) if step.with_scaling else None
    )


def _imputer(step: Any) -> State | None:
    statistics = step.statistics_
    nan = isinstance(step.missing_values, float) and np.isnan(step.missing_values)
    if not nan or step.add_indicator or statistics.dtype.kind != "f" or step._fit_dtype != np.float64:
        return None
    return None if np.isnan(statistics).any() else {"kind": "impute", "values": statistics.astype(np.float64)}


def _pca(step: Any) -> State:
    scale = None
    if step.whiten:
        scale = np.sqrt(step.explained_variance_)
        scale = np.maximum(scale, np.finfo(scale.dtype).eps)
    shift = step.mean_.reshape(1, -1) @ step.components_.T
    return {"kind": "project", "components": step.components_, "shift": shift, "scale": scale}


def _selector(step: Any) -> State:
    return {"kind": "select", "columns": np.flatnonzero(step.get_support()), "width": step.n_features_in_}


def _function(step: Any) -> State | None:
    plain = step.kw_args in (None, {}) and not step.validate
    if step.func is None:
        return {"kind": "same"} if plain else None
    known = isinstance(step.func, np.ufunc) and step.func.__name__ in _FUNCTIONS
    return {"kind": "function", "name": step.func.__name__} if plain and known else None


_READERS: Mapping[str, Callable[[Any], State | None]] = {
    "StandardScaler": _standard,
    "MinMaxScaler": _min_max,
    "MaxAbsScaler": _max_abs,
    "RobustScaler": _robust,
    "SimpleImputer": _imputer,
    "PCA": _pca,
    "SelectKBest": _selector,
    "SelectPercentile": _selector,
    "SelectFromModel": _selector,
    "VarianceThreshold": _selector,
    "FunctionTransformer": _function,
}
_FUNCTIONS = ("log", "log1p", "log2", "log10", "sqrt", "cbrt", "square", "exp", "expm1", "abs", "absolute", "tanh")


# What is made of it

_OPERATIONS: Mapping[str, np.ufunc] = {"-": np.subtract, "/": np.divide, "*": np.multiply, "+": np.add}


def _build_affine(state: State) -> Step:
    steps = [(_OPERATIONS[name], values) for name, values in zip(state["operations"], state["operands"], strict=True)]
    clip = state["clip"]
    (first, first_values), *rest = steps

    def scale(X: Array) -> Array:
        # An overflow is an infinity here as there: whatever comes after refuses it, or takes it.
        with np.errstate(all="ignore"):
            out = np.asarray(first(X, first_values, dtype=np.float64))
            for operation, values in rest:
                operation(out, values, out=out)
        return out

    if clip is None:
        return scale
    low, high = clip
    return lambda X: np.clip(scale(X), low, high)


def _build_impute(state: State) -> Step:
    values = state["values"]

    def impute(X: Array) -> Array:
        return np.where(np.isnan(X), values, X)

    return impute


def _build_project(state: State) -> Step:
    components, shift, scale = state["components"].T, state["shift"], state["scale"]
    check = finite_check(len(components))

    def project(X: Array) -> Array:
        check(X)
        out: Array = X.dot(components)
        out -= shift
        return out if scale is None else np.divide(out, scale, out=out)

    return project


def _build_select(state: State) -> Step:
    columns = state["columns"]
    check = finite_check(int(state["width"]))

    def select(X: Array) -> Array:
        check(X)
        return np.asarray(np.take(X, columns, axis=1))

    return select


def _build_function(state: State) -> Step:
    function = getattr(np, state["name"])

    def apply(X: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(function(X))

    return apply


_BUILDERS: Mapping[str, Callable[[State], Step]] = {
    "affine": _build_affine,
    "impute": _build_impute,
    "project": _build_project,
    "select": _build_select,
    "function": _build_function,
}
