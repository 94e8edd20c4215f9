"""The parity gate: a form may answer only where it gives scikit-learn's own answers.

Labels must be identical, numbers within RTOL and ATOL, NaN and infinities in the same places, and
where scikit-learn raises, the form must not answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.engines.base import Answer, Engine, Kernel
from app.signature import Array, Batch

# The service's exactness contract; float32 answers can be no closer than their own digits.
RTOL, ATOL = 1e-9, 1e-12
EPSILONS = 16
_LONGEST_FAULT = 200


@dataclass(frozen=True)
class Verdict:
    """What the gate found.

    Attributes
    ----------
    why_not: the first disagreement in words; None where there is none.
    max_difference: the largest difference of two finite numbers, relative to the expected one where that is greater
        than 1; 0.0 for labels.
    """

    why_not: str | None
    max_difference: float


class Remembering:
    """An engine that is asked each batch once; what it raised, it raises again."""

    def __init__(self, engine: Engine) -> None:
        self.name = engine.name
        self._engine = engine
        # The batches are kept with their answers, so that no other takes the place of one in memory.
        self._known: dict[tuple[int, str], tuple[Batch, Answer | Exception]] = {}

    def run(self, batch: Batch, method: str) -> Answer:
        """Return the engine's answer, remembered or not."""
        known = self._known.get((id(batch), method))
        if known is None:
            known = self._known[id(batch), method] = (batch, self._ask(batch, method))
        if isinstance(known[1], Exception):
            raise known[1]
        return known[1]

    def _ask(self, batch: Batch, method: str) -> Answer | Exception:
        try:
            return self._engine.run(batch, method)
        except Exception as fault:  # an estimator raises anything for rows it does not take
            return fault


def judge(
    reference: Engine, kernel: Kernel, method: str, batches: Iterable[Batch], *, one_by_one: bool = False
) -> Verdict:
    """Ask a form and scikit-learn the same batches and compare.

    A batch that the form leaves alone by raising is scikit-learn's to answer, and no disagreement. With
    `one_by_one` the form is asked the rows of a batch on their own, and compared with the batch's answer.
    """
    largest = 0.0
    for batch in batches:
        whole = not one_by_one or batch.rows == 1
        try:
            expected = reference.run(batch, method)
        except Exception as fault:  # whatever an estimator raises for rows that it does not take
            if whole and _answers(kernel, batch):
                told = " ".join(str(fault).split())[:_LONGEST_FAULT]
                return Verdict(f"it answers where scikit-learn raises {type(fault).__name__}: {told}", largest)
            continue
        pairs = (
            [(batch, expected)]
            if whole
            else [(row, part(expected, index)) for index, row in enumerate(each_row(batch))]
        )
        for asked, own in pairs:
            told_apart, apart = _ask(kernel, asked, own)
            largest = max(largest, apart)
            if told_apart is not None:
                return Verdict(told_apart, largest)
    return Verdict(None, largest)


def each_row(batch: Batch) -> list[Batch]:
    """Return the rows of a batch as batches of their own."""
    return [Batch(1, _one(batch.data, index)) for index in range(batch.rows)]


def _one(data: Any, index: int) -> Any:
    if isinstance(data, dict):
        return {name: values[index : index + 1] for name, values in data.items()}
    return data[index : index + 1]


def part(answer: Answer, index: int) -> Answer:
    """Return the answer of one row."""
    if isinstance(answer, list):
        return [output[index : index + 1] for output in answer]
    return answer[index : index + 1]


def _answers(kernel: Kernel, batch: Batch) -> bool:
    try:
        kernel(batch.data)
    except Exception:  # whatever a form raises, scikit-learn is asked instead
        return False
    return True


def _ask(kernel: Kernel, batch: Batch, expected: Answer) -> tuple[str | None, float]:
    try:
        answer = kernel(batch.data)
    except Exception:  # as above
        return None, 0.0
    return compare(answer, expected)


def compare(answer: Answer, expected: Answer) -> tuple[str | None, float]:
    """Say how two answers differ beyond the contract (None where they agree), and their largest difference."""
    parts = answer if isinstance(answer, list) else [answer]
    others = expected if isinstance(expected, list) else [expected]
    if len(parts) != len(others) or isinstance(answer, list) != isinstance(expected, list):
        return f"{len(parts)} outputs instead of {len(others)}", 0.0
    largest = 0.0
    for output, other in zip(parts, others, strict=True):
        told, apart = _compare_arrays(output, other)
        largest = max(largest, apart)
        if told is not None:
            return told, largest
    return None, largest


def _compare_arrays(answer: Any, expected: Array) -> tuple[str | None, float]:
    if not isinstance(answer, np.ndarray) or answer.shape != expected.shape:
        return f"shape {np.shape(answer)} instead of {expected.shape}", 0.0
    # Strings are as long as the longest of a batch.
    if answer.dtype != expected.dtype and (answer.dtype.kind, expected.dtype.kind) != ("U", "U"):
        return f"dtype {answer.dtype} instead of {expected.dtype}", 0.0
    if answer.dtype.kind != "f":
        return _first(answer, expected, np.asarray(answer == expected, dtype=bool)), 0.0
    if np.array_equal(answer, expected):
        return None, 0.0
    rtol = RTOL if answer.dtype == np.float64 else max(RTOL, EPSILONS * float(np.finfo(answer.dtype).eps))
    with np.errstate(all="ignore"):
        apart = np.abs(answer - expected) / np.maximum(1.0, np.abs(expected))
        near = np.isclose(answer, expected, rtol=rtol, atol=ATOL, equal_nan=True)
    finite = np.isfinite(apart)
    return _first(answer, expected, near), float(apart[finite].max(initial=0.0))


def _first(answer: Array, expected: Array, agreeing: Array) -> str | None:
    if agreeing.all():
        return None
    where = tuple(np.argwhere(~agreeing)[0].tolist())
    return f"{answer[where]!r} instead of {expected[where]!r} in row {where[0]}"


def row_independent(engine: Engine, method: str, batch: Batch) -> bool:
    """Tell whether a batch's answer is, within the contract, its rows' own answers asked one by one."""
    try:
        whole = engine.run(batch, method)
        singles = [engine.run(row, method) for row in each_row(batch)]
        return all(compare(single, part(whole, index))[0] is None for index, single in enumerate(singles))
    except Exception:  # what cannot be asked is not shown to be independent
        return False
