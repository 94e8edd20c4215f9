"""Where a model's forms come from, by the container that it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.engines import blends, matrix, synthesis, table, texts
from app.engines.base import Form
from app.signature import Array, Batch, Signature


@dataclass(frozen=True)
class Family:
    """What there is for one container.

    Attributes
    ----------
    forms: returns the forms of a fitted estimator, those for single rows first.
    rebuild: builds a form from its state again, without the estimator.
    batches: makes rows for the parity gate from a sample and the forms' split points.
    """

    forms: Callable[[Any, Signature], list[Form]]
    rebuild: Callable[[Mapping[str, Any], Signature], Form]
    batches: Callable[[Signature, Batch, Sequence[Mapping[Any, Array]]], list[Batch]]


def _no_forms(estimator: Any, signature: Signature) -> list[Form]:
    del estimator, signature
    return []


def _or_blended(forms: Callable[[Any, Signature], list[Form]]) -> Callable[[Any, Signature], list[Form]]:
    """Return what gives the forms of an estimator, or of a vote by several."""

    def either(estimator: Any, signature: Signature) -> list[Form]:
        if blends.members_of(estimator) is None:
            return forms(estimator, signature)
        return blends.forms(estimator, lambda member: either(member, signature))

    return either


_FAMILIES = {
    "array": Family(_or_blended(matrix.forms), matrix.rebuild, synthesis.array_batches),
    "frame": Family(_or_blended(table.forms), table.rebuild, table.table_batches),
    "texts": Family(_or_blended(texts.forms), texts.rebuild, texts.text_batches),
}
_NONE = Family(_no_forms, matrix.rebuild, synthesis.array_batches)


def of(signature: Signature) -> Family:
    """Return the family of a model's container."""
    return _FAMILIES.get(signature.container, _NONE)
