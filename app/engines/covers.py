"""What is put around a fitted estimator: calibrated probabilities, a threshold of its own, a transformed target.

All are scikit-learn's own classes around an estimator, which may be a whole pipeline. Its steps are taken out to
the front, so that what is left covers the final estimator alone, whose forms then answer here too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np

from app.engines.base import Doubt, Form, Kernel
from app.engines.outputs import Scores, expit, two_columns
from app.signature import Array

KIND = "covered"
# A label hangs on which side a number is: nearer than this, the last bits of two ways to compute it may not agree.
_NEAR = 1e-12
_BINARY = 2

Kernels = Mapping[str, Kernel]


def inside(estimator: Any) -> Any:
    """Return the one estimator that `estimator` is put around; None where it covers none, or several."""
    name = _name_of(estimator)
    if name == "FrozenEstimator":
        return estimator.estimator
    if name in _THRESHOLDS:
        return getattr(estimator, "estimator_", estimator.estimator)
    if name == _TRANSFORMED:
        return estimator.regressor_
    if name == "CalibratedClassifierCV" and len(estimator.calibrated_classifiers_) == 1:
        return estimator.calibrated_classifiers_[0].estimator
    return None


def around(estimator: Any, final: Any) -> Any:
    """Return a copy of a cover around another estimator, which takes what that one takes."""
    name = _name_of(estimator)
    if name == "FrozenEstimator":
        return final
    cover = copy(estimator)
    if name in _THRESHOLDS:
        setattr(cover, "estimator_" if hasattr(estimator, "estimator_") else "estimator", final)
    elif name == _TRANSFORMED:
        cover.regressor_ = final
    else:
        (member,) = estimator.calibrated_classifiers_
        cover.calibrated_classifiers_ = [copy(member)]
        cover.calibrated_classifiers_[0].estimator = final
    # The columns were those before the steps that are taken out.
    for attribute in ("n_features_in_", "feature_names_in_"):
        vars(cover).pop(attribute, None)
        if hasattr(final, attribute) and not isinstance(getattr(type(cover), attribute, None), property):
            setattr(cover, attribute, getattr(final, attribute))
    return cover


def is_cover(estimator: Any) -> bool:
    """Tell whether an estimator is one of those that are put around others."""
    return _name_of(estimator) in ("CalibratedClassifierCV", _TRANSFORMED, *_THRESHOLDS)


def forms(estimator: Any, forms_of: Callable[[Any], Sequence[Form]]) -> list[Form]:
    """Return the forms of a cover from those, by `forms_of`, of what it is put around."""
    if _name_of(estimator) in _THRESHOLDS:
        layers, covered = [_threshold(estimator)], [inside(estimator)]
    elif _name_of(estimator) == _TRANSFORMED:
        layers, covered = [_transformed(estimator)], [inside(estimator)]
    else:
        members = estimator.calibrated_classifiers_
        layers, covered = list(map(_calibrators, members)), [member.estimator for member in members]
    known = [layer for layer in layers if layer is not None]
    if len(known) < len(layers):
        return []
    first, *others = ({form.name: form for form in forms_of(inner)} for inner in covered)
    return [
        _covered(known, [form, *(other[name] for other in others)])
        for name, form in first.items()
        if all(name in other for other in others)
    ]


def build(state: Mapping[str, Any], build_final: Callable[[Mapping[str, Any]], Kernels]) -> Kernels:
    """Return the kernels of a cover by method again from its state; `build_final` does so for what it covers."""
    return _kernels(state["layers"], [build_final(inner) for inner in state["inner"]])


def _name_of(estimator: Any) -> str:
    own = type(estimator)
    return own.__name__ if own.__module__.startswith("sklearn.") else ""


def _covered(layers: Sequence[Mapping[str, Any]], members: Sequence[Form]) -> Form:
    states = [form.state["final"] for form in members if form.state is not None]
    state = None
    if len(states) == len(members):
        state = {"front": [], "final": {"kind": KIND, "layers": list(layers), "inner": states}}
    form = members[0]
    return Form(form.name, _kernels(layers, [form.kernels for form in members]), form.thresholds, state, form.rows)


def _kernels(layers: Sequence[Mapping[str, Any]], members: Sequence[Kernels]) -> Kernels:
    if layers[0]["kind"] == "threshold":
        return _at_threshold(layers[0], members[0])
    if layers[0]["kind"] == "transformed":
        return _back(layers[0], members[0])
    return _calibrated(layers, members)


# Calibrated probabilities


def _calibrators(member: Any) -> dict[str, Any] | None:
    """Return the state of one calibrated classifier; None where its calibrators are none of those below."""
    curves = [_curve(calibrator) for calibrator in member.calibrators]
    method = "decision_function" if hasattr(member.estimator, "decision_function") else "predict_proba"
    classes = np.asarray(member.classes)
    if None in curves or member.method not in ("sigmoid", "isotonic") or classes.ndim != 1:
        return None
    return {
        "kind": "calibrated",
        "classes": classes,
        "method": method,
        "curves": curves,
        "columns": np.searchsorted(classes, member.estimator.classes_),
    }


def _curve(calibrator: Any) -> dict[str, Any] | None:
    name = type(calibrator).__name__
    if name == "_SigmoidCalibration":
        return {"slope": float(calibrator.a_), "shift": float(calibrator.b_)}
    if name != "IsotonicRegression" or calibrator.out_of_bounds != "clip":
        return None
    x, y = calibrator.X_thresholds_, calibrator.y_thresholds_
    return {"x": x, "y": y} if x.dtype == y.dtype == np.float64 else None


def _build_curve(curve: Mapping[str, Any]) -> Scores:
    if "slope" in curve:
        slope, shift = curve["slope"], curve["shift"]
        return lambda scores: expit(-(slope * scores + shift))
    x, y = curve["x"], curve["y"]
    # The interpolation that scikit-learn's comes to; outside of its range it goes on level.
    return lambda scores: np.interp(scores, x, y)


def _calibrated(layers: Sequence[Mapping[str, Any]], members: Sequence[Kernels]) -> Kernels:
    if not all(layer["method"] in kernels for layer, kernels in zip(layers, members, strict=True)):
        return {}
    each = [_likely(layer, kernels[layer["method"]]) for layer, kernels in zip(layers, members, strict=True)]
    classes: Array = layers[0]["classes"]
    only = each[0]

    def mean(X: Array) -> Array:
        total = only(X)
        for likely in each[1:]:
            total += likely(X)
        total /= len(each)
        return total

    probabilities = only if len(each) == 1 else mean
    # scikit-learn's exponential is another one than NumPy's.
    smooth = any("slope" in curve for layer in layers for curve in layer["curves"])

    def labels(X: Array) -> Array:
        likely = probabilities(X)
        if smooth and len(classes) > 1:
            best = np.partition(likely, -2, axis=1)
            if (best[:, -1] - best[:, -2]).min() <= _NEAR:
                raise Doubt("two classes are as likely")
        return np.asarray(classes.take(likely.argmax(axis=1)))

    return {"predict": labels, "predict_proba": probabilities}


def _likely(layer: Mapping[str, Any], scores: Kernel) -> Scores:
    """Make the kernel of one calibrated classifier's probabilities, shape (n, n_classes)."""
    curves = list(map(_build_curve, layer["curves"]))
    width, columns = len(layer["classes"]), layer["columns"].tolist()
    column, curve = layer["method"] == "predict_proba", curves[0]

    def of_two(X: Array) -> Array:
        given: Any = scores(X)
        return two_columns(_no_more_than_one(curve(given[:, 1] if column else given)))

    def of_several(X: Array) -> Array:
        given: Any = scores(X)
        out = np.zeros((len(given), width))
        for place, one, score in zip(columns, curves, given.T, strict=True):
            out[:, place] = one(score)
        total = out.sum(axis=1)[:, None]
        # Where no class is likely at all, each is as likely.
        level = np.full_like(out, 1 / width)
        return _no_more_than_one(np.divide(out, total, out=level, where=total != 0))

    return of_two if width == _BINARY else of_several


