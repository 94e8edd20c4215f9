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


@dataclass(frozen=True)
class Verdict:
    """What the gate found.

    Attributes
    ----------
    why_not: the first disagreement in words; None where there is none.
    max_difference: the largest absolute difference of two finite numbers; 0.0 for labels.
    left: how many batches the form left to scikit-learn.
    """

    why_not: str | None
    max_difference: float
    left: int = 0


def judge(reference: Engine, kernel: Kernel, method: str, batches: Iterable[Batch]) -> Verdict:
    """Ask a form and scikit-learn the same batches and compare.

    A batch that the form leaves alone by raising is scikit-learn's to answer, and no disagreement.
    """
    largest, left = 0.0, 0
    for batch in batches:
        try:
            answer = kernel(batch.data)
        except Exception:  # whatever a form raises, scikit-learn is asked instead
            left += 1
            continue
        try:
            expected = reference.run(batch, method)
        except Exception as fault:  # whatever an estimator raises for rows it does not take
            told = " ".join(str(fault).split())[:200]
            return Verdict(f"it answers where scikit-learn raises {type(fault).__name__}: {told}", largest, left)
        told_apart, apart = compare(answer, expected)
        largest = max(largest, apart)
        if told_apart is not None:
            return Verdict(told_apart, largest, left)
    return Verdict(None, largest, left)


def compare(answer: Answer, expected: Answer) -> tuple[str | None, float]:
    """Say how two answers differ beyond the contract (None where they agree), and their largest difference."""
    parts = answer if isinstance(answer, list) else [answer]
    others = expected if isinstance(expected, list) else [expected]
    if len(parts) != len(others) or isinstance(answer, list) != isinstance(expected, list):
        return f"{len(parts)} outputs instead of {len(others)}", 0.0
    largest = 0.0
    for part, other in zip(parts, others, strict=True):
        told, apart = _compare_arrays(part, other)
        largest = max(largest, apart)
        if told is not None:
            return told, largest
    return None, largest


def _compare_arrays(answer: Any, expected: Array) -> tuple[str | None, float]:
    if not isinstance(answer, np.ndarray) or answer.shape != expected.shape:
        return f"shape {np.shape(answer)} instead of {expected.shape}", 0.0
    if answer.dtype != expected.dtype:
        return f"dtype {answer.dtype} instead of {expected.dtype}", 0.0
    if answer.dtype.kind != "f":
        return _first(answer, expected, np.asarray(answer == expected, dtype=bool)), 0.0
    rtol = RTOL if answer.dtype == np.float64 else max(RTOL, EPSILONS * float(np.finfo(answer.dtype).eps))
    with np.errstate(all="ignore"):
        apart = np.abs(answer - expected)
        near = np.isclose(answer, expected, rtol=rtol, atol=ATOL, equal_nan=True)
    finite = np.isfinite(apart)
    return _first(answer, expected, near), float(apart[finite].max(initial=0.0))


def _first(answer: Array, expected: Array, agreeing: Array) -> str | None:
    if agreeing.all():
        return None
    where = tuple(np.argwhere(~agreeing)[0].tolist())
    return f"{answer[where]!r} instead of {expected[where]!r} in row {where[0]}"


def row_independent(engine: Engine, method: str, batch: Batch, rows: Iterable[Batch]) -> bool:
    """Tell whether a batch's answer is, within the contract, its rows' own answers asked one by one."""
    try:
        whole = engine.run(batch, method)
        singles = [engine.run(row, method) for row in rows]
    except Exception:  # what cannot be asked is not shown to be independent
        return False
    if isinstance(whole, list):
        return all(
            compare(part, np.concatenate([single[index] for single in singles]))[0] is None
            for index, part in enumerate(whole)
        )
    joined = np.concatenate([single for single in singles if isinstance(single, np.ndarray)])
    return compare(whole, joined if joined.dtype == whole.dtype else joined.astype(whole.dtype))[0] is None
