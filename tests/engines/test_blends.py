"""Votes by several pipelines: the mean of their forms' answers, for rows of numbers and for tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from app import store

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 4))
Y = np.where(X[:, 0] + X[:, 1] ** 2 > 0.5, "yes", "no")
FRAME = pd.DataFrame(X[:, :2], columns=["a", "b"]).assign(kind=RNG.choice(["u", "v"], 120)).astype({"kind": "str"})


def table_pipeline(final: Any) -> Any:
    columns = make_column_transformer((StandardScaler(), ["a", "b"]), (OneHotEncoder(sparse_output=False), ["kind"]))
    return make_pipeline(columns, final)


def forest() -> Any:
    return RandomForestClassifier(8, random_state=0)


CASES = {
    "numbers": (
        VotingClassifier(
            [
                ("a", make_pipeline(StandardScaler(), LogisticRegression())),
                ("b", forest()),
                ("c", HistGradientBoostingClassifier(max_iter=10, random_state=0)),
            ],
            voting="soft",
        ),
        X,
        Y,
    ),
    "weighted": (
        VotingClassifier([("a", LogisticRegression()), ("b", forest())], voting="soft", weights=[1, 3]),
        X,
        Y,
    ),
    "table": (
        VotingClassifier([("a", table_pipeline(LogisticRegression())), ("b", table_pipeline(forest()))], voting="soft"),
        FRAME,
        Y,
    ),
    "values": (
        VotingRegressor(
            [("a", make_pipeline(StandardScaler(), Ridge())), ("b", RandomForestRegressor(8, random_state=0))]
        ),
        X,
        X[:, 0] ** 2,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_vote_is_answered_by_its_members_forms(case: str, tmp_path: Any) -> None:
    estimator, rows, y = CASES[case]
    fitted = estimator.fit(rows, y)
    saved = store.save(fitted, rows, "m", root=tmp_path)
    record = store.load("m", saved.version, root=tmp_path).manifest.engine
    built = {told["name"] for told in record["candidates"] if told["built"] and told["method"] == "predict"}
    assert "blend" in built
    assert record["choice"]["predict"]["one"] == "blend"


def test_a_member_without_a_form_leaves_the_vote_to_scikit_learn(tmp_path: Any) -> None:
    vote = VotingClassifier([("a", LogisticRegression()), ("b", KNeighborsClassifier())], voting="soft").fit(X, Y)
    saved = store.save(vote, X, "m", root=tmp_path)
    assert store.load("m", saved.version, root=tmp_path).manifest.engine["choice"]["predict"]["one"] == "sklearn"


def test_a_vote_by_labels_is_no_mean(tmp_path: Any) -> None:
    vote = VotingClassifier([("a", LogisticRegression()), ("b", forest())], voting="hard").fit(X, Y)
    saved = store.save(vote, X, "m", root=tmp_path)
    assert store.load("m", saved.version, root=tmp_path).manifest.engine["choice"]["predict"]["one"] == "sklearn"
