"""Making a model smaller: tried on the folds that it was chosen by, and taken as long as it stays as good."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from app.training.candidates import BLEND, Candidate
from app.training.metrics import find_metric
from app.training.problem import Problem, frame_problem
from app.training.selection import Limits, Watcher, Wish
from app.training.selection.compression import Shrinking, shrink, steps_for
from app.training.selection.finalists import Finalist, measure
from app.training.selection.plan import Rung, Trial
from app.training.selection.trying import Task
from app.training.selection.workshop import Workshop
from app.training.split import Split, make_folds
from app.training.table import Table

WISH = Wish(find_metric("rmse", "regression"), None, 1, 1, 0, Limits())


class Listener(Watcher):
    """Keeps what was tried and why it was not taken."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []

    def shrunk(self, step: str, why_not: str) -> None:
        self.heard.append((step, why_not))


@pytest.fixture(scope="module")
def rows() -> tuple[Problem, Split]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    frame = pd.DataFrame(x, columns=["a", "b", "c"]).assign(y=1e6 * (x[:, 0] + np.sin(3 * x[:, 1])))
    problem = frame_problem(Table(frame, "made"), "y")
    return problem, Split(problem.X[:160], problem.X[160:], problem.y[:160], problem.y[160:])


@pytest.fixture(scope="module")
def workshop(rows: tuple[Problem, Split]) -> Iterator[Workshop]:
    problem, split = rows
    folds = make_folds(split, "regression", 2, 0)
    task = Task(problem, split.X_train, split.y_train, folds, [Rung(80, 2)], "rmse", 0)
    with Workshop(task, split, 1) as opened:
        yield opened


@pytest.fixture(scope="module")
def forest(rows: tuple[Problem, Split], workshop: Workshop) -> Finalist:
    candidate = Candidate("forest", {"n_estimators": 8})
    fitted = workshop.fit(workshop.attempt(Trial(candidate, 0)))
    return measure(fitted, rows[1].X_train, rows[0], WISH.limits)


def shrunk(
    finalist: Finalist, max_loss: float, rows: tuple[Problem, Split], workshop: Workshop
) -> tuple[Shrinking, Listener]:
    listener = Listener()
    return shrink(finalist, *rows, replace(WISH, max_loss=max_loss), workshop, listener), listener


def test_of_an_error_in_the_targets_unit_a_share_may_be_lost(
    forest: Finalist, rows: tuple[Problem, Split], workshop: Workshop
) -> None:
    """Half the trees cost thousands of units here, and some percent of an error of hundreds of thousands."""
    smaller, listener = shrunk(forest, 0.5, rows, workshop)
    assert smaller.finalist.candidate.settings["n_estimators"] < 8
    assert smaller.finalist.size < forest.size
    assert listener.heard[0] == ("half the trees", "")
    first = smaller.told[0]
    assert first["accepted"]
    assert first["metric_before"] == pytest.approx(-forest.score)
    assert first["size_after_mb"] < first["size_before_mb"]


def test_what_loses_more_is_not_taken_and_the_step_is_not_tried_again(
    forest: Finalist, rows: tuple[Problem, Split], workshop: Workshop
) -> None:
    smaller, listener = shrunk(forest, 0.0, rows, workshop)
    assert smaller.finalist.candidate.settings["n_estimators"] == 8
    title, why = listener.heard[0]
    assert title == "half the trees"
    assert why.startswith("rmse loses ")
    assert [heard[0] for heard in listener.heard].count(title) == 1


def test_of_a_blend_each_member_is_made_smaller(rows: tuple[Problem, Split]) -> None:
    linear, forest = Candidate("linear", {}), Candidate("forest", {"n_estimators": 8})
    blend = Candidate(BLEND, {}, (linear, forest))
    step = next(steps_for(blend, rows[0]))
    assert step.title == "forest: half the trees"
    assert step.of(blend) == Candidate(BLEND, {}, (linear, Candidate("forest", {"n_estimators": 4})))
    assert len(list(steps_for(blend, rows[0]))) == len(list(steps_for(forest, rows[0])))


def test_a_linear_model_has_nothing_to_compress(rows: tuple[Problem, Split]) -> None:
    assert list(steps_for(Candidate("linear", {}), rows[0])) == []
