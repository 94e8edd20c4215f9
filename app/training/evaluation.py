"""How good a fitted model is on rows it has not seen."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from app.training.problem import Rows, Target, Task

# What models of a task are compared by, and whether more of it is better.
MAIN_METRIC: dict[Task, str] = {"classification": "accuracy", "regression": "rmse"}
HIGHER_IS_BETTER = {"accuracy": True, "rmse": False}
_BINARY = 2

Metrics = dict[str, Any]


def evaluate(model: Any, X: Rows, y: Target, task: Task) -> Metrics:
    """Return the metrics of a fitted model on rows, as plain Python numbers; one that cannot be had is left out.

    Classification: accuracy, balanced_accuracy, precision, recall and f1 (macro averages; of each
    class under ``per_class``), roc_auc (one against the rest, macro average, for several classes)
    and log_loss (natural logarithm), where the model gives probabilities or decisions.
    Regression: mse, rmse, mae (in the target's unit), r2, mape (a share: 0.1 is ten percent; left
    out where a target is 0).
    """
    with warnings.catch_warnings():
        # Rows without one of the classes are expected here, and each metric says so at length.
        warnings.simplefilter("ignore")
        measured = _classification(model, X, y) if task == "classification" else _regression(model, X, y)
    return _finite(measured)


def evaluate_baseline(y_train: Target, X_test: Rows, y_test: Target, task: Task) -> Metrics:
    """Return the metrics of a model that ignores the features: the most frequent class, or the mean."""
    from sklearn.dummy import DummyClassifier, DummyRegressor

    model = DummyClassifier(strategy="prior") if task == "classification" else DummyRegressor()
    model.fit(np.zeros((len(y_train), 1)), y_train)
    return evaluate(model, np.zeros((len(y_test), 1)), y_test, task)


def row_losses(model: Any, X: Rows, y: Target, task: Task) -> npt.NDArray[np.float64]:
    """Return what each row adds to the main metric, shape (n,): 1 for a wrong class, else the squared error."""
    predicted = np.asarray(model.predict(X))
    if predicted.shape == (len(y), 1):
        predicted = predicted.ravel()
    if predicted.shape != y.shape:
        raise ValueError(f"its answers have the shape {predicted.shape}, and the target has {y.shape}")
    return np.asarray(predicted != y if task == "classification" else (predicted - y) ** 2, dtype=np.float64)


def main_metric(losses: npt.NDArray[np.float64], task: Task) -> float:
    """Return the task's main metric from its rows' losses."""
    return 1.0 - float(losses.mean()) if task == "classification" else math.sqrt(losses.mean())


def _classification(model: Any, X: Rows, y: Target) -> Metrics:
    from sklearn import metrics

    predicted = model.predict(X)
    averaged = metrics.precision_recall_fscore_support(y, predicted, average="macro", zero_division=0.0)
    return {
        "accuracy": metrics.accuracy_score(y, predicted),
        "balanced_accuracy": metrics.balanced_accuracy_score(y, predicted),
        **dict(zip(("precision", "recall", "f1"), averaged[:3], strict=True)),
        **_from_probabilities(model, X, y),
        "per_class": _per_class(y, predicted, list(model.classes_)),
    }


def _per_class(y: Target, predicted: Target, classes: list[Any]) -> dict[str, Metrics]:
    from sklearn.metrics import precision_recall_fscore_support

    parts = precision_recall_fscore_support(y, predicted, labels=classes, zero_division=0.0)
    return {
        str(label): {"precision": precision, "recall": recall, "f1": f1, "rows": int(rows)}
        for label, precision, recall, f1, rows in zip(classes, *parts, strict=True)
    }


def _from_probabilities(model: Any, X: Rows, y: Target) -> Metrics:
    from sklearn.metrics import log_loss, roc_auc_score

    classes = list(model.classes_)
    if not set(y.tolist()) <= set(classes):
        return {}
    every_class_seen = set(y.tolist()) == set(classes)
    if not hasattr(model, "predict_proba"):
        binary = every_class_seen and len(classes) == _BINARY and hasattr(model, "decision_function")
        return {"roc_auc": roc_auc_score(y == classes[1], model.decision_function(X))} if binary else {}
    probabilities = model.predict_proba(X)
    found: Metrics = {}
    if every_class_seen and len(classes) == _BINARY:
        found["roc_auc"] = roc_auc_score(y == classes[1], probabilities[:, 1])
    elif every_class_seen:
        found["roc_auc"] = roc_auc_score(y, probabilities, multi_class="ovr", labels=classes)
    return found | {"log_loss": log_loss(y, probabilities, labels=classes)}


def _regression(model: Any, X: Rows, y: Target) -> Metrics:
    from sklearn import metrics

    predicted = model.predict(X)
    mse = metrics.mean_squared_error(y, predicted)
    found = {
        "mse": mse,
        "rmse": math.sqrt(mse),
        "mae": metrics.mean_absolute_error(y, predicted),
        "r2": metrics.r2_score(y, predicted),
    }
    return found if (y == 0).any() else found | {"mape": metrics.mean_absolute_percentage_error(y, predicted)}


def _finite(measured: Mapping[str, Any]) -> Metrics:
    """Make JSON of the metrics: plain numbers, and none that is not finite."""
    plain: Metrics = {}
    for name, value in measured.items():
        if isinstance(value, Mapping):
            plain[name] = _finite(value)
        elif isinstance(value, int):
            plain[name] = value
        elif math.isfinite(value):
            plain[name] = float(value)
    return plain
