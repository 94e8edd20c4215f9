"""What a recipe is: the stages that differ from the plain road."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.training.balance import row_weights
from app.training.errors import TrainingError
from app.training.options import Options
from app.training.problem import Container, Problem, Rows, Target, Task
from app.training.stopping import fit_setting_aside, stops_early
from app.training.table import Table

# Told one line of progress.
Say = Callable[[str], None]


def keep_table(table: Table, target: str | None) -> tuple[Table, str | None]:
    """Train on the table as it was read."""
    return table, target


def fit_at_once(model: Any, X: Rows, y: Target, options: Options, say: Say) -> None:
    """Fit with one call, or what comes to the same and takes less memory."""
    weights = row_weights(model, y, options)
    if stops_early(model, len(y)) and not weights:
        fit_setting_aside(model, X, y)
    else:
        final = model.steps[-1][0] if hasattr(model, "steps") else ""
        model.fit(X, y, **{f"{final}__{name}": values for name, values in weights.items()})


@dataclass(frozen=True)
class Recipe:
    """A known service done properly.

    Attributes
    ----------
    summary: one line for the help.
    build: makes the unfitted pipeline for a problem; told how many rows it will learn from.
    prepare: may leave rows or columns of the table out and choose the target.
    fit: fits the pipeline in place.
    task: the only task it does; None does any.
    container: the only container it takes; None takes any.
    drawn_split: whether rows are held out as the textbooks do, by chance with the seed, not by their content.
    dataset: what it trains on where no data is given; None needs data.
    takes: the names of the options in :class:`Options` that are its own.
    """

    name: str
    summary: str
    build: Callable[[Problem, Options, int], Any]
    prepare: Callable[[Table, str | None], tuple[Table, str | None]] = keep_table
    fit: Callable[[Any, Rows, Target, Options, Say], None] = fit_at_once
    task: Task | None = None
    container: Container | None = None
    drawn_split: bool = False
    dataset: str | None = None
    takes: frozenset[str] = frozenset()


def check_problem(recipe: Recipe, problem: Problem) -> None:
    """Refuse a problem that the recipe is not for.

    Raises
    ------
    TrainingError
        Another container than the recipe's.
    """
    if recipe.container in (None, problem.container):
        return
    others = [(name, kind) for name, kind in problem.columns.kinds.items() if kind != "number"]
    found = f"column {others[0][0]!r} holds another kind ({others[0][1]})" if others else "there are no others"
    raise TrainingError(f"the recipe {recipe.name} takes numbers only: {found}; --drop it, or train without the recipe")
