"""A new version takes over unless it is worse than the promoted one by more than chance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from app import store
from app.training.columns import Columns
from app.training.evaluation import Answers, Appraisal
from app.training.metrics import find_metric
from app.training.problem import Problem, Target, Task
from app.training.promotion import Challenger, decide_promotion
from app.training.split import Split

X = np.arange(1000.0).reshape(-1, 1)
COLUMNS = Columns(("0",), {"0": "number"})
HELD_OUT = 200


def challenger_of(answers: Answers, y: Target, task: Task, objective: str | None = None) -> Challenger:
    """A challenger that gives these answers for the first 200 rows."""
    metric = find_metric(objective, task)
    given = answers.of(metric)
    assert given is not None
    value = metric.from_answers(y[:HELD_OUT], given, answers.classes)
    split = Split(X[HELD_OUT:], X[:HELD_OUT], y[HELD_OUT:], y[:HELD_OUT])
    problem = Problem(X, y, task, "y", COLUMNS)
    return Challenger(metric, Appraisal({metric.name: value}, {}), answers, {}, problem, split)


@pytest.mark.parametrize(("wrong", "promotes"), [(3, True), (30, False)])
def test_a_version_that_is_worse_by_no_more_than_chance_is_promoted(root: Path, wrong: int, promotes: bool) -> None:
    y = X[:, 0].astype(int) % 2
    champion = KNeighborsClassifier(1).fit(X, y)
    store.save(champion, X, "m", root=root)
    # The champion knows every row; the challenger is wrong in some of the held-out ones.
    predicted = y[:HELD_OUT].copy()
    predicted[:wrong] = 1 - predicted[:wrong]
    challenger = challenger_of(Answers(predicted, classes=champion.classes_), y, "classification")
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
    answers = Answers(y[:HELD_OUT] + np.sqrt(noise[::-1] ** 2 + off))
    decision = decide_promotion("if-better", challenger_of(answers, y, "regression"), name="m", store=root)
    assert decision.promote is promotes


@pytest.mark.parametrize(("objective", "promotes"), [("accuracy", True), ("log_loss", False), ("roc_auc", True)])
def test_any_metric_may_be_what_versions_are_compared_by(root: Path, objective: str, promotes: bool) -> None:
    y = X[:, 0].astype(int) % 2
    champion = KNeighborsClassifier(1).fit(X, y)
    store.save(champion, X, "m", root=root, metrics={"main": "accuracy", "accuracy": 1.0})
    # As right in every row, and much less sure of it.
    likely = np.where(np.eye(2)[y[:HELD_OUT]] > 0, 0.6, 0.4)
    answers = Answers(y[:HELD_OUT], likely, classes=champion.classes_)
    decision = decide_promotion(
        "if-better", challenger_of(answers, y, "classification", objective), name="m", store=root
    )
    assert decision.promote is promotes
    assert decision.reason.startswith(f"{objective} ")


def test_a_champion_without_what_the_metric_needs_stays(root: Path) -> None:
    y = X[:, 0].astype(int) % 2
    store.save(RidgeClassifier().fit(X, y), X, "m", root=root)
    answers = Answers(y[:HELD_OUT], np.eye(2)[y[:HELD_OUT]], classes=np.array([0, 1]))
    ranked = challenger_of(answers, y, "classification", "roc_auc")
    assert decide_promotion("if-better", ranked, name="m", store=root).promote
    likely = challenger_of(answers, y, "classification", "log_loss")
    assert "this model gives none" in decide_promotion("if-better", likely, name="m", store=root).reason


def test_a_champion_that_does_not_know_a_class_stays(root: Path) -> None:
    y = X[:, 0].astype(int) % 3
    store.save(KNeighborsClassifier(1).fit(X, y % 2), X, "m", root=root)
    answers = Answers(y[:HELD_OUT], np.eye(3)[y[:HELD_OUT]], classes=np.array([0, 1, 2]))
    decision = decide_promotion("if-better", challenger_of(answers, y, "classification", "brier"), name="m", store=root)
    assert not decision.promote
    assert "it has no brier on them, which hold a class that it does not know" in decision.reason
