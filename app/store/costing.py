"""What a fitted estimator would cost to serve, before it is saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.engines import quickest
from app.store.containers import as_fitted
from app.store.golden import golden_batch
from app.store.inference import infer_signature
from app.store.samples import take_sample

# A large batch is timed with so many rows.
MANY = 1000
_ROWS = 64


@dataclass(frozen=True)
class ServingCost:
    """Seconds for one row and for :data:`MANY` rows, and the form that takes as long for one."""

    one: float
    many: float
    engine: str


def serving_cost(estimator: Any, X: Any, feature_names: Sequence[str] | None = None) -> ServingCost:
    """Time a fitted estimator as :func:`app.store.save` would have it answer rows such as `X`.

    Raises
    ------
    StoreError
        The estimator gives no answer for `X`.
    """
    fitted = as_fitted(estimator, X)
    sample = take_sample(fitted.X, feature_names or fitted.feature_names)
    signature = infer_signature(estimator, sample)
    found = quickest(estimator, signature, golden_batch(signature, sample.rows(_ROWS)), (1, MANY))
    return ServingCost(found[1][1], found[MANY][1], found[1][0])
