"""What tests of engines share: a choice made as `store.save` makes it, and rows that no choice has seen."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from app.engines import SklearnEngine, choose
from app.engines.choice import Chosen
from app.engines.gate import compare, each_row
from app.signature import Array, Batch, Signature
from app.store.inference import infer_signature
from app.store.samples import take_sample


def signature_of(estimator: Any, X: Any) -> Signature:
    return infer_signature(estimator, take_sample(X))


def batch_of(X: Any) -> Batch:
    return Batch(len(X), np.ascontiguousarray(X))


def chosen_for(estimator: Any, X: Any) -> Chosen:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return choose(estimator, signature_of(estimator, X), batch_of(X[:200]))


def hard_rows(X: Any, nullable: bool, seed: int = 1) -> Array:
    """Rows between and far outside of the sample's, some with values of the sample itself, missing ones too."""
    random = np.random.default_rng(seed)
    rows = X[random.integers(len(X), size=(400, X.shape[1])), np.arange(X.shape[1])].astype(np.float64)
    middles = (rows[:200] + rows[200:]) / 2
    # Where a tree splits: halfway between two values of the sample, and beside that.
    rows = np.concatenate([rows, middles, np.nextafter(middles, np.inf), np.nextafter(middles, -np.inf)])
    odd = random.random(rows.shape) < 0.05
    rows[odd] = random.choice([0.0, -0.0, 1e6, -1e6, 1e30, -1e30, 5e-324], size=int(odd.sum()))
    if nullable:
        rows[random.random(rows.shape) < 0.1] = np.nan
    return rows.astype(X.dtype)


def assert_same(chosen: Chosen, estimator: Any, X: Any) -> None:
    """Hold the chosen engine against scikit-learn: several rows, one by one, and very many."""
    signature = signature_of(estimator, X)
    native = SklearnEngine(estimator, signature)
    rows = hard_rows(X, bool(signature.nullable.all()))
    for method in signature.methods:
        for batch in (
            batch_of(rows[:5]),
            batch_of(rows[:40]),
            batch_of(rows[:100]),
            batch_of(rows),
            *each_row(batch_of(rows[::20])),
        ):
            _assert_same(chosen, native, batch, method)


def _assert_same(chosen: Chosen, native: SklearnEngine, batch: Batch, method: str) -> None:
    try:
        expected = native.run(batch, method)
    except ValueError:
        with pytest.raises(ValueError, match=r"NaN|infinity"):
            chosen.engine.run(batch, method)
        return
    assert compare(chosen.engine.run(batch, method), expected)[0] is None


def names_of(chosen: Chosen, method: str = "predict") -> dict[str, str]:
    names: dict[str, str] = chosen.record["choice"][method]
    return names
