"""Stochastic gradient descent: a learning-rate schedule, L2 or L1, early stopping on a validation split."""

from __future__ import annotations

from typing import Any

from app.training.estimators import Family
from app.training.options import Options
from app.training.preprocess import build_pipeline
from app.training.problem import Problem, Rows, Target, Task
from app.training.recipes.base import Recipe, Say, fit_at_once

SCHEDULES = ("optimal", "constant", "invscaling", "adaptive")
PENALTIES = ("l2", "l1", "elasticnet")
_DEFAULT_SCHEDULE: dict[Task, str] = {"classification": "optimal", "regression": "invscaling"}
_MOST_EPOCHS = 1000
_FEWEST_ROWS_TO_STOP_EARLY = 50


def build(problem: Problem, options: Options, n_rows: int) -> Any:
    """Return the columns' preparation and SGDClassifier (logistic loss) or SGDRegressor (squared error)."""
    return build_pipeline(problem, Family(lambda seed: _estimator(problem.task, options, n_rows)), options.seed)


def _estimator(task: Task, options: Options, n_rows: int) -> Any:
    from sklearn.linear_model import SGDClassifier, SGDRegressor

    settings = {
        "learning_rate": options.schedule or _DEFAULT_SCHEDULE[task],
        "penalty": options.penalty or "l2",
        "max_iter": options.epochs or _MOST_EPOCHS,
        "early_stopping": n_rows >= _FEWEST_ROWS_TO_STOP_EARLY,
        "validation_fraction": 0.1,
        "n_iter_no_change": 10,
        "eta0": 0.01,
        "random_state": options.seed,
    }
    return SGDClassifier(loss="log_loss", **settings) if task == "classification" else SGDRegressor(**settings)


def fit(model: Any, X: Rows, y: Target, options: Options, say: Say) -> None:
    """Fit, and say how many epochs it took and whether it stopped early."""
    fit_at_once(model, X, y, options, say)
    descent = model[-1]
    early = " on the validation split" if descent.early_stopping else ""
    stopped = f"stopped early{early}" if descent.n_iter_ < descent.max_iter else "all that were allowed"
    say(f"{descent.n_iter_} epochs, {stopped}; schedule {descent.learning_rate}, penalty {descent.penalty}")


SGD = Recipe(
    "sgd",
    "stochastic gradient descent: --schedule, --penalty, at most --epochs; early stopping on a validation split",
    build,
    fit=fit,
    takes=frozenset({"schedule", "penalty", "epochs"}),
)
