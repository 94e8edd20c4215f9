"""What the model leans on: how much worse it gets where a raw column is shuffled."""

from __future__ import annotations

import time
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt
import pandas as pd

from app.training.metrics import Metric
from app.training.problem import Problem, Rows, Target
from app.training.report.labels import readable
from app.training.report.rows import Answered, every_so_many
from app.training.split import take_rows

SHOWN = 20
_ROWS = 1000
_REPEATS = 5
_NOTHING = 1e-9
_SECONDS = 3.0


def permute(  # noqa: PLR0913  # the last two by name
    model: Any, answered: Answered, problem: Problem, metric: Metric, *, seed: int, seconds: float = _SECONDS
) -> dict[str, Any]:
    """Return the raw columns that matter most, with the mean and the standard deviation of what shuffling each costs.

    Permutation importance (Breiman, Random Forests, 2001) on at most 1,000 held-out rows, in units of the metric, in
    two rounds: each column is shuffled once, then the foremost ones several times more. Ends when `seconds` have
    passed, at least one column later; ``columns_left_off`` says how many were not tried.
    """
    chosen = every_so_many(len(answered.y), _ROWS)
    trial = _Trial(model, metric, take_rows(answered.X, chosen), answered.y[chosen], np.random.default_rng(seed))
    names = [name for name in problem.columns.names if name in problem.columns.kinds]
    # By chance, so that it is not the last columns that there may be no time for.
    names = [names[place] for place in trial.chance.permutation(len(names))]
    deadline = time.monotonic() + seconds
    first: dict[str, float] = {}
    # All cores take part, as in fitting.
    with joblib.parallel_config(backend="threading", n_jobs=-1):
        for name in names:
            if first and time.monotonic() > deadline:
                break
            first[name] = trial.cost(_place(answered.X, problem, name))
        foremost = sorted(first, key=lambda name: -first[name])[:SHOWN]
        costs: dict[str, list[float]] = {name: [] for name in foremost}
        for _ in range(_REPEATS):
            for name in foremost:
                if time.monotonic() <= deadline:
                    costs[name].append(trial.cost(_place(answered.X, problem, name)))
    columns = [_column(name, costs[name] or [first[name]]) for name in foremost]
    return {
        "metric": metric.name,
        "rows": len(chosen),
        "columns": sorted(columns, key=lambda column: -column["mean"]),
        "columns_left_off": len(names) - len(first),
    }


class _Trial:
    """Measures a model on rows of which one column was shuffled."""

    def __init__(self, model: Any, metric: Metric, X: Rows, y: Target, chance: np.random.Generator) -> None:
        self._model, self._metric, self._y, self.chance = model, metric, y, chance
        # A copy, since its columns are shuffled in place and put back.
        self._X: Any = X.copy()
        self._whole = metric.of(model, X, y)

    def cost(self, place: int) -> float:
        """Return how much worse the metric is where the column at `place` is shuffled."""
        order = self.chance.permutation(len(self._y))
        if isinstance(self._X, pd.DataFrame):
            X = self._X.copy(deep=False)
            X.isetitem(place, self._X.iloc[order, place].array)
            measured = self._metric.of(self._model, X, self._y)
        else:
            column: npt.NDArray[np.float64] = self._X[:, place].copy()
            if (column == column[0]).all():
                return 0.0
            self._X[:, place] = column[order]
            measured = self._metric.of(self._model, self._X, self._y)
            self._X[:, place] = column
        cost = self._whole - measured if self._metric.higher_is_better else measured - self._whole
        # What is only the arithmetic's last digits is nothing.
        return cost if abs(cost) > _NOTHING * abs(self._whole) else 0.0


def _place(X: Rows, problem: Problem, name: str) -> int:
    if isinstance(X, pd.DataFrame):
        return list(map(str, X.columns)).index(name)
    return problem.columns.names.index(name)


def _column(name: str, costs: list[float]) -> dict[str, Any]:
    return {
        "name": readable(name),
        "mean": float(np.mean(costs)),
        "std": float(np.std(costs)),
        "repeats": len(costs),
    }
