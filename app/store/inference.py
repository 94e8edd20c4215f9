"""What a fitted estimator takes and gives, found out by asking it.

Nothing here reads an estimator's insides: whether a column may be missing, or is used at all, is
answered by predicting a few rows with the column missing, or without it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from app.engines import Answer, SklearnEngine
from app.errors import StoreError
from app.signature import METHODS, Batch, Container, Input, Output, Outputs, Signature
from app.store.probes import with_missing, with_others
from app.store.samples import Sample

_MOST_CATEGORIES = 50
_VALUES_FOR_A_RANGE = 100
_KINDS_OF_TASK = {
    "classifier": "classification",
    "regressor": "regression",
    "clusterer": "clustering",
    "outlier_detector": "outlier",
}


def infer_signature(estimator: Any, sample: Sample) -> Signature:
    """Find out the signature of a fitted estimator from rows like those it was fitted on.

    Raises
    ------
    StoreError
        The estimator answers no method for these rows.
    """
    signature = Signature(sample.container, _inputs(sample), {})
    few = sample.head()
    with warnings.catch_warnings():
        # A column that is missing throughout makes scikit-learn warn; here it is only a question.
        warnings.simplefilter("ignore")
        outputs = _outputs(estimator, signature, few)
        method = next(iter(outputs))
        signature = replace(signature, outputs=outputs, inputs=_used_inputs(estimator, signature, few, method))
        return replace(signature, inputs=_nullable_inputs(estimator, signature, few, method))


def infer_task(estimator: Any, container: Container, methods: Sequence[str]) -> str:
    """Name what the estimator is for.

    One of classification, regression, clustering, outlier, transform and text-classification.
    """
    kind = getattr(estimator, "_estimator_type", None) or _tagged_kind(estimator)
    if kind == "classifier" and container == "texts":
        return "text-classification"
    if kind in _KINDS_OF_TASK:
        return _KINDS_OF_TASK[kind]
    return "classification" if "predict_proba" in methods else "regression" if "predict" in methods else "transform"


def _tagged_kind(estimator: Any) -> str | None:
    from sklearn.utils import get_tags

    try:
        kind: str | None = get_tags(estimator).estimator_type
    except (AttributeError, TypeError, ValueError):
        return None
    return kind


def _inputs(sample: Sample) -> tuple[Input, ...]:
    if sample.container == "texts":
        return (Input("text", "str"),)
    return tuple(
        replace(column, categories=_categories(values, column.dtype), range=_range(values, column))
        for column, values in zip(map(Input, sample.names, sample.dtypes), sample.columns(), strict=True)
    )


def _categories(values: Any, dtype: str) -> tuple[Any, ...] | None:
    if dtype == "category":
        return tuple(values.cat.categories.tolist())
    if dtype not in ("str", "string"):
        return None
    seen = {value for value in values if isinstance(value, str)}
    # What hardly any two rows share names a row, and no category.
    shared = 0 < 2 * len(seen) <= len(values)
    return tuple(sorted(seen)) if shared and len(seen) <= _MOST_CATEGORIES else None


def _range(values: Any, column: Input) -> tuple[float, float] | None:
    """Return about where 98 of 100 values of a column of numbers lie, to two digits of the way between the ends.

    None where there are so few values that the ends would be those of single rows, or where all are the same.
    """
    if column.kind not in ("number", "integer"):
        return None
    numbers = values.to_numpy(np.float64, na_value=np.nan) if hasattr(values, "to_numpy") else values.astype(np.float64)
    numbers = numbers[np.isfinite(numbers)]
    if len(numbers) < _VALUES_FOR_A_RANGE:
        return None
    ends = np.percentile(numbers, (1, 99), method="nearest").tolist()
    spread = ends[1] - ends[0]
    if not 0 < spread < math.inf:
        return None
    digits = 1 - math.floor(math.log10(spread))
    limits = (np.iinfo if column.kind == "integer" else np.finfo)(column.dtype.lower())
    low, high = (min(max(round(end, digits), float(limits.min)), float(limits.max)) for end in ends)
    return (int(low), int(high)) if column.kind == "integer" else (low, high)


def _outputs(estimator: Any, signature: Signature, few: Batch) -> dict[str, Outputs]:
    engine = SklearnEngine(estimator, signature)
    outputs: dict[str, Outputs] = {}
    fault: Exception | None = None
    for method in METHODS:
        if not hasattr(estimator, method):
            continue
        try:
            answer = engine.run(few, method)
        except Exception as raised:  # whatever an estimator raises, it does not answer this method
            fault = fault or raised
            continue
        described = _describe(answer, few.rows, _classes_of(estimator, method))
        if described is not None:
            outputs[method] = described
    if not outputs:
        told = " ".join(str(fault).split())
        why = f": {type(fault).__name__}: {told}" if fault else f"; it has none of {', '.join(METHODS)}"
        raise StoreError(f"{type(estimator).__name__} gives no answer for the sample's rows{why}")
    return outputs


def _classes_of(estimator: Any, method: str) -> Any:
    return getattr(estimator, "classes_", None) if method in ("predict_proba", "predict_log_proba") else None


def _describe(answer: Answer, rows: int, classes: Any) -> Outputs | None:
    """Describe an answer, or return None where it is not one for each row."""
    if isinstance(answer, list):
        several = classes if isinstance(classes, list) and len(classes) == len(answer) else [None] * len(answer)
        parts = [_describe(part, rows, names) for part, names in zip(answer, several, strict=True)]
        single = tuple(part for part in parts if isinstance(part, Output))
        return single if len(single) == len(answer) else None
    if answer.ndim == 0 or len(answer) != rows:
        return None
    labels = None
    if isinstance(classes, np.ndarray) and classes.ndim == 1 and answer.shape[1:] == (len(classes),):
        labels = tuple(classes.tolist())
    return Output(answer.dtype.name, (-1, *answer.shape[1:]), labels)


def _used_inputs(estimator: Any, signature: Signature, few: Batch, method: str) -> tuple[Input, ...]:
    """Mark the columns of a frame that the estimator can do without and still answers the same.

    One that it takes when it is there, and does without when it is not, is used: what is put into it must
    change no answer either.
    """
    if signature.container != "frame":
        return signature.inputs
    expected = SklearnEngine(estimator, signature).run(few, method)

    def same(batch: Batch, inputs: tuple[Input, ...]) -> bool:
        engine = SklearnEngine(estimator, replace(signature, inputs=inputs))
        return _answers(lambda: engine.run(batch, method), lambda answer: _equal(answer, expected))

    def same_without(inputs: tuple[Input, ...]) -> bool:
        return same(few, inputs)

    inputs = tuple(
        replace(
            column,
            used=not same_without(_all_but(signature.inputs, column))
            or not all(same(other, signature.inputs) for other in with_others(few, column)),
        )
        for column in signature.inputs
    )
    # Positions may have shifted where columns are chosen by number: only a joint success counts.
    return inputs if any(column.used for column in inputs) and same_without(inputs) else signature.inputs


def _all_but(inputs: tuple[Input, ...], left_out: Input) -> tuple[Input, ...]:
    return tuple(replace(column, used=column is not left_out) for column in inputs)


def _nullable_inputs(estimator: Any, signature: Signature, few: Batch, method: str) -> tuple[Input, ...]:
    """Mark the columns in which the estimator takes a missing value and gives a finite answer."""
    if signature.container == "texts":
        return signature.inputs
    engine = SklearnEngine(estimator, signature)

    def takes_missing(*columns: int) -> bool:
        return _answers(lambda: engine.run(with_missing(few, signature, columns), method), _is_finite)

    used = [index for index, column in enumerate(signature.inputs) if column.used]
    nullable = set(used) if takes_missing(*used) else {index for index in used if takes_missing(index)}
    return tuple(
        replace(column, nullable=not column.used or index in nullable) for index, column in enumerate(signature.inputs)
    )


def _answers(ask: Callable[[], Answer], is_good: Callable[[Answer], bool]) -> bool:
    try:
        return is_good(ask())
    except Exception:  # an estimator may raise anything for what it does not take
        return False


def _is_finite(answer: Answer) -> bool:
    parts = answer if isinstance(answer, list) else [answer]
    return all(part.dtype.kind != "f" or bool(np.isfinite(part).all()) for part in parts)


def _equal(answer: Answer, expected: Answer) -> bool:
    if isinstance(answer, list) or isinstance(expected, list):
        return len(answer) == len(expected) and all(map(np.array_equal, answer, expected))
    return np.array_equal(answer, expected)
