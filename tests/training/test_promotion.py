"""A new version takes over unless it is worse than the promoted one by more than chance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from app import store
from app.training.columns import Columns
from app.training.problem import Problem
from app.training.promotion import Challenger, decide_promotion
from app.training.split import Split

X = np.arange(1000.0).reshape(-1, 1)
COLUMNS = Columns(("0",), {"0": "number"})
HELD_OUT = 200


@pytest.mark.parametrize(("wrong", "promotes"), [(3, True), (30, False)])
def test_a_version_that_is_worse_by_no_more_than_chance_is_promoted(root: Path, wrong: int, promotes: bool) -> None:
    y = X[:, 0].astype(int) % 2
    champion = KNeighborsClassifier(1).fit(X, y)
    store.save(champion, X, "m", root=root)
    # The champion knows every row; the challenger is wrong in some of the held-out ones.
    losses = np.zeros(200)
    losses[:wrong] = 1.0
    problem = Problem(X, y, "classification", "y", COLUMNS)
    challenger = Challenger(
        {"accuracy": 1 - wrong / 200}, losses, {}, {}, problem, Split(X[200:], X[:200], y[200:], y[:200])
    )
    decision = decide_promotion("if-better", challenger, name="m", store=root)
    assert decision.promote is promotes
    assert ("which may be chance" in decision.reason) is promotes


@pytest.mark.parametrize(("off", "promotes"), [(0.1, True), (1.0, False)])
def test_quantities_are_compared_by_their_squared_errors(root: Path, off: float, promotes: bool) -> None:
    y = X[:, 0] * 2
    noise = np.random.default_rng(0).normal(size=HELD_OUT)
    # Fitted on a column, it answers with a column, which is a vector all the same.
    champion = KNeighborsRegressor(1).fit(X, (y + np.concatenate([noise, np.zeros(800)])).reshape(-1, 1))
    store.save(champion, X, "m", root=root)
    # As far off as the champion in other rows, or further off in all.
    losses = noise[::-1] ** 2 + off
    problem = Problem(X, y, "regression", "y", COLUMNS)
    split = Split(X[HELD_OUT:], X[:HELD_OUT], y[HELD_OUT:], y[:HELD_OUT])
    decision = decide_promotion(
        "if-better",
        Challenger({"rmse": float(np.sqrt(losses.mean()))}, losses, {}, {}, problem, split),
        name="m",
        store=root,
    )
    assert decision.promote is promotes
