"""The metrics' formulas, for rows that count any number of times.

Each is made once for a target and a model's answers, which sorts and groups them; then it takes how often each row
counts, for one number or for many resamplings of the rows at once. They give what scikit-learn's functions of the
same names give with those weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from app.training.problem import Target

Classes = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
# How often each of n rows counts in each of b resamplings, shape (n, b), to the metric of each, shape (b,).
Formula = Callable[[Floats], Floats]
# Makes the formula from the target, the model's answers, and the classes in the order of the answers' columns.
Maker = Callable[[Target, npt.NDArray[Any], Classes | None], Formula]
_BINARY = 2


def mean(values: npt.NDArray[Any]) -> Formula:
    """Make the mean of one value for each row."""
    row = np.asarray(values, dtype=np.float64)
    return lambda weights: row @ weights / weights.sum(axis=0)


def _undefined(weights: Floats) -> Floats:
    return np.full(weights.shape[1], np.nan)


def _sums(group: npt.NDArray[np.intp], count: int, where: npt.NDArray[np.bool_] | None = None) -> Formula:
    """Make the sums of the weights by group, shape (count, b), of the rows `where` it is so."""
    from scipy import sparse

    ones = np.ones(len(group)) if where is None else where.astype(np.float64)
    matrix = sparse.csc_array((ones, group, np.arange(len(group) + 1)), shape=(count, len(group))).tocsr()
    return lambda weights: np.asarray(matrix @ weights)


# What is labelled rightly


def label_tallies(y: Target, predicted: Target) -> tuple[list[Any], Callable[[Floats], tuple[Floats, Floats, Floats]]]:
    """Return the labels, and what counts by label, shape (k, b): rows labelled rightly, of it, and said to be of it."""
    # As objects, so that the number 1 and the word "1" differ.
    codes, labels = pd.factorize(np.concatenate([y.astype(object), predicted.astype(object)]))
    of, said = codes[: len(y)], codes[len(y) :]
    parts = _sums(of, len(labels), of == said), _sums(of, len(labels)), _sums(said, len(labels))
    return list(labels), lambda weights: (parts[0](weights), parts[1](weights), parts[2](weights))


def mean_over_labels(score: Callable[[Floats, Floats, Floats], Floats], *, every: bool) -> Maker:
    """Make the mean over labels of a score; over `every` label that is there or said to be, else over those there."""

    def formula(y: Target, predicted: npt.NDArray[Any], classes: Classes | None) -> Formula:
        _, tallies = label_tallies(y, predicted)

        def at(weights: Floats) -> Floats:
            right, true, said = tallies(weights)
            counts = (true + said if every else true) > 0
            return np.asarray(
                np.where(counts, np.nan_to_num(score(right, true, said)), 0.0).sum(axis=0) / counts.sum(axis=0)
            )

        return at

    return formula


# What is ranked rightly


def one_vs_rest(rank: Callable[[Floats, Floats], Floats]) -> Maker:
    """Make the mean over classes of a measure of how high the class's rows rank; of two, the second class alone.

    `rank` is given, from the highest score down, how many rows of the class and how many others share a score.
    """

    def formula(y: Target, scores: npt.NDArray[Any], classes: Classes | None) -> Formula:
        if classes is None or not set(y.tolist()) <= set(classes.tolist()):
            return _undefined
        if scores.ndim == 1:
            columns = {classes[1]: scores}
        elif len(classes) == _BINARY:
            columns = {classes[1]: scores[:, 1]}
        else:
            columns = {label: scores[:, place] for place, label in enumerate(classes)}
        each = [_ranked(rank, y == label, column) for label, column in columns.items()]
        return lambda weights: np.mean([at(weights) for at in each], axis=0)

    return formula


def _ranked(rank: Callable[[Floats, Floats], Floats], is_one: npt.NDArray[np.bool_], scores: Floats) -> Formula:
    values, group = np.unique(-scores, return_inverse=True)
    ones, others = _sums(group, len(values), is_one), _sums(group, len(values), ~is_one)
    return lambda weights: rank(ones(weights), others(weights))


def area(ones: Floats, others: Floats) -> Floats:
    """Return the chance that a row of the class ranks above another, where a tie is half a win."""
    total = others.sum(axis=0)
    below = total - others.cumsum(axis=0) + others / 2
    return np.asarray((ones * below).sum(axis=0) / (ones.sum(axis=0) * total))


def average_precision(ones: Floats, others: Floats) -> Floats:
    """Return the mean precision at the rows of the class, each with those that rank as high or higher."""
    found = ones.cumsum(axis=0)
    precision = np.nan_to_num(found / (found + others.cumsum(axis=0)))
    return np.asarray((ones * precision).sum(axis=0) / ones.sum(axis=0))


# What is thought likely rightly


def mean_loss(loss: Callable[[Floats, npt.NDArray[np.intp]], Floats]) -> Maker:
    """Make the mean of a row's loss, given its probabilities and the place of its class."""

    def formula(y: Target, probabilities: npt.NDArray[Any], classes: Classes | None) -> Formula:
        places = {} if classes is None else {label: place for place, label in enumerate(classes.tolist())}
        if not set(y.tolist()) <= set(places):
            return _undefined
        return mean(loss(probabilities, np.array([places[label] for label in y.tolist()])))

    return formula


def log_loss(probabilities: Floats, places: npt.NDArray[np.intp]) -> Floats:
    """Return how unlikely each row's class was thought, as a natural logarithm; a probability of 0 is not quite 0."""
    tiny = np.finfo(probabilities.dtype).eps
    return np.asarray(-np.log(np.clip(probabilities[np.arange(len(places)), places], tiny, 1 - tiny)))


def brier(probabilities: Floats, places: npt.NDArray[np.intp]) -> Floats:
    """Return each row's squared distance from the truth, over both classes halved: from 0 to 1 for two."""
    apart = probabilities.copy()
    apart[np.arange(len(places)), places] -= 1.0
    loss = np.square(apart).sum(axis=1)
    return np.asarray(loss / 2 if probabilities.shape[1] == _BINARY else loss)


# Quantities


def mean_error(error: Callable[[Target, Target], Floats], root: bool = False) -> Maker:
    """Make the mean, or its root, of an error that each row has."""

    def formula(y: Target, predicted: npt.NDArray[Any], classes: Classes | None) -> Formula:
        errors = mean(error(y, predicted))
        return (lambda weights: np.sqrt(errors(weights))) if root else errors

    return formula


def r2(y: Target, predicted: npt.NDArray[Any], classes: Classes | None) -> Formula:
    """Make the share of the spread around the mean that is explained; undefined where there is no spread."""
    # Around the mean, so that large targets do not cancel one another out.
    y, predicted = y - y.mean(), predicted - y.mean()
    errors, squares, values = mean((y - predicted) ** 2), mean(y**2), mean(y)

    def at(weights: Floats) -> Floats:
        spread = squares(weights) - values(weights) ** 2
        return np.where(spread > 0, 1.0 - errors(weights) / spread, np.nan)

    return at


def relative_error(y: Target, predicted: Target) -> Floats:
    """Return each row's error as a share of its target; undefined where a target is 0."""
    return np.asarray(np.abs(y - predicted) / np.abs(y) if y.all() else np.full(len(y), np.nan))
