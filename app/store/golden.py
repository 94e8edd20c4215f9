"""Golden rows: proof, after every load, that a version still answers as it did when it was saved."""

from __future__ import annotations

from typing import Any

import numpy as np

from app.engines import Answer, Engine
from app.errors import StoreError, VersionRefused
from app.signature import Array, Batch, Signature
from app.store.manifest import Golden
from app.store.samples import Sample
from app.wire.json_body import jsonable
from app.wire.rows import from_rows

# The service's exactness contract; float32 answers can be no closer than their own digits.
RTOL, ATOL = 1e-9, 1e-12
_EPSILONS = 16


def make_golden(estimator: Any, engine: Engine, signature: Signature, sample: Sample) -> Golden:
    """Record the answers for a few rows, and prove that the service's way to ask gives the estimator's own.

    Raises
    ------
    StoreError
        The rows, written as JSON and read back through the signature, get another answer.
    """
    from app.engines.native import as_arrays

    rows = sample.rows()
    batch = golden_batch(signature, rows)
    outputs, random = {}, []
    for method in signature.methods:
        answer = engine.run(batch, method)
        own = as_arrays(getattr(estimator, method)(sample.few()))
        if difference(answer, engine.run(batch, method)) is not None:
            random.append(method)
        elif (told := difference(answer, own)) is not None:
            raise StoreError(
                f"{type(estimator).__name__}.{method} answers the sample's rows differently when they come as JSON: "
                f"{told}; give the sample in the very container and dtypes that the estimator was fitted on"
            )
        outputs[method] = _plain(answer)
    return Golden(rows, outputs, tuple(random))


def check_golden(engine: Engine, signature: Signature, golden: Golden) -> None:
    """Predict the golden rows and compare; raises VersionRefused where an answer differs."""
    batch = golden_batch(signature, golden.rows)
    for method, expected in golden.outputs.items():
        try:
            answer = engine.run(batch, method)
        except Exception as fault:
            raise VersionRefused(f"{method} of the golden rows raises {type(fault).__name__}: {fault}") from fault
        told = difference(answer, _restored(expected, answer), values=method not in golden.random)
        if told is not None:
            raise VersionRefused(f"{method} of the golden rows is not what it was when the model was saved: {told}")


def golden_batch(signature: Signature, rows: list[Any]) -> Batch:
    """Return the golden rows as the batch that the service would make of them."""
    return from_rows(signature, rows)


def difference(answer: Answer, expected: Answer, *, values: bool = True) -> str | None:
    """Say how two answers differ under the exactness contract, or return None where they agree."""
    if isinstance(answer, list) or isinstance(expected, list):
        if not (isinstance(answer, list) and isinstance(expected, list) and len(answer) == len(expected)):
            return "the number of outputs differs"
        told = (difference(part, other, values=values) for part, other in zip(answer, expected, strict=True))
        return next((text for text in told if text is not None), None)
    if answer.shape != expected.shape:
        return f"shape {answer.shape} instead of {expected.shape}"
    if not values:
        return None
    if answer.dtype.kind in "fc" and expected.dtype.kind in "fiu":
        return _numeric_difference(answer, expected)
    equal = np.asarray(answer.astype(object) == expected.astype(object))
    if equal.all():
        return None
    where = tuple(int(index) for index in np.argwhere(~equal)[0])
    return f"{answer[where]!r} instead of {expected[where]!r} in row {where[0]}"


def _numeric_difference(answer: Array, expected: Array) -> str | None:
    tolerance = max(RTOL, _EPSILONS * float(np.finfo(answer.dtype).eps)) if answer.dtype != np.float64 else RTOL
    finite = np.isfinite(answer)
    close = np.isclose(answer, expected, rtol=tolerance, atol=max(ATOL, tolerance * ATOL), equal_nan=True)
    # The manifest writes infinities as null, which is read as NaN.
    close |= ~finite & ~np.isfinite(expected)
    if close.all():
        return None
    where = tuple(int(index) for index in np.argwhere(~close)[0])
    return f"{answer[where]!r} instead of {expected[where]!r} in row {where[0]}"


def _plain(answer: Answer) -> Any:
    if isinstance(answer, list):
        return [_plain(part) for part in answer]
    values = jsonable(answer)
    return (
        np.where(np.isfinite(values), values.astype(object), None).tolist()
        if answer.dtype.kind == "f"
        else (values.tolist() if isinstance(values, np.ndarray) else values)
    )


def _restored(expected: Any, answer: Answer) -> Answer:
    """Read the recorded answer as arrays like those of `answer`."""
    if isinstance(answer, list):
        return [np.asarray(_restored(part, like)) for part, like in zip(expected, answer, strict=True)]
    if answer.dtype.kind == "f":
        return np.array(expected, dtype=np.float64)
    restored = np.empty(np.shape(expected), dtype=object)
    restored[...] = expected
    return restored
