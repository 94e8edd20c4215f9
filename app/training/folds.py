"""What a model says of its own training rows, each asked of one that was fitted without it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from app.training.errors import TrainingError
from app.training.fitting import Fitter
from app.training.formulas import Classes, Floats
from app.training.preprocess import name_of
from app.training.problem import Target
from app.training.split import Split, make_folds, take_rows

FOLDS = 5


@dataclass(frozen=True)
class OutOfFold:
    """Answers for training rows by models that were fitted to the other folds.

    Attributes
    ----------
    y: the target of the rows that were asked about, shape (n,).
    fold: which fold a row is in, shape (n,).
    scores: what ``decision_function`` gives, or ``predict_proba`` where there is none, as
        CalibratedClassifierCV takes it; shape (n,) where that is of two classes, else (n, n_classes).
    probabilities: shape (n, n_classes); None where the model gives none.
    """

    y: Target
    fold: npt.NDArray[np.intp]
    scores: Floats
    probabilities: Floats | None
    classes: Classes


def count_folds(y: Target, wanted_by: str) -> int:
    """Return how many folds training rows are put into: five, or as many as the rarest class has rows.

    Raises
    ------
    TrainingError
        A class has one row only, so that no fold can do without it; `wanted_by` is the option to leave out.
    """
    labels, counts = np.unique(y, return_counts=True)
    if counts.min() < 2:  # noqa: PLR2004  # one to learn from, one to ask
        raise TrainingError(
            f"class {str(labels[counts.argmin()])!r} has one row to learn from, and {wanted_by} needs two; "
            f"add rows or leave {wanted_by} out"
        )
    return min(FOLDS, int(counts.min()))


def predict_out_of_fold(model: Any, fitter: Fitter, split: Split, n_folds: int) -> OutOfFold:
    """Fit `model` once for each fold of the training rows, to those of the others, and ask it the fold's.

    The folds keep groups together and, where rows have times, ask about later rows than were learnt from; the
    earliest are not asked about then.

    Raises
    ------
    TrainingError
        The estimator refuses the rows, gives labels alone, or cannot learn each class in each fold.
    """
    X, y = split.X_train, split.y_train
    labels = np.unique(y)
    quiet = replace(fitter, say=lambda line: None)
    scores, probabilities, places, fold = [], [], [], np.zeros(len(y), dtype=np.intp)
    for number, (train, test) in enumerate(make_folds(split, "classification", n_folds, fitter.options.seed)):
        if len(np.unique(y[train])) < len(labels):
            raise TrainingError(
                "--calibrate and --threshold learn from rows that a part of the others did not teach, and a class "
                "is in one such part alone; leave them out, or --group or --time"
            )
        fitted = quiet.fit(model, take_rows(X, train), y[train])
        rows = take_rows(X, test)
        fold[test] = number
        places.append(test)
        if hasattr(fitted, "predict_proba"):
            probabilities.append(np.asarray(fitted.predict_proba(rows), dtype=np.float64))
        if hasattr(fitted, "decision_function"):
            scores.append(np.asarray(fitted.decision_function(rows), dtype=np.float64))
    order = np.argsort(np.concatenate(places))
    likely = np.concatenate(probabilities)[order] if probabilities else None
    if scores:
        taken = np.concatenate(scores)[order]
    elif likely is not None:
        taken = likely[:, 1] if len(labels) == 2 else likely  # noqa: PLR2004  # of two, the second
    else:
        raise TrainingError(
            f"--calibrate and --threshold need probabilities or scores, and {name_of(model)} gives none; "
            "choose another --estimator"
        )
    asked = np.concatenate(places)[order]
    return OutOfFold(y[asked], fold[asked], taken, likely, labels)
