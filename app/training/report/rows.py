"""The held-out rows that a report looks at, and what the model answers for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from app.training.evaluation import Answers
from app.training.problem import Rows, Target, Task
from app.training.split import Split, take_rows

# Numbers enough for any curve, and a bound on what the probabilities of many classes take.
_MOST_ROWS = 50_000
_MOST_PROBABILITIES = 5_000_000


@dataclass(frozen=True)
class Answered:
    """Held-out rows with the model's answers.

    Attributes
    ----------
    rows: their numbers among all held-out rows, from 0.
    predicted: shape (n,).
    classes: the model's classes, and those of `y` that it has never seen; None for regression.
    probabilities: shape (n, n_classes), of the model's own classes; None where it gives none.
    decisions: shape (n,), of a model for two classes without probabilities.
    """

    rows: npt.NDArray[np.intp]
    X: Rows
    y: Target
    predicted: npt.NDArray[Any]
    classes: list[Any] | None = None
    probabilities: npt.NDArray[np.float64] | None = None
    decisions: npt.NDArray[np.float64] | None = None


def answered_rows(answers: Answers, split: Split, task: Task) -> Answered:
    """Return the held-out rows with the answers that the model was measured by, evenly spaced ones of very many."""
    classes = [] if answers.classes is None else list(answers.classes)
    most = max(1, min(_MOST_ROWS, _MOST_PROBABILITIES // max(1, len(classes))))
    chosen = every_so_many(len(split.y_test), most)
    X = split.X_test if len(chosen) == len(split.y_test) else take_rows(split.X_test, chosen)
    y = split.y_test[chosen]
    predicted = answers.predictions[chosen]
    if predicted.shape == (len(y), 1):
        predicted = predicted.ravel()
    if task == "regression":
        return Answered(chosen, X, y, predicted)
    probabilities = None if answers.probabilities is None else answers.probabilities[chosen]
    decisions = None
    if answers.scores is not None and len(classes) == 2:  # noqa: PLR2004  # two classes
        decisions = answers.scores[chosen]
    classes += sorted(set(y.tolist()) - set(classes), key=str)
    return Answered(chosen, X, y, predicted, classes, probabilities, decisions)


def every_so_many(n: int, most: int) -> npt.NDArray[np.intp]:
    """Return at most `most` of the numbers from 0 to n - 1, evenly spaced, the first and the last among them."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.intp))
