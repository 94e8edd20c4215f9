"""What every engine offers, and the forms that an engine is chosen from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from app.signature import Array, Batch

# A method of several outputs (predict_proba of a multi-output classifier) answers with an array for each.
Answer = Array | list[Array]

# Answers one method for ``batch.data``; raises anything, Doubt by choice, for rows that scikit-learn is to be asked.
Kernel = Callable[[Any], Answer]


class Engine(Protocol):
    """One loaded model's way to answer; safe to call from several threads at once."""

    name: str

    def run(self, batch: Batch, method: str) -> Answer:
        """Return the answer of `method` for the rows of `batch`.

        Arrays are dense and have the rows' number as their first dimension. Whatever the estimator
        raises is let through.
        """
        ...


class Doubt(Exception):
    """A form leaves these rows to scikit-learn: they are out of its range, or scikit-learn would refuse them."""


class NotReplayed(Exception):
    """An estimator, or a step of it, that has no other form; the message says why."""


class SplitPoints(Mapping[Any, Array]):
    """Split points by column, gathered when they are first asked for: a gate wants them, loading does not."""

    def __init__(self, gather: Callable[[], Mapping[Any, Array]]) -> None:
        self._gather = gather

    @cached_property
    def _gathered(self) -> Mapping[Any, Array]:
        return self._gather()

    def __getitem__(self, column: Any) -> Array:
        return self._gathered[column]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._gathered)

    def __len__(self) -> int:
        return len(self._gathered)


@dataclass(frozen=True)
class Form:
    """A fitted estimator in another form that gives the same answers, for some of its methods.

    Attributes
    ----------
    name: what it is called in the manifest.
    kernels: what answers, by method.
    thresholds: by column (its index, or its name in a frame) the split points near which the gate looks closer.
    state: all that is needed to build it again without the estimator, as :mod:`app.engines.state` writes it;
        None where it is built from the estimator.
    rows: ``one`` where it is meant for single rows only, ``many`` where for several, ``any`` for both.
    """

    name: str
    kernels: Mapping[str, Kernel]
    thresholds: Mapping[Any, Array] = field(default_factory=dict)
    state: Mapping[str, Any] | None = None
    rows: str = "any"
