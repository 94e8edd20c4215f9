"""Boosting that stops early learns the same from rows that are set aside for it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import accuracy_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

from app.training.stopping import fit_setting_aside, stops_early

N = 13_000


def pipeline(**options: object) -> Pipeline:
    columns = ColumnTransformer([("codes", OrdinalEncoder(), ["city"]), ("numbers", "passthrough", ["x"])])
    boosting = HistGradientBoostingClassifier(max_iter=200, categorical_features=[0], random_state=0)
    return Pipeline([("columns", columns), ("model", boosting.set_params(**options))])


def test_boosting_stops_as_early_and_is_as_good_as_by_itself() -> None:
    chance = np.random.default_rng(0)
    X = pd.DataFrame({"x": chance.normal(size=N), "city": chance.choice(["Köln", "Bonn"], N)})
    y = np.where(X["x"] + (X["city"] == "Bonn") + chance.normal(size=N) > 0, "yes", "no").astype(object)
    itself, ours = pipeline(), pipeline()
    itself.fit(X[: N - 1000], y[: N - 1000])
    fit_setting_aside(ours, X[: N - 1000], y[: N - 1000])
    scores = [accuracy_score(y[-1000:], model.predict(X[-1000:])) for model in (itself, ours)]
    assert abs(scores[0] - scores[1]) < 0.02
    assert ours[-1].n_iter_ < 200
    assert ours[-1].validation_score_.shape == (ours[-1].n_iter_ + 1,)
    assert list(ours.classes_) == ["no", "yes"]


def test_only_boosting_of_many_prepared_rows_sets_some_aside() -> None:
    assert stops_early(pipeline(), N)
    assert not stops_early(pipeline(), 11_000)
    assert stops_early(pipeline(early_stopping=True), 1000)
    assert not stops_early(pipeline(early_stopping=False), N)
    assert not stops_early(pipeline()[-1:], N)
