"""Metrics that models are chosen, printed and compared by: what each needs of a model, and which way is better.

One number, a thousand resamplings of the rows and a paired comparison of two models come from the same formula.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from app.training import formulas
from app.training.errors import TrainingError
from app.training.formulas import Classes, Floats, Formula, Maker
from app.training.problem import Rows, Target, Task

# Of the top label's confidence: Guo et al., On Calibration of Modern Neural Networks, ICML 2017.
_CONFIDENCE_BINS = 15


@dataclass(frozen=True)
class Metric:
    """One number for how good predictions are.

    Attributes
    ----------
    needs: what of a model it is computed from: labels or values that ``predict`` gives, shape (n,);
        probabilities, shape (n, n_classes); or scores, which are probabilities, else what ``decision_function``
        gives, shape (n,) for two classes.
    formula: from the target, what it needs, and the classes in the order of the columns, to the formula.
    is_share: whether it is the share of the rows for which something is so.
    is_mean_loss: whether it is the mean of a loss over the rows, of which one that is wrong adds about 1.
    is_unbounded: whether it is an error as large as the target's unit makes it, so that only a share of it says
        whether a difference is small.
    """

    name: str
    task: Task
    needs: Literal["predictions", "scores", "probabilities"]
    higher_is_better: bool
    formula: Maker
    is_share: bool = False
    is_mean_loss: bool = False
    is_unbounded: bool = False

    @property
    def perfect(self) -> float:
        """The score of a model that is never wrong, where errors count as negative."""
        return 1.0 if self.higher_is_better else 0.0

    def resolution(self, n_rows: int) -> float:
        """Return a difference that one row more or less may make, where that can be told."""
        return 1 / n_rows if self.is_share or self.is_mean_loss else 0.0

    def loss_allowed(self, score: float, most: float) -> float:
        """Return how much of a score may be lost, where `most` of the metric may; of an unbounded one, as a share."""
        return most * abs(score) if self.is_unbounded else most

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
        self.check(model)
        if self.needs == "predictions":
            return np.asarray(model.predict(X))
        if hasattr(model, "predict_proba"):
            return np.asarray(model.predict_proba(X))
        return np.asarray(model.decision_function(X))

    def check(self, model: Any) -> None:
        """Raise TrainingError where a model, fitted or not, gives nothing that the metric can be computed from."""
        if self.needs == "predictions" or hasattr(model, "predict_proba"):
            return
        if self.needs == "probabilities":
            raise TrainingError(
                f"{self.name} needs probabilities, and this model gives none; "
                "add --calibrate, which makes them, or choose another metric"
            )
        if not hasattr(model, "decision_function"):
            raise TrainingError(f"{self.name} needs scores, and this model gives labels only; choose another metric")

    def from_answers(self, y: Target, answers: npt.NDArray[Any], classes: Classes | None) -> float:
        """Return the metric from what :meth:`answers` gave for the rows whose target is `y`."""
        return float(self.over(y, answers, classes)(np.ones((len(y), 1)))[0])

    def over(self, y: Target, answers: npt.NDArray[Any], classes: Classes | None) -> Formula:
        """Return the formula for these rows; it gives NaN where the rows that count do not define the metric.

        Raises
        ------
        ValueError
            The answers are not one for each row.
        """
        if self.needs == "predictions":
            if answers.shape == (len(y), 1):
                answers = answers.ravel()
            if answers.shape != y.shape:
                raise ValueError(f"its answers have the shape {answers.shape}, and the target has {y.shape}")
        formula = self.formula(y, answers, classes)

        def quiet(weights: Floats) -> Floats:
            # A class that no row is of, or that is never predicted, is a division by zero.
            with np.errstate(divide="ignore", invalid="ignore"):
                return formula(weights)

        return quiet

    def better(self, ours: float, theirs: float) -> bool:
        """Tell whether `ours` is better than `theirs`; NaN is never better."""
        return ours > theirs if self.higher_is_better else ours < theirs


def metrics_of(task: Task) -> dict[str, Metric]:
    """Return the metrics that models for `task` are measured, and can be chosen, by; the first is the default."""
    return {metric.name: metric for metric in (_CLASSIFICATION if task == "classification" else _REGRESSION)}


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


def cost_metric(missed: float, false_alarm: float, positive: Any) -> Metric:
    """Return the mean cost of a row, where a missed `positive` costs `missed`, and a false alarm as much as it says."""

    def formula(y: Target, predicted: npt.NDArray[Any], classes: Classes | None) -> Formula:
        is_one, taken_for_one = y == positive, predicted == positive
        return formulas.mean(missed * (is_one & ~taken_for_one) + false_alarm * (~is_one & taken_for_one))

    return Metric("cost", "classification", "predictions", False, formula)


def calibration_error(y: Target, probabilities: Floats, classes: Classes) -> float:
    """Return by how much the likeliest label's probability and how often it is right differ, on average over rows.

    Rows are put into 15 bins of equal width by that probability (the expected calibration error of Guo et al., 2017).
    """
    confidence = probabilities.max(axis=1)
    right = classes[probabilities.argmax(axis=1)] == y
    place = np.minimum((confidence * _CONFIDENCE_BINS).astype(int), _CONFIDENCE_BINS - 1)
    apart = np.bincount(place, weights=confidence - right, minlength=_CONFIDENCE_BINS)
    return float(np.abs(apart).sum() / len(y))


def by_class(y: Target, predicted: Target, classes: list[Any]) -> dict[str, dict[str, Any]]:
    """Return precision, recall, F1 and the number of rows of each class; 0 where there is nothing to divide by."""
    labels, tallies = formulas.label_tallies(y, predicted)
    right, true, said = (part[:, 0] for part in tallies(np.ones((len(y), 1))))
    with np.errstate(invalid="ignore"):
        parts = [np.nan_to_num(part) for part in (right / said, right / true, 2 * right / (true + said))]
    places = {label: place for place, label in enumerate(labels)}
    found: dict[str, dict[str, Any]] = {}
    for label in classes:
        place = places.get(label)
        precision, recall, f1 = (0.0, 0.0, 0.0) if place is None else (float(part[place]) for part in parts)
        rows = 0 if place is None else int(true[place])
        found[str(label)] = {"precision": precision, "recall": recall, "f1": f1, "rows": rows}
    return found


_CLASSIFICATION = (
    Metric("accuracy", "classification", "predictions", True, lambda y, p, _: formulas.mean(y == p), is_share=True),
    Metric(
        "balanced_accuracy",
        "classification",
        "predictions",
        True,
        formulas.mean_over_labels(lambda right, true, said: right / true, every=False),
    ),
    Metric(
        "precision",
        "classification",
        "predictions",
        True,
        formulas.mean_over_labels(lambda right, true, said: right / said, every=True),
    ),
    Metric(
        "recall",
        "classification",
        "predictions",
        True,
        formulas.mean_over_labels(lambda right, true, said: right / true, every=True),
    ),
    Metric(
        "f1",
        "classification",
        "predictions",
        True,
        formulas.mean_over_labels(lambda right, true, said: 2 * right / (true + said), every=True),
    ),
    Metric("roc_auc", "classification", "scores", True, formulas.one_vs_rest(formulas.area)),
    Metric("average_precision", "classification", "scores", True, formulas.one_vs_rest(formulas.average_precision)),
    Metric(
        "log_loss",
        "classification",
        "probabilities",
        False,
        formulas.mean_loss(formulas.log_loss),
        is_mean_loss=True,
        is_unbounded=True,
    ),
    Metric("brier", "classification", "probabilities", False, formulas.mean_loss(formulas.brier), is_mean_loss=True),
)
_error = partial(Metric, task="regression", needs="predictions", higher_is_better=False, is_unbounded=True)
_REGRESSION = (
    _error("rmse", formula=formulas.mean_error(lambda y, p: (y - p) ** 2, root=True)),
    _error("mse", formula=formulas.mean_error(lambda y, p: (y - p) ** 2)),
    _error("mae", formula=formulas.mean_error(lambda y, p: np.abs(y - p))),
    Metric("r2", "regression", "predictions", True, formulas.r2),
    _error("mape", formula=formulas.mean_error(formulas.relative_error)),
)
