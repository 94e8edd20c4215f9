"""Linear regression on numbers: the last column is y, 80/20 with seed 42, least squares."""

from __future__ import annotations

from typing import Any

from app.training.errors import TrainingError
from app.training.options import Options
from app.training.problem import Problem
from app.training.recipes.base import Recipe
from app.training.table import Table


def prepare(table: Table, target: str | None) -> tuple[Table, str | None]:
    """Take the last column for the target, and refuse missing values: least squares has no answer to them."""
    missing = table.frame.isna().to_numpy()
    if missing.any():
        row, column = divmod(int(missing.argmax()), missing.shape[1])
        raise TrainingError(
            f"{table.source}: row {row + 1}, column {table.frame.columns[column]!r} has no value; "
            "fill it in, or train without the recipe, which fills in the median"
        )
    return table, target or str(table.frame.columns[-1])


def build(problem: Problem, options: Options, n_rows: int) -> Any:
    """Return LinearRegression in a pipeline of its own."""
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import Pipeline

    return Pipeline([("model", LinearRegression())])


LINEAR = Recipe(
    "linear",
    "numbers without a header, the last column is y: LinearRegression; prints MSE",
    build,
    prepare=prepare,
    task="regression",
    container="array",
    drawn_split=True,
)
