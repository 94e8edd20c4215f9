"""Any model: Shapley values by sampling, against rows that are kept with the version.

Štrumbelj and Kononenko 2014: start from a row of the background and put the explained row's values in, one column
after another in a random order; what the output changes by is that column's. Each order is walked both ways, from
a background row each, so that contributions add up to the output less the background's mean, whatever the chance.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from app.engines import Engine
from app.explain.base import Explained, Explanation, NotExplained, by_name, most_rows
from app.signature import Array, Batch, Output, Signature

_MOST_STARTS = 50
_MOST_ASKED = 200_000
# Rows made at once hold so many values together (about 32 MB of float64).
_VALUES_AT_ONCE = 4_000_000
_MOST_COLUMNS = 2000


class PermutationExplainer:
    """Explains any model that answers numbers for arrays or DataFrames."""

    method = "permutations"
    background = "the rows that are kept with the version"
    # Some models round otherwise where other rows stand beside one.
    rtol = 1e-5

    def __init__(self, estimator: Any, engine: Engine, signature: Signature, background: Batch) -> None:
        self._engine = engine
        self.explained = _explained(estimator, signature)
        self._names = [column.name for column in signature.required]
        count = len(self._names)
        if count > _MOST_COLUMNS:
            raise NotExplained(f"it takes {count} columns; at most {_MOST_COLUMNS} are sampled")
        chosen = np.unique(np.linspace(0, background.rows - 1, _MOST_STARTS).astype(np.intp))
        self._starts = _taken(background, chosen)
        chance = np.random.default_rng(0)
        # By walk and column: the step at which the column takes the explained row's value.
        forth = np.stack([chance.permutation(count) for _ in chosen])
        self._turns = np.concatenate([forth, count - 1 - forth])
        asked = len(self._turns) * (count + 1)
        self._base = self._outputs(self._starts).mean(axis=0)
        self.max_rows = most_rows(count, len(self._base), _MOST_ASKED // asked)

    def run(self, batch: Batch) -> Explanation:
        """Explain the rows; a row's contributions do not depend on those beside it."""
        contributions = np.stack([self._of_row(_taken(batch, np.array([row]))) for row in range(batch.rows)])
        return by_name(self._names, self._base, contributions)

    def _of_row(self, row: Batch) -> Array:
        walks, count = self._turns.shape
        total = walks * (count + 1)
        size = max(1, _VALUES_AT_ONCE // count)
        parts = [self._outputs(self._between(row, start, min(start + size, total))) for start in range(0, total, size)]
        outputs = np.concatenate(parts).reshape(walks, count + 1, -1)
        changes = np.diff(outputs, axis=1)
        return np.asarray(np.take_along_axis(changes, self._turns[:, :, None], axis=1).mean(axis=0))

    def _between(self, row: Batch, first: int, end: int) -> Batch:
        """Make the rows `first` to `end` of all walks, one after another, from the background to `row`."""
        walk, step = np.divmod(np.arange(first, end), self._turns.shape[1] + 1)
        return _mixed(row, self._starts, self._turns[walk] < step[:, None], walk % self._starts.rows)

    def _outputs(self, batch: Batch) -> Array:
        return self.explained.of(self._engine.run(batch, self.explained.method))


def _explained(estimator: Any, signature: Signature) -> Explained:
    if signature.container == "texts":
        raise NotExplained("texts are explained for linear models of terms alone")
    for method, output in (
        ("predict_proba", "probability"),
        ("decision_function", "score"),
        ("predict", "value"),
        ("score_samples", "score"),
    ):
        found = signature.outputs.get(method)
        if not isinstance(found, Output) or not found.dtype.startswith("float"):
            continue
        labels = found.classes if found.classes is not None else _classes(estimator)
        width = found.cells_per_row
        if labels is None or len(labels) == width:
            # Of two classes one tells all.
            two = labels is not None and width == 2 and output == "probability"  # noqa: PLR2004
            return Explained(output, method, labels[1:] if two and labels else labels)
        return Explained(output, method, labels[1:] if width == 1 and len(labels) == 2 else None)  # noqa: PLR2004
    raise NotExplained("none of its methods answers one output in numbers")


def _classes(estimator: Any) -> tuple[Any, ...] | None:
    classes = getattr(estimator, "classes_", None)
    return tuple(classes.tolist()) if isinstance(classes, np.ndarray) else None


def _taken(batch: Batch, rows: Array) -> Batch:
    if isinstance(batch.data, dict):
        return Batch(len(rows), {name: values[rows] for name, values in batch.data.items()})
    return Batch(len(rows), np.asarray(batch.data)[rows])


def _mixed(row: Batch, starts: Batch, own: Array, start: Array) -> Batch:
    """Make rows of which column j has `row`'s value where `own[:, j]`, else that of the background's row `start`."""
    if isinstance(row.data, dict) and isinstance(starts.data, dict):
        columns = {}
        for place, (name, values) in enumerate(starts.data.items()):
            # Two widths of strings, or integers beside missing ones, need room for both.
            both = np.concatenate([row.data[name], values])
            columns[name] = both[np.where(own[:, place], 0, start + 1)]
        return Batch(len(own), columns)
    given, others = np.asarray(row.data), np.asarray(starts.data)
    shape = own if given.ndim > 1 else own[:, 0]
    return Batch(len(own), np.where(shape, given, others[start]))
