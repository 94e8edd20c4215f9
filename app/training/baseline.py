"""What a model that ignores the features answers, and whether another one is any better."""

from __future__ import annotations

import numpy as np

from app.training.evaluation import Answers, ask
from app.training.intervals import share_of_worse
from app.training.metrics import Metric
from app.training.problem import Target, Task
from app.training.promotion import CERTAIN, RESAMPLINGS


def ask_baseline(y_train: Target, n_rows: int, task: Task) -> Answers:
    """Return the baseline's answers for so many rows: the most frequent class, or the mean."""
    from sklearn.dummy import DummyClassifier, DummyRegressor

    model = DummyClassifier(strategy="prior") if task == "classification" else DummyRegressor()
    model.fit(np.zeros((len(y_train), 1)), y_train)
    return ask(model, np.zeros((n_rows, 1)))


def find_doubt(metric: Metric, y: Target, answers: Answers, baseline: Answers) -> str | None:
    """Say that chance alone may have put a model before the baseline on rows whose target is `y`; None if not so.

    Paired: whether it is better in nearly all resamplings of these rows.
    """
    given, theirs = answers.of(metric), baseline.of(metric)
    assert given is not None  # noqa: S101  # a model is not compared by what it does not give
    assert theirs is not None  # noqa: S101  # the dummies give everything
    formulas = [metric.over(y, theirs, baseline.classes), metric.over(y, given, answers.classes)]
    # What is computed for each class takes so many times longer.
    columns = 1 if given.ndim == 1 else given.shape[1]
    better, drawn = share_of_worse(metric, formulas[0], formulas[1], len(y), RESAMPLINGS // columns)
    if better > CERTAIN:
        return None
    every = np.ones((len(y), 1))
    its_value, value = (float(formula(every)[0]) for formula in formulas)
    relation = "may be better by chance alone than" if metric.better(value, its_value) else "is no better than"
    return (
        f"{metric.name} {value:.4g} {relation} the baseline's {its_value:.4g}: better in {better:.1%} of {drawn:,} "
        "resamplings of the held-out rows"
    )
