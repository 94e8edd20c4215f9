"""A pipeline taken apart: the steps before the model, the model, and the raw columns behind the model's features."""

from __future__ import annotations

from typing import Any

import numpy as np

from app.engines.native import to_frame
from app.explain.base import NotExplained
from app.explain.origins import follow, spread
from app.signature import Array, Batch, Signature

# Rows that the model sees are made dense; wider ones are not explained.
_MAX_WIDTH = 20_000


class Prepared:
    """The steps before the model, however deep pipelines and searches are nested.

    Attributes
    ----------
    model: the fitted estimator behind them.
    names: the raw columns, in the signature's order.
    """

    def __init__(self, estimator: Any, signature: Signature) -> None:
        self.names = [column.name for column in signature.required]
        self.steps, self.model = _taken_apart(estimator)
        self._signature = signature

    def features(self, batch: Batch) -> Any:
        """Return what the model sees of the rows, as the last step gives it."""
        rows: Any = to_frame(batch, self._signature) if self._signature.container == "frame" else batch.data
        for step in self.steps:
            rows = step.transform(rows)
        return rows

    def origins(self, batch: Batch) -> Array:
        """Return the place in `names` of the raw column behind each feature, shape (n_features,).

        Raises
        ------
        NotExplained
            A step mixes columns, or the model sees too many of them.
        """
        seen = self.features(batch)
        width = 1 if np.ndim(seen) == 1 else seen.shape[1]
        if width > _MAX_WIDTH:
            raise NotExplained(f"the model sees {width} features; at most {_MAX_WIDTH} are explained")
        # A ColumnTransformer counts the columns that it was fitted on, unused ones too.
        first = self.steps[0] if self.steps else self.model
        found = follow_all(self.steps, list(map(str, getattr(first, "feature_names_in_", self.names))))
        place = {name: index for index, name in enumerate(self.names)}
        try:
            return np.array([place[name] for name in spread(found, width)], dtype=np.intp)
        except KeyError as fault:
            raise NotExplained(f"the model uses column {fault}, which the signature says is not used") from None


def follow_all(steps: list[Any], names: list[str]) -> list[str] | str:
    """Return the raw columns of what the last of several steps gives."""
    origins: list[str] | str = names
    for step in steps:
        origins = follow(step, origins)
    return origins


def dense(features: Any) -> Array:
    """Return what a step gave as an array (n, n_features)."""
    return np.asarray(features.toarray() if hasattr(features, "toarray") else features)


def _taken_apart(estimator: Any) -> tuple[list[Any], Any]:
    if hasattr(estimator, "best_estimator_"):
        return _taken_apart(estimator.best_estimator_)
    if type(estimator).__name__ != "Pipeline" or not hasattr(estimator, "steps"):
        return [], estimator
    before = [step for _, step in estimator.steps[:-1] if step is not None and not isinstance(step, str)]
    steps, model = _taken_apart(estimator.steps[-1][1])
    return before + steps, model
