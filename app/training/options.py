"""What one training is asked to do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from app.settings import MODEL_NAME
from app.training.errors import TrainingError
from app.training.problem import Task
from app.training.promotion import Rule

_LONGEST_NAME = 64


@dataclass(frozen=True)
class Options:
    """The options of ``scripts/train.py``; exactly one of `data` and `dataset` unless the recipe has its own.

    Attributes
    ----------
    test_size: the share of rows held out, above 0 and below 1.
    refit: whether to fit on all rows, the held-out ones too, once the metrics are known.
    report: whether to write the report that is kept with the version.
    store: the model store's folder.
    port: where the service listens, for the curl line.
    pca, epochs, schedule, penalty: for the recipes that take them; None is the recipe's own default.
    """

    store: Path
    data: Path | None = None
    dataset: str | None = None
    target: str | None = None
    drop: tuple[str, ...] = ()
    task: Task | None = None
    estimator: str | None = None
    recipe: str = "table"
    name: str | None = None
    seed: int = 42
    test_size: float = 0.2
    promote: Rule = "if-better"
    refit: bool = False
    report: bool = True
    port: int = 8000
    pca: int | None = None
    epochs: int | None = None
    schedule: str | None = None
    penalty: str | None = None


def choose_name(name: str | None, source: str) -> str:
    """Return the model's name: `name`, which must be legal, else one made of the source's.

    Raises
    ------
    TrainingError
        `name` is not legal.
    """
    if name is not None:
        if not MODEL_NAME.fullmatch(name):
            raise TrainingError(
                f"--name {name!r} cannot be a model's name; "
                "use up to 64 of a-z, 0-9, dot, hyphen and underscore, the first a letter or digit"
            )
        return name
    stem = source.removeprefix("openml:").split(".")[0].lower()
    made = re.sub(r"[^a-z0-9_-]+", "-", stem).strip("-_")[:_LONGEST_NAME]
    return made or "model"
