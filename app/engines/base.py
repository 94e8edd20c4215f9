"""What every engine offers."""

from __future__ import annotations

from typing import Protocol

from app.signature import Array, Batch

# A method of several outputs (predict_proba of a multi-output classifier) answers with an array for each.
Answer = Array | list[Array]


class Engine(Protocol):
    """One loaded model's way to answer; safe to call from several threads at once."""

    name: str

    def run(self, batch: Batch, method: str) -> Answer:
        """Return the answer of `method` for the rows of `batch`.

        Arrays are dense and have the rows' number as their first dimension. Whatever the estimator
        raises is let through.
        """
        ...
