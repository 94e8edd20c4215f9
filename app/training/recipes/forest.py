"""A random forest on the logarithms of numbers: drop rows with missing values, log(x + 1), 80/20."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from app.training.errors import TrainingError
from app.training.options import Options
from app.training.problem import Problem, drop_rows
from app.training.recipes.base import Recipe
from app.training.table import Table


def prepare(table: Table, target: str | None) -> tuple[Table, str | None]:
    """Leave out the rows with missing values, and say how many they were."""
    missing = table.frame.isna().any(axis=1).to_numpy()
    if missing.all():
        raise TrainingError(f"{table.source}: every row has a missing value, and the recipe forest drops such rows")
    if not missing.any():
        return table, target
    note = f"{int(missing.sum())} of {len(missing)} rows have missing values: left out"
    return replace(drop_rows(table, missing), notes=(*table.notes, note)), target


def build(problem: Problem, options: Options, n_rows: int) -> Any:
    """Return log(x + 1), PCA if asked for, and RandomForestClassifier."""
    from sklearn.decomposition import PCA
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer

    _check_logarithms(problem.array, problem)
    steps: list[tuple[str, Any]] = [("log", FunctionTransformer(np.log1p, feature_names_out="one-to-one"))]
    if options.pca is not None:
        most = min(n_rows, problem.array.shape[1])
        if options.pca > most:
            raise TrainingError(f"--pca {options.pca} is more than the {most} components that this data has")
        steps.append(("pca", PCA(n_components=options.pca, random_state=options.seed)))
    return Pipeline([*steps, ("model", RandomForestClassifier(random_state=options.seed))])


def _check_logarithms(X: Any, problem: Problem) -> None:
    rows, columns = np.nonzero(X <= -1)
    if rows.size:
        name = problem.columns.names[columns[0]]
        raise TrainingError(
            f"column {name!r} holds {X[rows[0], columns[0]]:g}, and log(x + 1) needs values above -1; "
            "--drop it, or train without the recipe"
        )


FOREST = Recipe(
    "forest",
    "numbers with a label: log(x + 1), RandomForestClassifier; --pca N puts PCA before it; prints accuracy",
    build,
    prepare=prepare,
    task="classification",
    container="array",
    drawn_split=True,
    takes=frozenset({"pca"}),
)
