"""Whether a new version takes the place of the promoted one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from app.errors import StoreError
from app.store import LoadedModel, Manifest, ModelStore, load
from app.training.errors import first_line
from app.training.evaluation import Answers, Appraisal
from app.training.intervals import share_of_worse
from app.training.metrics import Metric
from app.training.problem import Problem, Rows
from app.training.seen import all_alike, find_unseen
from app.training.split import Split, take_rows

Rule = Literal["if-better", "always", "never"]

RESAMPLINGS = 2000
# A new version that is worse in a larger share of them is worse by more than chance: two-sided, 5 %.
CERTAIN = 0.975
# With fewer rows that the promoted version has not learnt from, a comparison on them says little.
ENOUGH = 50


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
    metric: what models are compared by.
    answers: what it says of the held-out rows.
    """

    metric: Metric
    appraisal: Appraisal
    answers: Answers
    data: Mapping[str, Any]
    problem: Problem
    split: Split


def decide_promotion(rule: Rule, challenger: Challenger, *, name: str, store: Path) -> Decision:
    """Compare the new model with the promoted version of `name` on the same held-out rows.

    It takes over unless it is worse by more than chance. Only rows that the promoted version has not learnt from
    count. Where there are too few of these (it was refitted on all rows, or they were divided otherwise), it is the
    metric that it had on its own held-out rows that the new one is compared with.
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
    """Compare by the challenger's metric; whatever the champion raises speaks against promoting."""
    problem, y = challenger.problem, challenger.split.y_test
    metric, manifest = challenger.metric, champion.manifest
    try:
        unseen = find_unseen(manifest.data, challenger.data, problem.held_out_marks(len(y)))
        rows = arrange_rows(challenger.split.X_test, problem, manifest)
        if unseen is not None and not unseen.all():
            if unseen.sum() < ENOUGH:
                return _compare_with_record(metric, manifest, called, challenger)
            rows, y = take_rows(rows, np.flatnonzero(unseen)), y[unseen]
        classes = getattr(champion.estimator, "classes_", None)
        theirs = metric.answers(champion.estimator, rows)
        its_value = metric.from_answers(y, theirs, classes)
        if math.isnan(its_value):
            raise ValueError(f"it has no {metric.name} on them, which hold a class that it does not know")
    except Exception as fault:  # whatever a stranger's estimator raises, the new version is not to fail
        reason = first_line(fault)
        return Decision(False, f"{called}, which is promoted, cannot be scored on these rows ({reason})")
    ours = challenger.answers.of(metric)
    assert ours is not None  # noqa: S101  # it has a value
    value, where = challenger.appraisal.metrics[metric.name], "the same held-out rows"
    if len(y) < len(ours):
        where = f"the {len(y):,} of {len(ours):,} held-out rows that it has not learnt from"
        ours = ours[unseen]
        value = metric.from_answers(y, ours, challenger.answers.classes)
    better, verdict = _compared(metric, value, its_value, f"{called} on {where}")
    if better:
        return Decision(True, verdict)
    formulas = metric.over(y, ours, challenger.answers.classes), metric.over(y, theirs, classes)
    share, drawn = share_of_worse(metric, *formulas, len(y), RESAMPLINGS)
    told = f"so in {share:.1%} of {drawn:,} resamplings of them"
    if share > CERTAIN:
        return Decision(False, f"{verdict}, {told}")
    return Decision(True, f"{verdict}, which may be chance: {told}")


def _compare_with_record(metric: Metric, manifest: Manifest, called: str, challenger: Challenger) -> Decision:
    """Compare with what the champion scored when it was trained, as it may have learnt from the rows held out now."""
    if not _is_the_same(metric, manifest.metrics, challenger):
        told = f"{called}, which is promoted, may have learnt from the rows that are held out now, and "
        return Decision(False, f"{told}has no {metric.name} on others to compare with")
    value, theirs = challenger.appraisal.metrics[metric.name], manifest.metrics[metric.name]
    same = all_alike(manifest.data, challenger.data)
    where = "the same held-out rows" if same else "its own held-out rows; of these here it may have learnt"
    better, verdict = _compared(metric, value, theirs, f"{called} on {where}")
    if better or same:
        return Decision(better, verdict)
    within = challenger.appraisal.intervals.get(metric.name, (value, value))
    reach = within[1] if metric.higher_is_better else within[0]
    if metric.better(reach, theirs):
        return Decision(True, f"{verdict}, which may be chance: it lies between {within[0]:.4g} and {within[1]:.4g}")
    return Decision(False, verdict)


def _compared(metric: Metric, ours: float, theirs: float, called: str) -> tuple[bool, str]:
    """Return whether `ours` is at least as good, and that in words."""
    # The same rows counted right make the same number, however it was added up.
    equal = math.isclose(ours, theirs, rel_tol=1e-12)
    better = metric.better(ours, theirs)
    relation = "equal to" if equal else "better than" if better else "worse than"
    return better or equal, f"{metric.name} {ours:.4g} is {relation} {theirs:.4g} of {called}"


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


def _is_the_same(metric: Metric, metrics: Mapping[str, Any], challenger: Challenger) -> bool:
    """Tell whether a manifest's metric of this name was computed as the challenger's; costs may differ."""
    if metric.name not in metrics:
        return False
    ours, theirs = challenger.appraisal.threshold or {}, metrics.get("threshold") or {}
    return metric.name != "cost" or all(ours.get(key) == theirs.get(key) for key in ("costs", "positive"))
