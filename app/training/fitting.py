"""Fitting, with every core and without a library's warnings running across the screen."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import joblib
from sklearn.base import clone

from app.training.errors import TrainingError
from app.training.options import Options
from app.training.preprocess import name_of
from app.training.problem import Rows, Target
from app.training.recipes.base import Recipe, Say


@dataclass(frozen=True)
class Fitter:
    """Fits models as a recipe says; `say` is told its progress and, one line each, the warnings, which it keeps."""

    recipe: Recipe
    options: Options
    say: Say
    warned: list[str] = field(default_factory=list)

    def fit(self, model: Any, X: Rows, y: Target) -> Any:
        """Return a fitted copy of `model`.

        All cores take part, by joblib's context: the model itself keeps ``n_jobs=None``, which is
        what a service wants.

        Raises
        ------
        TrainingError
            The estimator refuses the rows.
        """
        model = clone(model)
        with warnings.catch_warnings(record=True) as caught, joblib.parallel_config(backend="threading", n_jobs=-1):
            warnings.simplefilter("default")
            try:
                self.recipe.fit(model, X, y, self.options, self.say)
            except ValueError as fault:
                reason = (str(fault).splitlines() or [""])[0]
                raise TrainingError(f"{name_of(model)} cannot be fitted to these rows: {reason}") from fault
        for text in dict.fromkeys(str(warning.message).splitlines()[0] for warning in caught):
            self.say(f"warning: {text}")
            self.warned.append(text)
        return model
