"""What an explanation is, and which of a model's outputs it is of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from app.engines import Answer
from app.signature import Array, Batch

# A request's rows, and the contributions of all of them together (about 4 MB of JSON).
_MOST_ROWS = 100
_MOST_VALUES = 200_000


class NotExplained(Exception):
    """A model, or a family of explainers for it, cannot be explained; the message says why."""


@dataclass(frozen=True)
class Explained:
    """The output whose value the contributions add up to.

    Attributes
    ----------
    output: ``value`` (what predict answers), ``log_value`` (its logarithm), ``probability``, ``log_odds`` or
        ``score`` (what decision_function or score_samples answers).
    method: the method that the output is read from.
    classes: the classes that the output's k columns stand for; of two classes the second alone is explained.
    """

    output: str
    method: str
    classes: tuple[Any, ...] | None = None

    def of(self, answer: Answer) -> Array:
        """Return the explained output, shape (n, k), of what the method answered."""
        if isinstance(answer, list):
            raise NotExplained("it answers several outputs separately")
        values = np.asarray(answer, dtype=np.float64).reshape(len(answer), -1)
        if self.classes is not None and len(self.classes) == 1:
            values = values[:, -1:]
        return np.log(values) if self.output == "log_value" else values


@dataclass(frozen=True)
class Explanation:
    """What each input adds to the output of each row.

    Attributes
    ----------
    base: the output where nothing is known of a row, shape (k,).
    contributions: for each row what its inputs add to `base`, by name, shape (k,) each.
    rest: what inputs add that are not listed, shape (n, k); None where all are.
    """

    base: Array
    contributions: list[dict[str, Array]]
    rest: Array | None = None

    @property
    def values(self) -> Array:
        """The rows' outputs, shape (n, k): base and contributions added up."""
        added = [self.base + sum(row.values(), np.zeros_like(self.base)) for row in self.contributions]
        return np.stack(added) if self.rest is None else np.stack(added) + self.rest


class Explainer(Protocol):
    """One loaded model's way to be explained; safe to call from several threads at once.

    Attributes
    ----------
    method: how the contributions are found, for the reply.
    background: what the base value stands for, for the reply.
    rtol: how closely contributions must add up to the model's answer.
    max_rows: so many rows are explained at once.
    """

    method: str
    background: str
    rtol: float
    explained: Explained
    max_rows: int

    def run(self, batch: Batch) -> Explanation:
        """Explain the rows of `batch`; whatever the estimator raises is let through."""
        ...


def most_rows(columns: int, outputs: int, by_work: int = _MOST_ROWS) -> int:
    """Return how many rows are explained at once: what work and the length of the reply allow."""
    return max(1, min(_MOST_ROWS, by_work, _MOST_VALUES // max(1, columns * outputs)))


def by_name(names: Sequence[str], base: Array, contributions: Array) -> Explanation:
    """Make an Explanation of contributions of shape (n, n_columns, k)."""
    return Explanation(base, [dict(zip(names, row, strict=True)) for row in contributions])


# What `as_document` returns, as JSON Schema.
DOCUMENT = {
    "type": "object",
    "properties": {
        "method": {"type": "string"},
        "background": {"type": "string"},
        "output": {"type": "string"},
        "class": {},
        "classes": {"type": "array"},
        "base_value": {"type": ["number", "array"]},
        "contributions": {"type": ["object", "array"]},
        "other_terms": {"type": ["number", "array"]},
        "value": {"type": ["number", "array"]},
        "prediction": {},
    },
    "required": ["method", "background", "output", "base_value", "contributions", "value"],
}


def as_documents(explainer: Explainer, explanation: Explanation) -> list[dict[str, Any]]:
    """Return for each row a document of its own, as JSON values, without its prediction."""
    rest = [None] * len(explanation.contributions) if explanation.rest is None else explanation.rest[:, None]
    rows = zip(explanation.contributions, rest, strict=True)
    return [
        as_document(explainer, Explanation(explanation.base, [added], others), None, scalar=True)
        for added, others in rows
    ]


def as_document(
    explainer: Explainer, explanation: Explanation, prediction: list[Any] | None, *, scalar: bool
) -> dict[str, Any]:
    """Return the reply as JSON values: a number for each input, or a list where several outputs are explained.

    `scalar` asks for one row's contributions and prediction without lists around them.
    """
    single = len(explanation.base) == 1

    def plain(values: Array) -> Any:
        return values.item() if single else values.tolist()

    def rows(found: list[Any]) -> Any:
        return found[0] if scalar else found

    classes = explainer.explained.classes
    document: dict[str, Any] = {
        "method": explainer.method,
        "background": explainer.background,
        "output": explainer.explained.output,
    }
    if classes is not None:
        document |= {"class": classes[0]} if single else {"classes": list(classes)}
    document["base_value"] = plain(explanation.base)
    document["contributions"] = rows(
        [{name: plain(value) for name, value in row.items()} for row in explanation.contributions]
    )
    if explanation.rest is not None:
        document["other_terms"] = rows([plain(value) for value in explanation.rest])
    document["value"] = rows([plain(value) for value in explanation.values])
    return document if prediction is None else document | {"prediction": rows(prediction)}