def _no_more_than_one(likely: Array) -> Array:
    likely[(likely > 1.0) & (likely <= 1.0 + 1e-5)] = 1.0
    return likely


# A threshold


_THRESHOLDS = ("FixedThresholdClassifier", "TunedThresholdClassifierCV")


def _threshold(estimator: Any) -> dict[str, Any] | None:
    """Return the state of a threshold; None where it is not one between two classes."""
    inner = inside(estimator)
    classes = np.asarray(inner.classes_)
    if classes.shape != (_BINARY,):
        return None
    if type(estimator).__name__ == "FixedThresholdClassifier":
        threshold, positive = estimator.threshold, estimator.pos_label
    else:
        threshold, positive = estimator.best_threshold_, estimator._curve_scorer._get_pos_label()
    method = estimator.response_method
    if method == "auto":
        method = "predict_proba" if hasattr(inner, "predict_proba") else "decision_function"
    if threshold == "auto":
        threshold = 0.5 if method == "predict_proba" else 0.0
    second = positive is None or bool(classes[1] == positive)
    return {
        "kind": "threshold",
        "labels": classes if second else classes[::-1].copy(),
        "second": second,
        "method": method,
        "threshold": float(threshold),
        # Forests answer in few steps, of which a threshold is often one; their forms have each to the last bit.
        "exact": type(inner).__module__.startswith(("sklearn.tree.", "sklearn.ensemble._forest")),
    }


def _at_threshold(layer: Mapping[str, Any], kernels: Kernels) -> Kernels:
    others = {method: kernel for method, kernel in kernels.items() if method != "predict"}
    if layer["method"] not in kernels:
        return others
    given, labels, threshold = kernels[layer["method"]], layer["labels"], layer["threshold"]
    column, second, exact = layer["method"] == "predict_proba", int(layer["second"]), layer["exact"]
    near = _NEAR * max(1.0, abs(threshold))

    def predict(X: Array) -> Array:
        scores: Any = given(X)
        if column:
            scores = scores[:, second]
        elif not second:
            scores = -scores
        if not exact and np.abs(scores - threshold).min() <= near:
            raise Doubt("a row is at the threshold")
        return np.asarray(labels.take(scores >= threshold))

    return {"predict": predict, **others}


# A target that was transformed

_TRANSFORMED = "TransformedTargetRegressor"


def _transformed(estimator: Any) -> dict[str, Any] | None:
    """Return the state of a target's way back; None where it is none of a function that NumPy has."""
    inverse: Any = estimator.inverse_func
    if estimator.transformer is not None or not isinstance(inverse, np.ufunc) or estimator._training_dim != 1:
        return None
    name = str(inverse.__name__) if inverse.nin == 1 else ""
    return {"kind": "transformed", "function": name} if getattr(np, name, None) is inverse else None


def _back(layer: Mapping[str, Any], kernels: Kernels) -> Kernels:
    given, function = kernels["predict"], getattr(np, layer["function"])

    def predict(X: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(function(given(X)))

    return {"predict": predict}
