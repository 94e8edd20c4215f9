"""Trying candidates fold beside fold, and fitting them to all rows, in processes."""

from __future__ import annotations

from collections.abc import Iterator

import joblib
import numpy as np
import pytest

from app.training.candidates import Candidate
from app.training.columns import Columns
from app.training.problem import Problem
from app.training.selection.plan import Rung, Trial
from app.training.selection.trying import Order, Task, run_trial
from app.training.selection.workshop import Workshop
from app.training.split import Split, make_folds

TREE = Candidate("tree", {"max_depth": 3})
BROKEN = Candidate("tree", {"max_depth": -1})


@pytest.fixture(scope="module")
def task() -> Task:
    x = np.random.default_rng(0).normal(size=(90, 2))
    y = np.where(x[:, 0] * x[:, 1] > 0, "yes", "no")
    problem = Problem(x, y, "classification", "y", Columns(("a", "b"), {"a": "number", "b": "number"}))
    folds = make_folds(Split(x, x, y, y), "classification", 3, 0)
    return Task(problem, x, y, folds, [Rung(60, 1), Rung(60, 3)], "accuracy", 0)


@pytest.fixture(scope="module")
def workshop(task: Task) -> Iterator[Workshop]:
    with Workshop(task, Split(task.X, task.X, task.y, task.y), 2) as opened:
        yield opened


def test_folds_side_by_side_come_to_what_one_after_another_does(task: Task, workshop: Workshop) -> None:
    result = workshop.attempt(Trial(TREE, 1))
    assert result.state == "finished"
    assert result.scores == run_trial(task, Order(Trial(TREE, 1))).scores
    assert len(set(result.scores)) > 1
    assert result.seconds > 0


def test_folds_whose_scores_are_known_are_not_tried_again(workshop: Workshop) -> None:
    trials = [(Trial(TREE, 1), (0.25,)), (Trial(TREE, 0), ())]
    known, other = workshop.attempt_all(trials)
    assert known.scores[0] == 0.25
    assert (len(known.scores), len(other.scores)) == (3, 1)


def test_what_fails_fails_alone_and_says_why(workshop: Workshop) -> None:
    broken, sound = workshop.attempt_all([(Trial(BROKEN, 1), ()), (Trial(TREE, 1), ())])
    assert broken.state == "failed"
    assert "max_depth" in str(broken.why)
    assert sound.state == "finished"


def test_what_is_not_done_in_time_has_no_score(workshop: Workshop) -> None:
    (result,) = workshop.attempt_all([(Trial(TREE, 1), ())], patience=0.0)
    assert (result.state, result.scores, result.why) == ("failed", (), "not done after 0 s")


def test_a_finalist_is_fitted_to_all_rows(task: Task, workshop: Workshop) -> None:
    finalist = workshop.fit(workshop.attempt(Trial(TREE, 0)))
    assert finalist.fitted.why is None
    assert joblib.load(finalist.path).predict(task.X).shape == task.y.shape


def test_a_finalist_that_takes_longer_than_there_is_time_is_not_fitted(workshop: Workshop) -> None:
    finalist = workshop.fit(workshop.attempt(Trial(TREE, 0)), left=0.0)
    assert str(finalist.fitted.why).startswith("fitting on all rows would take some 0.")
    assert str(finalist.fitted.why).endswith("no time is left")
