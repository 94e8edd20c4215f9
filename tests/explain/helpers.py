"""Explaining a fitted estimator as a service does, without a store."""

from __future__ import annotations

from typing import Any

from app.engines import SklearnEngine
from app.explain import Explainer, Explanation, explainer_of
from app.signature import Batch
from app.store.inference import infer_signature
from app.store.samples import take_sample
from app.wire.rows import from_rows


def explained(estimator: Any, sample: Any, rows: Any) -> tuple[Explainer, Explanation]:
    """Explain rows of an estimator that was fitted on rows like those of `sample`."""
    taken = take_sample(sample)
    signature = infer_signature(estimator, taken)
    engine = SklearnEngine(estimator, signature)
    explainer = explainer_of(estimator, engine, signature, from_rows(signature, taken.rows(100)))
    return explainer, explainer.run(batch_of(signature, rows))


def batch_of(signature: Any, rows: Any) -> Batch:
    """Return rows as the batch that a service would make of them."""
    asked = take_sample(rows)
    return from_rows(signature, asked.rows(len(asked)))
