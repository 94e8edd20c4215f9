"""How answers and truth go together: confusion, ROC, precision and recall, calibration, residuals."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from app.training.reference import spread
from app.training.report.labels import readable
from app.training.report.rows import Answered, every_so_many

_MOST_IN_A_MATRIX = 20
_MOST_CONFUSED = 15
_MOST_CURVES = 6
_POINTS = 150
_BINS = 10
_FEWEST_TO_CALIBRATE = 30
_PAIRS = 600
_BARS = 40
_BINARY = 2


def confusion(answered: Answered) -> dict[str, Any]:
    """Return how many rows of each class were taken for which, and the pairs that were confused most.

    Of many classes the matrix has those with the most mistakes, the others together in its last row and column.
    """
    from sklearn.metrics import confusion_matrix

    classes = answered.classes or []
    code = {label: place for place, label in enumerate(classes)}
    truth = np.array([code[label] for label in answered.y.tolist()])
    taken = np.array([code[label] for label in answered.predicted.tolist()])
    counts = confusion_matrix(truth, taken, labels=np.arange(len(classes)))
    names = [readable(label) for label in classes]
    wrong = counts - np.diag(np.diag(counts))
    worst = np.argsort(wrong, axis=None)[::-1][:_MOST_CONFUSED]
    pairs = [divmod(int(place), len(classes)) for place in worst if wrong.flat[place]]
    most_confused = [
        {"actual": names[row], "predicted": names[column], "rows": int(wrong[row, column])} for row, column in pairs
    ]
    told: dict[str, Any] = {"most_confused": most_confused, "n_classes": len(classes)}
    if len(classes) > _MOST_IN_A_MATRIX:
        kept = np.sort(np.argsort(wrong.sum(axis=0) + wrong.sum(axis=1), kind="stable")[::-1][: _MOST_IN_A_MATRIX - 1])
        counts = _together(counts, kept)
        names = [names[place] for place in kept] + [f"the {len(classes) - len(kept)} others"]
    return {"classes": names, "counts": counts.tolist()} | told


def _together(counts: npt.NDArray[Any], kept: npt.NDArray[np.intp]) -> npt.NDArray[Any]:
    """Return the matrix of the kept classes with one more row and column for all others."""
    place = np.full(len(counts), len(kept))
    place[kept] = np.arange(len(kept))
    smaller = np.zeros((len(kept) + 1, len(kept) + 1), dtype=counts.dtype)
    np.add.at(smaller, (place[:, None], place[None, :]), counts)
    return smaller


def of_probabilities(answered: Answered) -> list[dict[str, Any]]:
    """Return the curves of each class against the rest: ROC, precision and recall, calibration.

    Of two classes it is the second one's; of many, those that the model tells apart worst.
    """
    if answered.probabilities is None and answered.decisions is None:
        return []
    classes = answered.classes or []
    if answered.probabilities is None:
        columns = [(1, answered.decisions)]
    else:
        given = answered.probabilities
        places = [1] if given.shape[1] == _BINARY else range(given.shape[1])
        columns = [(place, given[:, place]) for place in places]
    found = []
    for place, scores in columns:
        actual = answered.y == classes[place]
        # A curve needs rows of the class and of others.
        if 0 < actual.sum() < len(actual):
            found.append(_of_class(readable(classes[place]), actual, scores, answered.probabilities is not None))
    found.sort(key=lambda curve: curve["roc_auc"])
    return found[:_MOST_CURVES]


def _of_class(label: str, actual: npt.NDArray[np.bool_], scores: Any, calibrated: bool) -> dict[str, Any]:
    from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

    fpr, tpr, _ = roc_curve(actual, scores)
    precision, recall, _ = precision_recall_curve(actual, scores, drop_intermediate=True)
    few, fewer = every_so_many(len(fpr), _POINTS), every_so_many(len(recall), _POINTS)
    told = {
        "class": label,
        "rows": int(actual.sum()),
        "share": float(actual.mean()),
        "roc_auc": float(roc_auc_score(actual, scores)),
        "average_precision": float(average_precision_score(actual, scores)),
        "roc": {"false_positive_rate": _short(fpr[few]), "true_positive_rate": _short(tpr[few])},
        "precision_recall": {"precision": _short(precision[fewer]), "recall": _short(recall[fewer])},
    }
    if calibrated and len(actual) >= _FEWEST_TO_CALIBRATE:
        told["calibration"] = _calibration(actual, scores)
    return told


def _calibration(actual: npt.NDArray[np.bool_], scores: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Return the mean predicted probability and the share that was so, in bins of as many rows each."""
    from sklearn.calibration import calibration_curve
    from sklearn.metrics import brier_score_loss

    bins = min(_BINS, max(2, len(actual) // 15))
    observed, predicted = calibration_curve(actual, scores, n_bins=bins, strategy="quantile")
    brier = brier_score_loss(actual, np.clip(scores, 0, 1))
    return {"predicted": _short(predicted), "observed": _short(observed), "brier": float(brier)}


def of_quantities(answered: Answered) -> dict[str, Any]:
    """Return a sample of pairs of actual and predicted values, and how the residuals are spread."""
    residuals = answered.y - answered.predicted
    chosen = every_so_many(len(residuals), _PAIRS)
    low, high = np.quantile(residuals, (0.005, 0.995))
    inside = residuals[(residuals >= low) & (residuals <= high)]
    counts, edges = np.histogram(inside, bins=min(_BARS, max(5, len(inside) // 5)))
    return {
        "actual": _short(answered.y[chosen]),
        "predicted": _short(answered.predicted[chosen]),
        "residuals": spread(residuals),
        # Without the outermost percent, which would press all others into one bar.
        "histogram": {"rows": counts.tolist(), "edges": _short(edges)},
    }


def _short(values: npt.NDArray[Any]) -> list[float]:
    return [float(f"{value:.5g}") for value in values]
