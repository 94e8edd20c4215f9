"""Label and text: TF-IDF of words and pairs of words, and a linear classifier."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pandas as pd
from pandas.api import types

from app.training.errors import TrainingError
from app.training.estimators import find_family
from app.training.options import Options
from app.training.preprocess import build_pipeline
from app.training.problem import Problem
from app.training.recipes.base import Recipe
from app.training.table import Table

_LABELS = ("label", "target", "y", "class", "category")
_TEXTS = ("text", "message", "sentence", "review", "content", "body", "sms")


def prepare(table: Table, target: str | None) -> tuple[Table, str | None]:
    """Keep the column of texts and the label: by their names, else the longest strings and the fewest values."""
    frame = table.frame
    lengths = {
        str(name): frame[name].str.len().mean()
        for name in frame
        if types.is_string_dtype(frame[name].dtype) and str(name) != target
    }
    if not lengths:
        raise TrainingError(f"{table.source}: the recipe text needs a column of texts, and there is none")
    named = [name for name in lengths if name.lower() in _TEXTS]
    text = named[0] if named else max(lengths, key=lambda name: lengths[name])
    label = target if target is not None else _find_label(frame, text)
    kept = frame[[label, text]] if label in frame else frame
    return replace(table, frame=kept, target=None), label


def _find_label(frame: pd.DataFrame, text: str) -> str:
    others = [str(name) for name in frame if str(name) != text]
    named = [name for name in others if name.lower() in _LABELS]
    return named[0] if named else min(others, key=lambda name: _distinct(frame[name]))


def _distinct(column: Any) -> float:
    """Return how many values a column has; one that is all missing comes last."""
    count: int = column.nunique()
    return count if count else math.inf


def build(problem: Problem, options: Options, n_rows: int) -> Any:
    """Return TF-IDF and the logistic regression for texts."""
    return build_pipeline(problem, find_family("logistic", problem.task, texts=True), options.seed)


TEXT = Recipe(
    "text",
    "label and text, with a header or without: TF-IDF and a linear classifier; prints F1 of each class",
    build,
    prepare=prepare,
    task="classification",
    container="texts",
)
