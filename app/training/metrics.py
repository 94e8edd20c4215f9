"""Metrics that models are chosen and compared by: what each needs of a model, and which way is better."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from app.training.errors import TrainingError
from app.training.problem import Rows, Target, Task

Classes = npt.NDArray[Any]
_BINARY = 2


@dataclass(frozen=True)
class Metric:
    """One number for how good predictions are.

    Attributes
    ----------
    needs: what of a model it is computed from: labels or values that ``predict`` gives, shape (n,), or
        probabilities, shape (n, n_classes).
    measure: computes it from the target, what it needs, and the classes in the order of the columns.
    """

    name: str
    task: Task
    needs: Literal["predictions", "probabilities"]
    higher_is_better: bool
    measure: Callable[[Target, npt.NDArray[Any], Classes | None], float]

    def of(self, model: Any, X: Rows, y: Target) -> float:
        """Return the metric of a fitted model on rows; NaN where these rows do not define it.

        Raises
        ------
        TrainingError
            The model gives no probabilities and the metric needs them.
        """
        return self.from_answers(y, self.answers(model, X), getattr(model, "classes_", None))

    def answers(self, model: Any, X: Rows) -> npt.NDArray[Any]:
        """Return what the metric needs of a fitted model for rows."""
        if self.needs == "predictions":
            return np.asarray(model.predict(X))
        if not hasattr(model, "predict_proba"):
            raise TrainingError(f"{self.name} needs probabilities, and this model gives none; choose another metric")
        return np.asarray(model.predict_proba(X))

    def from_answers(self, y: Target, answers: npt.NDArray[Any], classes: Classes | None) -> float:
        """Return the metric from what :meth:`answers` gave for the rows whose target is `y`."""
        with warnings.catch_warnings():
            # A class that these rows lack is told by the metrics at length.
            warnings.simplefilter("ignore")
            return float(self.measure(y, answers, classes))

    def better(self, ours: float, theirs: float) -> bool:
        """Tell whether `ours` is better than `theirs`; NaN is never better."""
        return ours > theirs if self.higher_is_better else ours < theirs


def metrics_of(task: Task) -> dict[str, Metric]:
    """Return the metrics that models for `task` can be chosen by; the first is the default."""
    return {metric.name: metric for metric in (_classification() if task == "classification" else _regression())}


def find_metric(name: str | None, task: Task) -> Metric:
    """Return the metric called `name`, or the task's default.

    Raises
    ------
    TrainingError
        There is none of that name for the task.
    """
    found = metrics_of(task)
    if name is None:
        return next(iter(found.values()))
    if name not in found:
        raise TrainingError(f"--objective {name} is no metric for {task}; there are {', '.join(found)}")
    return found[name]


def _classification() -> list[Metric]:
    from sklearn import metrics

    def roc_auc(y: Target, probabilities: npt.NDArray[Any], classes: Classes | None) -> float:
        if classes is not None and len(classes) == _BINARY:
            return float(metrics.roc_auc_score(y == classes[1], probabilities[:, 1]))
        return float(metrics.roc_auc_score(y, probabilities, multi_class="ovr", labels=classes))

    def average_precision(y: Target, probabilities: npt.NDArray[Any], classes: Classes | None) -> float:
        if classes is None:
            return math.nan
        shares = [
            metrics.average_precision_score(y == label, probabilities[:, place]) for place, label in enumerate(classes)
        ]
        return float(shares[1] if len(classes) == _BINARY else np.mean(shares))

    return [
        Metric("accuracy", "classification", "predictions", True, lambda y, p, _: metrics.accuracy_score(y, p)),
        Metric(
            "balanced_accuracy",
            "classification",
            "predictions",
            True,
            lambda y, p, _: metrics.balanced_accuracy_score(y, p),
        ),
        Metric("f1", "classification", "predictions", True, lambda y, p, _: metrics.f1_score(y, p, average="macro")),
        Metric("roc_auc", "classification", "probabilities", True, roc_auc),
        Metric("average_precision", "classification", "probabilities", True, average_precision),
        Metric(
            "log_loss",
            "classification",
            "probabilities",
            False,
            lambda y, p, classes: metrics.log_loss(y, p, labels=classes),
        ),
    ]


def _regression() -> list[Metric]:
    from sklearn import metrics

    return [
        Metric("rmse", "regression", "predictions", False, lambda y, p, _: metrics.root_mean_squared_error(y, p)),
        Metric("mae", "regression", "predictions", False, lambda y, p, _: metrics.mean_absolute_error(y, p)),
        Metric("r2", "regression", "predictions", True, lambda y, p, _: metrics.r2_score(y, p)),
        Metric(
            "mape",
            "regression",
            "predictions",
            False,
            lambda y, p, _: metrics.mean_absolute_percentage_error(y, p),
        ),
    ]
