"""How a model got better while it was fitted, where it is of a kind that goes step by step."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from app.training.problem import Rows, Target, Task
from app.training.report.inside import pipeline_of
from app.training.report.rows import every_so_many
from app.training.split import Split, take_rows

_POINTS = 200
_ROWS = 1000


def curves(model: Any, split: Split, task: Task) -> dict[str, Any]:
    """Return what was measured after each epoch of a network or iteration of boosting; empty for other models.

    ``step`` says what is counted, ``measure`` what was measured, and each of ``lines`` has a name, the steps' numbers
    and the values.
    """
    pipeline = pipeline_of(model)
    if pipeline is None:
        return {}
    estimator = pipeline[-1]
    if len(getattr(estimator, "loss_curve_", ())):
        return _of_network(estimator)
    if hasattr(estimator, "staged_predict"):
        return _of_stages(pipeline, split, task)
    return {}


def _of_network(network: Any) -> dict[str, Any]:
    lines = [_line("training loss", network.loss_curve_)]
    scores = getattr(network, "validation_scores_", None)
    if scores:
        lines.append(_line("validation score", scores))
    return {"step": "epoch", "measure": "loss", "lines": lines}


def _of_stages(pipeline: Any, split: Split, task: Task) -> dict[str, Any]:
    """Measure boosting after each iteration on some rows that it learnt from and some that it did not."""
    lines = []
    for name, X, y in (("learnt from", split.X_train, split.y_train), ("held out", split.X_test, split.y_test)):
        chosen = every_so_many(len(y), _ROWS)
        values = list(_losses(pipeline, take_rows(X, chosen), y[chosen], task))
        lines.append(_line(name, values))
    return {"step": "iteration", "measure": "log loss" if task == "classification" else "RMSE", "lines": lines}


def _losses(pipeline: Any, X: Rows, y: Target, task: Task) -> Iterable[float]:
    estimator = pipeline[-1]
    features = pipeline[:-1].transform(X) if len(pipeline.steps) > 1 else X
    if task == "regression":
        for predicted in estimator.staged_predict(features):
            yield float(np.sqrt(np.mean((y - predicted) ** 2)))
        return
    code = {label: place for place, label in enumerate(estimator.classes_)}
    known = np.array([label in code for label in y.tolist()])
    places = np.array([code.get(label, 0) for label in y.tolist()])
    for probabilities in itertools.islice(estimator.staged_predict_proba(features), None):
        right = np.take_along_axis(np.asarray(probabilities), places[:, None], axis=1)[known, 0]
        yield float(-np.log(np.clip(right, 1e-15, 1)).mean())


def _line(name: str, values: Any) -> dict[str, Any]:
    numbers: npt.NDArray[np.float64] = np.asarray(values, dtype=np.float64)
    chosen = every_so_many(len(numbers), _POINTS)
    return {
        "name": name,
        "steps": (chosen + 1).tolist(),
        "values": [float(f"{value:.6g}") for value in numbers[chosen]],
    }
