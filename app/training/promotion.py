"""Whether a new version takes the place of the promoted one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from app.errors import StoreError
from app.store import LoadedModel, Manifest, ModelStore, load
from app.training.evaluation import HIGHER_IS_BETTER, MAIN_METRIC, Metrics, main_metric, row_losses
from app.training.problem import Problem, Rows
from app.training.split import Split

Rule = Literal["if-better", "always", "never"]

RESAMPLINGS = 2000
# A new version that is worse in a larger share of them is worse by more than chance: two-sided, 5 %.
CERTAIN = 0.975
_MOST_DRAWN = 4_000_000


@dataclass(frozen=True)
class Decision:
    """Whether to promote, and why, in words that end a sentence."""

    promote: bool
    reason: str


@dataclass(frozen=True)
class Challenger:
    """What is known of a newly trained model.

    Attributes
    ----------
    metrics, baseline: its metrics, and a baseline's, on the held-out rows.
    losses: what each held-out row adds to the main metric (``evaluation.row_losses``).
    """

    metrics: Metrics
    losses: npt.NDArray[np.float64]
    baseline: Metrics
    data: Mapping[str, Any]
    problem: Problem
    split: Split


def decide_promotion(rule: Rule, challenger: Challenger, *, name: str, store: Path) -> Decision:
    """Compare the new model with the promoted version of `name` on the same held-out rows.

    It takes over unless it is worse by more than chance. A promoted version that was refitted on all rows has seen
    the held-out ones; where the same rows were held out before that, the metric it had on them then is taken instead.
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
    if _refitted_on_these(manifest.data, challenger.data) and metric in manifest.metrics:
        better, verdict = _compared(metric, challenger.metrics[metric], manifest.metrics[metric], called)
        return Decision(better, verdict)
    try:
        rows = arrange_rows(split.X_test, problem, manifest)
        losses = row_losses(champion.estimator, rows, split.y_test, problem.task)
    except Exception as fault:  # whatever a stranger's estimator raises, the new version is not to fail
        reason = (str(fault).splitlines() or [type(fault).__name__])[0]
        return Decision(False, f"{called}, which is promoted, cannot be scored on these rows ({reason})")
    better, verdict = _compared(metric, challenger.metrics[metric], main_metric(losses, problem.task), called)
    if better:
        return Decision(True, verdict)
    share = _share_of_worse(challenger.losses - losses)
    told = f"so in {share:.1%} of {RESAMPLINGS:,} resamplings of them"
    if share > CERTAIN:
        return Decision(False, f"{verdict}, {told}")
    return Decision(True, f"{verdict}, which may be chance: {told}")


def _compared(metric: str, ours: float, theirs: float, called: str) -> tuple[bool, str]:
    """Return whether `ours` is at least as good, and that in words."""
    # The same rows counted right make the same number, however it was added up.
    equal = math.isclose(ours, theirs, rel_tol=1e-12)
    better = (ours > theirs) == HIGHER_IS_BETTER[metric]
    relation = "equal to" if equal else "better than" if better else "worse than"
    return better or equal, f"{metric} {ours:.4g} is {relation} {theirs:.4g} of {called} on the same held-out rows"


def _share_of_worse(apart: npt.NDArray[np.float64]) -> float:
    """Return in which share of resamplings the rows' losses, `apart` from the champion's, are higher on average.

    A paired bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993): rows are drawn anew, with
    what both models made of each.
    """
    from scipy.stats import bootstrap

    drawn = bootstrap(
        (apart,),
        np.mean,
        n_resamples=RESAMPLINGS,
        method="percentile",
        # So many resamplings at a time bound the memory.
        batch=max(1, _MOST_DRAWN // len(apart)),
        rng=np.random.default_rng(0),
    )
    return float((drawn.bootstrap_distribution > 0).mean())


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
    same = ["source", "sha256", "rows", "target", "split", "group", "time", "test_size"]
    # The seed decides who is held out only where rows are drawn.
    same += ["seed"] * (now.get("split") == "drawn")
    return bool(then.get("refitted")) and all(then.get(key) == now.get(key) for key in same)
