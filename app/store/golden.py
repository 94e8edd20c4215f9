"""Golden rows: proof, after every load, that a version still answers as it did when it was saved."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from app.engines import Answer, ChosenEngine, Engine
from app.engines.gate import ATOL, EPSILONS, RTOL, each_row
from app.errors import InvalidRows, StoreError, VersionRefused
from app.signature import Array, Batch, Outputs, Signature
from app.store.manifest import Golden
from app.store.samples import FEW, Sample
from app.wire.json_body import dump, jsonable
from app.wire.rows import from_rows

log = logging.getLogger(__name__)

# So many rows of the sample are what the engines are judged and timed on.
SAMPLE_ROWS = 512
# So many, or so many values, are kept for explanations.
BACKGROUND_ROWS = 100
_BACKGROUND_VALUES = 100_000


def make_golden(
    estimator: Any, engine: Engine, signature: Signature, sample: Sample, rtol: float | None = None
) -> Golden:
    """Record the answers for a few rows, and prove that the service's way to ask gives the estimator's own.

    Raises
    ------
    StoreError
        The rows, written as JSON and read back through the signature, get another answer.
    """
    from app.engines.native import as_arrays

    rows = sample.rows()
    try:
        batch = golden_batch(signature, rows)
    except InvalidRows as fault:
        raise StoreError(
            f"a row of the sample is none that the service would take: {fault.detail}; give a sample of rows that "
            f"{type(estimator).__name__} gives finite answers for"
        ) from fault
    outputs, random = {}, []
    for method in signature.methods:
        answer = engine.run(batch, method)
        with np.errstate(all="ignore"):
            own = as_arrays(getattr(estimator, method)(sample.few()))
        if difference(answer, engine.run(batch, method)) is not None:
            random.append(method)
        elif (told := difference(answer, own, rtol=rtol)) is not None:
            raise StoreError(
                f"{type(estimator).__name__}.{method} answers the sample's rows differently when they come as JSON: "
                f"{told}; give the sample in the very container and dtypes that the estimator was fitted on"
            )
        outputs[method] = _plain(answer)
    return Golden(rows, outputs, tuple(random), rtol)


def check_golden(engine: Engine, signature: Signature, golden: Golden) -> None:
    """Predict the golden rows and compare; raises VersionRefused where an answer differs."""
    try:
        batch = golden_batch(signature, golden.rows)
    except InvalidRows as fault:
        raise VersionRefused(f"the golden rows do not fit the signature beside them: {fault.detail}") from fault
    for method, expected in golden.outputs.items():
        try:
            answer = engine.run(batch, method)
        except Exception as fault:
            raise VersionRefused(f"{method} of the golden rows raises {type(fault).__name__}: {fault}") from fault
        told = _other_kind(answer, signature.outputs.get(method))
        values = method not in golden.random
        told = told or difference(answer, _restored(expected, answer), values=values, rtol=golden.rtol)
        if told is not None:
            raise VersionRefused(f"{method} of the golden rows is not what it was when the model was saved: {told}")


def check_forms(engine: ChosenEngine, signature: Signature, golden: Golden) -> None:
    """Let each form that was chosen answer the golden rows itself, as :func:`check_golden` does."""
    batch = golden_batch(signature, golden.rows)
    for method, size, kernel in engine.kernels():
        recorded = golden.outputs.get(method, [])
        several = isinstance(signature.outputs.get(method), tuple)
        for index, asked in enumerate(each_row(batch) if size == "one" else [batch]):
            place = slice(index, index + asked.rows)
            expected = [output[place] for output in recorded] if several else recorded[place]
            try:
                answer = kernel(asked.data)
            except Exception:  # rows that a form leaves to scikit-learn are no fault
                log.debug("a form leaves golden rows to scikit-learn", exc_info=True)
                continue
            told = difference(answer, _restored(expected, answer))
            if told is not None:
                raise VersionRefused(f"{method} of the golden rows is not what it was when the model was saved: {told}")


def _other_kind(answer: Answer, output: Outputs | None) -> str | None:
    """Say how the dtype of an answer is not the recorded one, or return None; strings differ in their length."""
    parts = answer if isinstance(answer, list) else [answer]
    recorded = output if isinstance(output, tuple) else (output,)
    for part, told in zip(parts, recorded, strict=False):
        if told is None or (part.dtype.kind == "U" and told.dtype.startswith("str")):
            continue
        if part.dtype.name != told.dtype:
            return f"dtype {part.dtype.name} instead of {told.dtype}"
    return None


def sample_batch(signature: Signature, sample: Sample, golden: Golden) -> Batch:
    """Return up to SAMPLE_ROWS rows of the sample as a batch; the golden rows where the service takes not all."""
    try:
        return from_rows(signature, sample.rows(SAMPLE_ROWS))
    except InvalidRows:
        return golden_batch(signature, golden.rows)


def background_of(signature: Signature, sample: Sample) -> bytes | None:
    """Return rows of the sample, as JSON, for explanations to start from; None where there are none of use.

    Up to BACKGROUND_ROWS of them, fewer of wide ones; texts are explained without.
    """
    if signature.container == "texts":
        return None
    rows = sample.rows(max(FEW, min(BACKGROUND_ROWS, _BACKGROUND_VALUES // len(signature.inputs))))
    try:
        from_rows(signature, rows)
    except InvalidRows:
        return None
    return dump(rows)


def golden_batch(signature: Signature, rows: list[Any]) -> Batch:
    """Return the golden rows as the batch that the service would make of them."""
    return from_rows(signature, rows)


def difference(answer: Answer, expected: Answer, *, values: bool = True, rtol: float | None = None) -> str | None:
    """Say how two answers differ under the exactness contract, or return None where they agree.

    Without `values` only shapes are compared. `rtol` takes the place of the contract's own where it is given.
    """
    parts = answer if isinstance(answer, list) else [answer]
    others = expected if isinstance(expected, list) else [expected]
    if len(parts) != len(others):
        return f"{len(parts)} outputs instead of {len(others)}"
    for part, other in zip(parts, others, strict=True):
        if part.shape != other.shape:
            return f"shape {part.shape} instead of {other.shape}"
        wrong = np.argwhere(~agreeing(part, other, rtol)) if values else np.empty(0)
        if len(wrong):
            where = tuple(wrong[0].tolist())
            return f"{part[where]!r} instead of {other[where]!r} in row {where[0]}"
    return None


def agreeing(answer: Array, expected: Array, rtol: float | None = None) -> npt.NDArray[np.bool_]:
    """Compare value by value: labels exactly, numbers within the tolerances."""
    if answer.dtype.kind != "f" or expected.dtype.kind not in "fiu":
        return np.asarray(answer.astype(object) == expected.astype(object), dtype=bool)
    if rtol is None:
        rtol = RTOL if answer.dtype == np.float64 else max(RTOL, EPSILONS * float(np.finfo(answer.dtype).eps))
    close = np.isclose(answer, expected, rtol=rtol, atol=ATOL)
    # The manifest writes infinities as null, which is read as NaN.
    return np.asarray(close | (~np.isfinite(answer) & ~np.isfinite(expected)))


def _plain(answer: Answer) -> Any:
    """Return an answer as JSON values: float32 widened, NaN and infinities as None."""
    return orjson.loads(dump([jsonable(part) for part in answer] if isinstance(answer, list) else jsonable(answer)))


def _restored(expected: Any, answer: Answer) -> Answer:
    """Read the recorded answer as arrays like those of `answer`."""
    if isinstance(answer, list):
        return [np.asarray(_restored(part, like)) for part, like in zip(expected, answer, strict=True)]
    if answer.dtype.kind == "f":
        return np.array(expected, dtype=np.float64)
    restored = np.empty(np.shape(expected), dtype=object)
    restored[...] = expected
    return restored
