"""What one training is asked to do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

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
    separator, encoding, decimal: how the file of text is written; None is found by looking.
    group, time: the columns that say which rows belong together, and which came later.
    refit: whether to fit on all rows, the held-out ones too, once the metrics are known.
    report: whether to write the report that is kept with the version.
    store: the model store's folder.
    port: where the service listens, for the curl line.
    objective: the metric models are compared by; None is what `threshold` is chosen by, else the task's own default.
    calibrate: how probabilities are calibrated; None leaves them as they are.
    threshold: what the threshold between two classes is chosen by: costs as ``5:1``, ``f1`` or ``balanced``.
    positive: the class that `threshold` looks for, as it is written; None is the rarer.
    balance: whether classes weigh the same in fitting, however many rows each has.
    pca, epochs, schedule, penalty: for the recipes that take them; None is the recipe's own default.
    search: whether to choose among many candidates; what follows is for searches.
    budget: seconds that a search may take; None with `trials` is no limit.
    trials: how many candidates are tried, whatever time that takes.
    jobs: processes that try candidates side by side; None takes every core.
    resume: whether to go on with a search that was interrupted.
    max_latency_ms, max_size_mb: the most that one row may take, and the file.
    compress, max_loss: whether to make the chosen model smaller, and what of the metric that may cost; of an error
        without a bound as a share.
    """

    store: Path
    data: Path | None = None
    dataset: str | None = None
    target: str | None = None
    drop: tuple[str, ...] = ()
    task: Task | None = None
    separator: str | None = None
    encoding: str | None = None
    decimal: str | None = None
    group: str | None = None
    time: str | None = None
    estimator: str | None = None
    recipe: str = "table"
    name: str | None = None
    seed: int = 42
    test_size: float = 0.2
    promote: Rule = "if-better"
    refit: bool = False
    report: bool = True
    port: int = 8000
    objective: str | None = None
    calibrate: Literal["auto", "isotonic", "sigmoid"] | None = None
    threshold: str | None = None
    positive: str | None = None
    balance: bool = False
    pca: int | None = None
    epochs: int | None = None
    schedule: str | None = None
    penalty: str | None = None
    search: bool = False
    budget: float | None = None
    trials: int | None = None
    jobs: int | None = None
    resume: bool = False
    max_latency_ms: float | None = None
    max_size_mb: float | None = None
    compress: bool = False
    max_loss: float = 0.005


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
