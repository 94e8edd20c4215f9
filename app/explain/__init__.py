"""Explanations: what each input of a row adds to the model's output.

Exact for linear models and trees behind steps that keep columns apart, sampled for the rest. An explainer may answer
only if its contributions add up to what the model itself answers for rows that are kept with the version.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from app.engines import Engine
from app.explain.base import DOCUMENT, Explainer, Explanation, NotExplained, as_document, as_documents
from app.explain.linear import LinearExplainer, TextExplainer
from app.explain.permutations import PermutationExplainer
from app.explain.trees import TreeExplainer
from app.signature import Batch, Signature

__all__ = ["DOCUMENT", "Explainer", "Explanation", "NotExplained", "as_document", "as_documents", "explainer_of"]

log = logging.getLogger(__name__)

_CHECKED_ROWS = 5
# What the model itself computes in float32 is no closer.
_RTOL_FLOAT32 = 1e-5


def explainer_of(estimator: Any, engine: Engine, signature: Signature, background: Batch) -> Explainer:
    """Return the first way to explain a model whose contributions add up.

    Parameters
    ----------
    estimator
        The fitted estimator.
    engine
        What answers for it.
    background
        Rows like those it was fitted on; for ``texts`` they are used to check only.

    Raises
    ------
    NotExplained
        There is none; says why.
    """
    ways: list[Callable[[], Explainer]] = [
        lambda: LinearExplainer(estimator, signature, background),
        lambda: TreeExplainer(estimator, signature, background),
        lambda: PermutationExplainer(estimator, engine, signature, background),
    ]
    if signature.container == "texts":
        ways = [lambda: TextExplainer(estimator, signature)]
    why = ""
    for way in ways:
        try:
            explainer = way()
            _check(explainer, engine, background)
        except NotExplained as fault:
            why = str(fault)
        except Exception as fault:  # an estimator may have its insides otherwise than expected
            log.debug("an explainer cannot be built", exc_info=True)
            why = f"{type(fault).__name__}: {fault}"
        else:
            return explainer
    raise NotExplained(why)


def _check(explainer: Explainer, engine: Engine, background: Batch) -> None:
    """Raise NotExplained where contributions do not add up to the engine's answer for a few rows."""
    few = _head(background, min(_CHECKED_ROWS, explainer.max_rows))
    answer = engine.run(few, explainer.explained.method)
    expected = explainer.explained.of(answer)
    found = explainer.run(few).values
    narrow = not isinstance(answer, list) and answer.dtype.itemsize < np.dtype(np.float64).itemsize
    rtol = max(explainer.rtol, _RTOL_FLOAT32 if narrow else 0.0)
    scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
    if found.shape != expected.shape or not np.allclose(found, expected, rtol=rtol, atol=rtol * scale):
        raise NotExplained("contributions do not add up to what the model answers")


def _head(batch: Batch, rows: int) -> Batch:
    rows = min(rows, batch.rows)
    if isinstance(batch.data, dict):
        return Batch(rows, {name: values[:rows] for name, values in batch.data.items()})
    return Batch(rows, batch.data[:rows])
