"""Probabilities that are as often right as they say, learnt from training rows alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from app.training.folds import OutOfFold
from app.training.formulas import Classes, Floats
from app.training.metrics import calibration_error, find_metric
from app.training.problem import Target

# Isotonic regression, free in its form, follows chance where rows are fewer (scikit-learn's own advice).
_ROWS_FOR_ISOTONIC = 1000
_JUDGES = ("log_loss", "brier")
# Less than this share of either is not worth a further step in every answer.
_LEAST_GAIN = 1e-3


class _Scores(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier whose rows are its scores, so that calibrators are fitted to scores that are there already."""

    def __init__(self, classes: Classes) -> None:
        self.classes = classes
        self.classes_ = classes

    def fit(self, X: Floats, y: Target) -> _Scores:
        return self

    def decision_function(self, X: Floats) -> Floats:
        return X.ravel() if X.shape[1] == 1 else X

    def predict(self, X: Floats) -> Target:
        raise NotImplementedError("scikit-learn asks whether there is a predict, and never for an answer")


@dataclass(frozen=True)
class Calibration:
    """What calibrating came to.

    Attributes
    ----------
    fitted: CalibratedClassifierCV around the scores; None where it was not accepted.
    probabilities: of the training rows, by calibrators that were fitted without their fold; those of the model as
        it is where calibration was not accepted.
    why: what was found on the training rows, in words.
    """

    method: str
    fitted: Any
    probabilities: Floats | None
    why: str

    @property
    def accepted(self) -> bool:
        """Whether the model is calibrated."""
        return self.fitted is not None

    def wrap(self, model: Any) -> Any:
        """Return a fitted model with calibrated probabilities: scikit-learn's own, around a single estimator."""
        if not self.accepted:
            return model
        from sklearn.calibration import CalibratedClassifierCV

        wrapped = CalibratedClassifierCV(model, method=self.method, ensemble=False)
        (calibrated,) = self.fitted.calibrated_classifiers_
        wrapped.calibrated_classifiers_ = [
            type(calibrated)(model, calibrated.calibrators, classes=calibrated.classes, method=calibrated.method)
        ]
        wrapped.classes_ = model.classes_
        return keep_columns(wrapped, model)


def keep_columns(wrapped: Any, model: Any) -> Any:
    """Give a wrapped model the number and the names of the columns that it takes, and return it."""
    for name in ("n_features_in_", "feature_names_in_"):
        if hasattr(model, name):
            setattr(wrapped, name, getattr(model, name))
    return wrapped


def calibrate(method: str, known: OutOfFold) -> Calibration:
    """Fit calibrators to out-of-fold scores; accepted where log loss and Brier score improve on folds left out.

    ``auto`` takes the one of ``sigmoid`` and, from 1,000 rows on, ``isotonic`` with the lower log loss.
    """
    tried: list[str] = [method]
    if method == "auto":
        tried = ["sigmoid", "isotonic"] if len(known.y) >= _ROWS_FOR_ISOTONIC else ["sigmoid"]
    crossed = {name: _cross_fitted(name, known) for name in tried}
    after = {name: _losses(known, probabilities) for name, probabilities in crossed.items()}
    best = min(tried, key=lambda name: after[name]["log_loss"])
    if known.probabilities is None:
        return Calibration(best, _fitted(best, known), crossed[best], "the model gave no probabilities before")
    before = _losses(known, known.probabilities)
    told = ", ".join(f"{name} {before[name]:.4f} to {after[best][name]:.4f}" for name in _JUDGES)
    if all(after[best][name] < before[name] * (1 - _LEAST_GAIN) for name in _JUDGES):
        return Calibration(best, _fitted(best, known), crossed[best], f"better on training rows left out: {told}")
    return Calibration(best, None, known.probabilities, f"no better on training rows left out: {told}")


def describe(calibration: Calibration, y: Target, before: Floats | None, after: Floats, classes: Classes) -> Any:
    """Return what is told of a calibration, with Brier score, log loss and calibration error on held-out rows.

    ``before`` is empty where the model gave no probabilities, and both are the same where calibration was not accepted.
    """
    return {
        "method": calibration.method,
        "accepted": calibration.accepted,
        "why": calibration.why,
        "before": {} if before is None else _told(y, before, classes),
        "after": _told(y, after, classes),
    }


def in_words(told: Mapping[str, Any]) -> str:
    """Say what :func:`describe` tells of a calibration: the method, and why it was accepted or not."""
    if told["accepted"]:
        return f"calibrated by {told['method']}: {told['why']}"
    return f"not calibrated: {told['method']} is {told['why']}"


def _told(y: Target, probabilities: Floats, classes: Classes) -> dict[str, float]:
    found = {
        name: find_metric(name, "classification").from_answers(y, probabilities, classes)
        for name in ("brier", "log_loss")
    } | {"ece": calibration_error(y, probabilities, classes)}
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _losses(known: OutOfFold, probabilities: Floats) -> dict[str, float]:
    return {
        name: find_metric(name, "classification").from_answers(known.y, probabilities, known.classes)
        for name in _JUDGES
    }


def _cross_fitted(method: str, known: OutOfFold) -> Floats:
    """Return the probabilities of each fold by calibrators that were fitted to the others."""
    found = np.empty((len(known.y), len(known.classes)))
    for number in range(int(known.fold.max()) + 1):
        here = known.fold == number
        found[here] = _fitted(method, known, ~here).predict_proba(_as_rows(known.scores[here]))
    return found


def _fitted(method: str, known: OutOfFold, where: Any = slice(None)) -> Any:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator

    scores, y = _as_rows(known.scores[where]), known.y[where]
    every = np.arange(len(y))
    calibrated = CalibratedClassifierCV(FrozenEstimator(_Scores(known.classes)), method=method, cv=[(every, every)])
    return calibrated.fit(scores, y)


def _as_rows(scores: Floats) -> Floats:
    return scores.reshape(len(scores), -1)
