"""How good a fitted model is on rows it has not seen, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from app.training.formulas import Classes
from app.training.intervals import Interval, find_interval
from app.training.metrics import Metric, by_class, metrics_of
from app.training.problem import Rows, Target, Task

Metrics = dict[str, Any]


@dataclass(frozen=True)
class Answers:
    """What a model says of rows: asked once, measured by every metric.

    Attributes
    ----------
    predictions: shape (n,).
    probabilities: shape (n, n_classes); None where the model gives none.
    scores: what ``decision_function`` gives, shape (n,) for two classes, where there are no probabilities.
    classes: in the order of the columns; None for a regression.
    """

    predictions: npt.NDArray[Any]
    probabilities: npt.NDArray[np.float64] | None = None
    scores: npt.NDArray[np.float64] | None = None
    classes: Classes | None = None

    def of(self, metric: Metric) -> npt.NDArray[Any] | None:
        """Return what `metric` needs; None where the model does not give it."""
        if metric.needs == "predictions":
            return self.predictions
        return self.probabilities if self.probabilities is not None or metric.needs == "probabilities" else self.scores


@dataclass(frozen=True)
class Appraisal:
    """All that is said of how good a model is, as JSON values.

    Attributes
    ----------
    metrics, baseline: the model's, and those of one that ignores the features, on the held-out rows.
    intervals: by metric, the ends of its 95 % confidence interval.
    calibration: see ``calibration.report``; None where none was asked for.
    threshold: see ``threshold.report``; None where none was asked for.
    doubt: that the model may be no better than the baseline, in words; None where it is.
    """

    metrics: Metrics
    baseline: Metrics
    intervals: dict[str, Interval] = field(default_factory=dict)
    calibration: dict[str, Any] | None = None
    threshold: dict[str, Any] | None = None
    doubt: str | None = None

    def as_dict(self) -> Metrics:
        """Return the metrics with the rest beside them, as a manifest has it."""
        extra = {"calibration": self.calibration, "threshold": self.threshold}
        return {
            **self.metrics,
            "intervals": {name: list(ends) for name, ends in self.intervals.items()},
            "baseline": self.baseline,
            **{name: told for name, told in extra.items() if told is not None},
        }


def ask(model: Any, X: Rows) -> Answers:
    """Return what a fitted model says of rows."""
    predictions = np.asarray(model.predict(X))
    classes = getattr(model, "classes_", None)
    if classes is None:
        return Answers(predictions)
    if hasattr(model, "predict_proba"):
        return Answers(predictions, probabilities=np.asarray(model.predict_proba(X)), classes=classes)
    scores = np.asarray(model.decision_function(X)) if hasattr(model, "decision_function") else None
    return Answers(predictions, scores=scores, classes=classes)


def evaluate(answers: Answers, y: Target, task: Task, more: Sequence[Metric] = ()) -> Metrics:
    """Return every metric of the answers, as plain Python numbers; one that cannot be had is left out.

    Classification: accuracy, balanced_accuracy, precision, recall and f1 (macro averages; of each
    class under ``per_class``), roc_auc and average_precision (one against the rest, macro average, for
    several classes), log_loss (natural logarithm) and brier, where the model gives probabilities.
    Regression: rmse, mse, mae (in the target's unit), r2, mape (a share: 0.1 is ten percent; left
    out where a target is 0).
    """
    values = {
        metric.name: metric.from_answers(y, given, answers.classes)
        for metric in (*metrics_of(task).values(), *more)
        if (given := answers.of(metric)) is not None
    }
    measured: Metrics = {name: value for name, value in values.items() if math.isfinite(value)}
    if answers.classes is not None:
        measured["per_class"] = by_class(y, answers.predictions, answers.classes.tolist())
    return measured


def find_intervals(
    answers: Answers, y: Target, task: Task, metrics: Metrics, more: Sequence[Metric] = ()
) -> dict[str, Interval]:
    """Return the ends of each metric's 95 % confidence interval; one that cannot be had is left out."""
    found: dict[str, Interval] = {}
    for metric in (*metrics_of(task).values(), *more):
        given = answers.of(metric)
        if given is not None and metric.name in metrics:
            interval = find_interval(metric, y, given, answers.classes, metrics[metric.name])
            if interval is not None:
                found[metric.name] = interval
    return found
