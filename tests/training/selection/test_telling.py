"""What a search tells of its finalists."""

from __future__ import annotations

import numpy as np

from app.training.candidates import Candidate, spaces
from app.training.columns import Columns
from app.training.metrics import find_metric
from app.training.problem import Problem
from app.training.selection import Limits, Wish
from app.training.selection.finalists import measure
from app.training.selection.plan import Plan, Result, Rung, Trial
from app.training.selection.telling import tell
from app.training.selection.trying import Task
from app.training.selection.workshop import Workshop
from app.training.split import Split


def test_what_there_was_no_time_to_fit_costs_nothing_that_is_known() -> None:
    X, y = np.arange(20.0).reshape(-1, 1), np.tile(["no", "yes"], 10)
    problem = Problem(X, y, "classification", "y", Columns(("x",), {"x": "number"}))
    split, rungs = Split(X, X, y, y), [Rung(16, 1)]
    wish = Wish(find_metric("accuracy", "classification"), 1.0, None, 1, 0, Limits())
    result = Result(Trial(Candidate("logistic", {}), 0), (0.5,), 10.0)
    with Workshop(Task(problem, X, y, [], rungs, "accuracy", 0), split, 1) as workshop:
        finalist = measure(workshop.fit(result, left=1.0), X, problem, wish.limits)
    plan = Plan(spaces(problem, len(y), wish.metric), rungs, 1.0, 0)
    (told,) = tell(wish, rungs, plan, [finalist], finalist, "the budget is used up", 1.0)["finalists"]
    assert told["why_not"] == told["refused"] is not None
    assert {name for name, value in told.items() if value is None} == {
        *("latency_one_ms", "latency_many_ms", "size_mb", "memory_mb"),
        *("fit_seconds", "cpu_seconds", "energy_joules"),
    }
