"""Whether a new version takes the place of the promoted one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from app.errors import StoreError
from app.store import LoadedModel, Manifest, ModelStore, load
from app.training.evaluation import HIGHER_IS_BETTER, MAIN_METRIC, Metrics, score
from app.training.problem import Problem, Rows
from app.training.split import Split

Rule = Literal["if-better", "always", "never"]


@dataclass(frozen=True)
class Decision:
    """Whether to promote, and why, in words that end a sentence."""

    promote: bool
    reason: str


@dataclass(frozen=True)
class Challenger:
    """What is known of a newly trained model: its metrics and a baseline's on the held-out rows, and its data."""

    metrics: Metrics
    baseline: Metrics
    data: Mapping[str, Any]
    problem: Problem
    split: Split


def decide_promotion(rule: Rule, challenger: Challenger, *, name: str, store: Path) -> Decision:
    """Compare the new model with the promoted version of `name` on the same held-out rows; a tie promotes.

    A promoted version that was refitted on all rows has seen the held-out ones; where the same rows
    were held out before that, the metric it had on them then is taken instead.
    """
    if rule == "always":
        return Decision(True, "as asked")
    if rule == "never":
        return Decision(False, "as asked")
    try:
        promoted = ModelStore(store).promoted(name)
        if promoted is None:
            return Decision(True, "the first version")
        champion = load(name, promoted, root=store)
    except StoreError as fault:
        return Decision(False, f"the promoted version cannot be loaded to compare with ({fault})")
    return compare(champion, f"version {promoted}", challenger)


def compare(champion: LoadedModel, called: str, challenger: Challenger) -> Decision:
    """Compare by the task's main metric; whatever the champion raises speaks against promoting."""
    problem, split = challenger.problem, challenger.split
    metric = MAIN_METRIC[problem.task]
    manifest = champion.manifest
    theirs = manifest.metrics.get(metric) if _refitted_on_these(manifest.data, challenger.data) else None
    if theirs is None:
        try:
            rows = arrange_rows(split.X_test, problem, manifest)
            theirs = score(champion.estimator, rows, split.y_test, problem.task)
        except Exception as fault:  # whatever a stranger's estimator raises, the new version is not to fail
            reason = (str(fault).splitlines() or [type(fault).__name__])[0]
            return Decision(False, f"{called}, which is promoted, cannot be scored on these rows ({reason})")
    ours = challenger.metrics[metric]
    higher = HIGHER_IS_BETTER[metric]
    better, equal = (ours > theirs) == higher, ours == theirs
    relation = "equal to" if equal else "better than" if better else "worse than"
    verdict = f"{metric} {ours:.4g} is {relation} {theirs:.4g} of {called} on the same held-out rows"
    return Decision(better or equal, verdict)


def arrange_rows(X: Rows, problem: Problem, manifest: Manifest) -> Rows:
    """Return the held-out rows in the container and with the columns that the manifest's model takes.

    Raises
    ------
    ValueError
        They are of another task, container or width, or lack a column.
    """
    if manifest.task not in (problem.task, "text-classification"):
        raise ValueError(f"it is for {manifest.task}, and this one for {problem.task}")
    wanted = manifest.signature
    if wanted.container == "texts" or problem.container == "texts":
        if wanted.container != problem.container:
            raise ValueError(f"it takes {wanted.container}, and this one {problem.container}")
        return X
    names = problem.columns.names
    by_position = set(wanted.names) != set(names) and problem.feature_names is None and problem.container == "array"
    if by_position and len(wanted.names) != len(names):
        raise ValueError(f"it takes {len(wanted.names)} columns, and these rows have {len(names)}")
    missing = [] if by_position else [column.name for column in wanted.required if column.name not in names]
    if missing:
        raise ValueError(f"it takes the column {missing[0]!r}, which these rows do not have")
    frame = X if isinstance(X, pd.DataFrame) else pd.DataFrame(X, columns=list(wanted.names if by_position else names))
    frame = frame.reindex(columns=list(wanted.names))
    return frame if wanted.container == "frame" else np.ascontiguousarray(frame.to_numpy(dtype=wanted.inputs[0].dtype))


def _refitted_on_these(then: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    same = ("source", "sha256", "rows", "target", "seed", "test_size")
    return bool(then.get("refitted")) and all(then.get(key) == now.get(key) for key in same)
