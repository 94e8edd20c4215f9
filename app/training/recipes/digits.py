"""Handwritten digits: pixels scaled to 0-1, one hidden layer of 128 with ReLU, Adam, cross-entropy."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from app.training.balance import row_weights
from app.training.options import Options
from app.training.problem import Problem, Rows, Target
from app.training.recipes.base import Recipe, Say

EPOCHS = 5
HIDDEN = 128
# What pixels go up to, by the greatest seen: fractions, scikit-learn's digits, bytes.
_SCALES = (1.0, 16.0, 255.0)
# Five epochs of few rows are too few steps of the usual size.
_FEW_ROWS = 10_000
_BATCH, _RATE = 64, 1e-3
_SMALL_BATCH, _LARGE_RATE = 8, 3e-3


def build(problem: Problem, options: Options, n_rows: int) -> Any:
    """Return the scaling and the network; clients send raw pixels, flattened row by row."""
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer

    greatest = float(np.abs(problem.array).max())
    scale = next((scale for scale in _SCALES if greatest <= scale), greatest)
    few = n_rows < _FEW_ROWS
    network = MLPClassifier(
        hidden_layer_sizes=(HIDDEN,),
        activation="relu",
        solver="adam",
        batch_size=_SMALL_BATCH if few else _BATCH,
        learning_rate_init=_LARGE_RATE if few else _RATE,
        random_state=options.seed,
    )
    to_unit = FunctionTransformer(partial(np.multiply, 1 / scale), feature_names_out="one-to-one")
    return Pipeline([("scale", to_unit), ("model", network)])


def fit(model: Any, X: Rows, y: Target, options: Options, say: Say) -> None:
    """Fit epoch by epoch, telling the loss of each.

    On one thread: products of matrices as small as a batch gain nothing from more, and on a busy
    machine threads that wait for one another make it many times slower.
    """
    scaled = model[:-1].fit_transform(X)
    network, classes = model[-1], np.unique(y)
    epochs, weights = options.epochs or EPOCHS, row_weights(model, y, options)
    with threadpool_limits(1):
        for epoch in range(1, epochs + 1):
            network.partial_fit(scaled, y, classes=classes, **weights)
            say(f"epoch {epoch}/{epochs}: loss {network.loss_:.4f}")


DIGITS = Recipe(
    "digits",
    "images of digits: a network of 128 hidden units, 5 --epochs with their loss; scikit-learn's digits without --data",
    build,
    fit=fit,
    task="classification",
    container="array",
    dataset="digits",
    takes=frozenset({"epochs"}),
)
