"""The search against FLAML: the same rows, seconds and metric; and what the chosen model costs to serve."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd

from app import store
from app.engines.choice import seconds
from app.store.golden import golden_batch
from app.training.data import read_table
from app.training.metrics import find_metric
from app.training.problem import Problem, Rows, drop_columns, frame_problem
from app.training.selection import Limits, Watcher, Wish, select
from app.training.split import Split, take_rows

_APP = Path(__file__).parent / "apps" / "flaml_app.py"
_TEST_SHARE = 0.2


@dataclass(frozen=True)
class Set:
    """A file, and what both are asked for; `shown` is the metric that held-out rows are scored by."""

    file: str
    target: str | None
    objective: str
    shown: str
    drop: tuple[str, ...] = ()


# FLAML's own objectives: the area under the ROC curve for two classes, log loss for more, R2 for numbers.
SETS = (
    Set("titanic.csv", "survived", "roc_auc", "roc_auc", ("alive",)),
    Set("penguins.csv", "species", "log_loss", "accuracy"),
    Set("diamonds.csv.gz", "price", "r2", "r2"),
    Set("sms_spam.tsv", None, "roc_auc", "roc_auc"),
)


@dataclass(frozen=True)
class Contest:
    """What both came to on one split: the metric on held-out rows, milliseconds for one row, the chosen kind."""

    name: str
    metric: str
    split: int
    ours: float
    theirs: float
    our_ms: float
    their_ms: float
    our_choice: str
    their_choice: str

    def __str__(self) -> str:
        return (
            f"{self.name} split {self.split}, {self.metric}: {self.ours:.4f} ({self.our_choice}, {self.our_ms:.3f} ms) "
            f"against {self.theirs:.4f} ({self.their_choice}, {self.their_ms:.3f} ms)"
        )


def contests(folder: Path, environments: Path, budget: float, splits: int, names: tuple[str, ...]) -> Iterator[Contest]:
    """Yield a contest for each file and split; `environments` holds FLAML's virtual environment, ``flaml``."""
    for chosen in SETS:
        if names and chosen.file.split(".")[0] not in names:
            continue
        table = read_table(folder / chosen.file)
        table = drop_columns(table, chosen.drop) if chosen.drop else table
        problem = frame_problem(table, chosen.target, None)
        for number in range(splits):
            split = _divided(problem, number)
            with tempfile.TemporaryDirectory() as scratch:
                ours, our_ms, our_choice = _search(problem, split, chosen, budget, Path(scratch))
                rows = Path(scratch) / "rows.joblib"
                _write(rows, problem, split, chosen, budget)
                theirs, their_ms, their_choice = _flaml(environments / "flaml" / "bin" / "python", rows)
            yield Contest(
                chosen.file.split(".")[0],
                chosen.shown,
                number,
                ours,
                theirs,
                our_ms,
                their_ms,
                our_choice,
                their_choice,
            )


def _divided(problem: Problem, seed: int) -> Split:
    from sklearn.model_selection import train_test_split

    strata = problem.y if problem.task == "classification" else None
    rows = np.arange(len(problem.y))
    train, test = train_test_split(rows, test_size=_TEST_SHARE, random_state=seed, stratify=strata)
    return Split(take_rows(problem.X, train), take_rows(problem.X, test), problem.y[train], problem.y[test])


def _search(problem: Problem, split: Split, chosen: Set, budget: float, scratch: Path) -> tuple[float, float, str]:
    wish = Wish(find_metric(chosen.objective, problem.task), budget, None, os.cpu_count() or 1, 0, Limits())
    found = select(problem, split, wish, folder=scratch / "store" / "m", about={}, watcher=Watcher())
    value = find_metric(chosen.shown, problem.task).of(found.model, split.X_test, split.y_test)
    saved = store.save(
        found.model, split.X_train[:500], "m", root=scratch / "store", feature_names=problem.feature_names
    )
    loaded = store.load("m", saved.version, root=scratch / "store")
    batch = golden_batch(loaded.signature, loaded.manifest.golden.rows[:1])
    taken = seconds(lambda: loaded.engine.run(batch, "predict"))
    return value, taken * 1e3, found.candidate.family


def _write(path: Path, problem: Problem, split: Split, chosen: Set, budget: float) -> None:
    """Write the rows and what is asked, for FLAML."""
    X_train, X_test = _as_plain(split.X_train), _as_plain(split.X_test)
    rows = {"X_train": X_train, "y_train": split.y_train, "X_test": X_test, "y_test": split.y_test}
    joblib.dump({**rows, "task": problem.task, "budget": budget, "metric": chosen.shown}, path)


def _flaml(python: Path, rows: Path) -> tuple[float, float, str]:
    done = subprocess.run(
        [str(python), str(_APP), str(rows)],
        # It may use every core, as the search does, and wait as its libraries would.
        env={name: value for name, value in os.environ.items() if not name.endswith(("_NUM_THREADS", "_SPINCOUNT"))},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"FLAML failed: {done.stderr[-2000:]}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told["value"], told["ms"], told["choice"]


def _as_plain(X: Rows) -> Any:
    """Return a frame as arrays by name: FLAML's environment has no pyarrow to read its strings with."""
    if not isinstance(X, pd.DataFrame):
        return X
    return {
        str(name): X[name].to_numpy(dtype=object if pd.api.types.is_string_dtype(X[name].dtype) else None) for name in X
    }
