"""The plain road: any table, any estimator."""

from __future__ import annotations

from typing import Any

from app.training.estimators import default_name, find_family
from app.training.options import Options
from app.training.preprocess import build_pipeline
from app.training.problem import Problem
from app.training.recipes.base import Recipe


def build(problem: Problem, options: Options, n_rows: int) -> Any:
    """Return the pipeline around the estimator asked for, or one that suits the problem."""
    texts = problem.container == "texts"
    has_text = bool(problem.columns.of("text"))
    name = options.estimator or default_name(problem.task, n_rows, texts=has_text)
    return build_pipeline(problem, find_family(name, problem.task, texts=texts), options.seed)


TABLE = Recipe("table", "any table, any estimator (the default)", build, takes=frozenset({"estimator"}))
