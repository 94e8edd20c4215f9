"""The models that everybody serves: plain scikit-learn, fitted on data that is in its package or made here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, make_regression
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

ROWS = 1000
_PASSENGERS = 891


@dataclass(frozen=True)
class Case:
    """A fitted estimator with rows to ask it about: an array or a DataFrame."""

    name: str
    estimator: Any
    X: Any

    def save(self, folder: Path) -> tuple[Path, Path]:
        """Write the joblib file and the sample that registering takes; returns both paths."""
        folder.mkdir(parents=True, exist_ok=True)
        model = folder / f"{self.name}.joblib"
        joblib.dump(self.estimator, model)
        if isinstance(self.X, pd.DataFrame):
            sample = folder / f"{self.name}.csv"
            self.X.to_csv(sample, index=False)
        else:
            sample = folder / f"{self.name}.npy"
            np.save(sample, np.ascontiguousarray(self.X))
        return model, sample

    def rows(self, count: int) -> list[Any]:
        """Return so many rows as JSON values: lists, or records of a DataFrame."""
        if isinstance(self.X, pd.DataFrame):
            return list(self.X[:count].to_dict("records"))
        rows: list[Any] = self.X[:count].tolist()
        return rows


def cases(names: tuple[str, ...]) -> Iterator[Case]:
    """Fit the models named."""
    makers = {"linear": _linear, "forest": _forest, "hgb": _boosting, "mlp": _mlp, "table": _table}
    for name in names:
        estimator, X = makers[name]()
        yield Case(name, estimator, X[:ROWS])


def _linear() -> tuple[Any, Any]:
    X, y = load_diabetes(return_X_y=True)
    return LinearRegression().fit(X, y), X


def _forest() -> tuple[Any, Any]:
    X, y = load_breast_cancer(return_X_y=True)
    return RandomForestClassifier(100, random_state=0).fit(X, y), X


def _boosting() -> tuple[Any, Any]:
    X, y = make_regression(20_000, 20, noise=5, random_state=0)
    return HistGradientBoostingRegressor(max_iter=100, random_state=0).fit(X, y), X


def _mlp() -> tuple[Any, Any]:
    X, y = load_digits(return_X_y=True)
    return make_pipeline(StandardScaler(), MLPClassifier((128,), early_stopping=True, random_state=0)).fit(X, y), X


def _table() -> tuple[Any, Any]:
    """Passengers of a ship, made up: numbers and words through a ColumnTransformer into a forest."""
    chance = np.random.default_rng(0)
    passengers = pd.DataFrame(
        {
            "pclass": chance.integers(1, 4, _PASSENGERS),
            "age": chance.gamma(4, 8, _PASSENGERS).round(1),
            "sibsp": chance.poisson(0.5, _PASSENGERS),
            "fare": chance.lognormal(3, 1, _PASSENGERS).round(4),
            "sex": chance.choice(["male", "female"], _PASSENGERS),
            "embarked": chance.choice(["S", "C", "Q"], _PASSENGERS, p=[0.7, 0.2, 0.1]),
            "who": chance.choice(["man", "woman", "child"], _PASSENGERS),
        }
    )
    odds = (passengers["sex"] == "female") + 0.3 * (3 - passengers["pclass"]) + chance.normal(0, 0.4, _PASSENGERS)
    numbers, words = ["pclass", "age", "sibsp", "fare"], ["sex", "embarked", "who"]
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            (
                "words",
                make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")),
                words,
            ),
        ]
    )
    model = make_pipeline(columns, RandomForestClassifier(100, random_state=0)).fit(passengers, odds > odds.median())
    return model, passengers
