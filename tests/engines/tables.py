"""Tables with every kind of column, rows made up for them, and the proof that a form answers as scikit-learn does."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from app.engines import SklearnEngine, table
from app.engines.base import Form
from app.engines.gate import compare
from app.signature import Array, Batch, Input, Signature
from app.store.inference import infer_signature
from app.store.samples import take_sample

WORDS = ["S", "C", "Q", "Southampton", "naïve", "北京"]
NEVER_SEEN = ["", " ", "s", "S ", "nan", "None", "1", "x" * 1000, "🚢", "\x00"]
EXTREMES = [0.0, -0.0, 1e300, -1e300, 5e-324, 3.5e38, 1e-300, 2.0**53 + 2, -1.0]


def passengers(rows: int = 300, seed: int = 0) -> tuple[pd.DataFrame, Array]:
    """A table with missing values in numbers and words, integers, booleans and dates, and what depends on it."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": rng.normal(30, 12, rows).round(1),
            "fare": rng.lognormal(3, 1, rows).round(2),
            "sibsp": rng.integers(0, 6, rows),
            "pclass": rng.integers(1, 4, rows),
            "alone": rng.random(rows) < 0.5,
            "embarked": rng.choice(WORDS, rows, p=[0.5, 0.2, 0.15, 0.1, 0.03, 0.02]),
            "sex": rng.choice(["male", "female"], rows),
            "boarded": pd.Timestamp("1912-04-01") + pd.to_timedelta(rng.integers(0, 10**7, rows), unit="s"),
        }
    )
    target = (
        frame["sex"].eq("female") * 2.0 + frame["pclass"] * -0.5 + frame["age"] / 50 + rng.normal(0, 0.5, rows)
    ) > 0
    frame.loc[rng.random(rows) < 0.15, "age"] = np.nan
    frame.loc[rng.random(rows) < 0.1, "embarked"] = np.nan
    return frame, target.to_numpy().astype(np.int64)


@dataclass
class Judged:
    """How many batches a form answered, and how many it left to scikit-learn."""

    answered: int = 0
    left: int = 0


def check_parity(model: Any, frame: pd.DataFrame, batches: int = 16, seed: int = 1) -> dict[str, Judged]:
    """Ask every form and scikit-learn the same made-up rows and compare; return the counts by form."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        signature = infer_signature(model, take_sample(frame))
        reference = SklearnEngine(model, signature)
        forms = table.forms(model, signature)
        judged = {form.name: Judged() for form in forms}
        for batch in made_up(signature, frame, batches, seed):
            for method in signature.methods[:2]:
                _check_batch(forms, reference, batch, method, judged)
    return judged


def _check_batch(
    forms: list[Form], reference: SklearnEngine, batch: Batch, method: str, judged: dict[str, Judged]
) -> None:
    fault, expected = None, None
    try:
        expected = reference.run(batch, method)
    except Exception as raised:  # compared with what the form does
        fault = raised
    for form in forms:
        if method not in form.kernels:
            continue
        if form.rows != "one" or batch.rows == 1:
            _check_answer(form, method, batch, expected, fault, judged[form.name])
        if batch.rows > 1 and isinstance(expected, np.ndarray) and form.name != "table+sklearn":
            for row in range(batch.rows):
                one = Batch(1, {name: values[row : row + 1] for name, values in batch.data.items()})
                _check_answer(form, method, one, expected[row : row + 1], None, judged[form.name])


def _check_answer(
    form: Form, method: str, batch: Batch, expected: Any, fault: Exception | None, counts: Judged
) -> None:
    try:
        answer = form.kernels[method](batch.data)
    except Exception:  # whatever a form raises, scikit-learn is asked instead
        counts.left += 1
        return
    assert fault is None, f"{form.name}.{method} answers {batch.data} where scikit-learn raises {fault!r}"
    told = compare(answer, expected)[0]
    assert told is None, f"{form.name}.{method} of {batch.data}: {told}"
    counts.answered += 1


def made_up(signature: Signature, frame: pd.DataFrame, batches: int, seed: int) -> Iterator[Batch]:
    """Yield single rows, then a few larger batches, then rows with extremes."""
    rng = np.random.default_rng(seed)
    for index in range(batches):
        rows = int(rng.integers(2, 60)) if index % 4 == 0 else 1
        wild = 0.3 if index % 3 == 0 else 0.0
        columns = {column.name: _column(column, frame[column.name], rows, wild, rng) for column in signature.required}
        yield Batch(rows, columns)


def _column(column: Input, series: pd.Series[Any], rows: int, wild: float, rng: np.random.Generator) -> Array:
    seen = series.dropna()
    values: list[Any] = [seen.iloc[index] for index in rng.integers(0, len(seen), rows)]
    for row in range(rows):
        if column.nullable and rng.random() < 0.15:
            values[row] = None
        elif rng.random() < 0.1:
            values[row] = _other(column, values[row], rng)
        elif rng.random() < wild and column.kind == "number":
            values[row] = rng.choice(EXTREMES)
    return _typed(column, values)


def _other(column: Input, value: Any, rng: np.random.Generator) -> Any:
    """Return a plausible value that was not in the sample."""
    if column.kind == "number":
        return float(value + rng.normal())
    if column.kind == "integer":
        return int(value + rng.integers(-3, 300))
    if column.kind == "datetime":
        return pd.Timestamp(int(rng.integers(-(2**33), 2**33)), unit="s") if rng.random() < 0.9 else pd.Timestamp.max
    return rng.choice(NEVER_SEEN) if column.kind in ("text", "any") else value


def _typed(column: Input, values: list[Any]) -> Array:
    """Return values as the wire reads them: see ``app.wire.values``."""
    missing = any(value is None for value in values)
    if column.kind in ("number", "integer"):
        floats = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
        whole = column.kind == "integer" and not missing
        narrow = np.dtype(column.dtype) if whole or column.kind == "number" else np.dtype(np.float64)
        if whole and not (np.iinfo(narrow).min <= floats.min() and floats.max() <= np.iinfo(narrow).max):
            narrow = np.dtype(np.int64)
        with np.errstate(over="ignore"):
            narrowed = floats.astype(narrow)
        return (
            narrowed if np.isfinite(narrowed[~np.isnan(floats)]).all() else np.nan_to_num(narrowed, posinf=1, neginf=1)
        )
    if column.kind == "datetime":
        unit = column.dtype.split("[")[1].rstrip("]")
        return np.array([np.datetime64("NaT") if value is None else value.to_datetime64() for value in values]).astype(
            f"datetime64[{unit}]"
        )
    if column.kind == "boolean" and not missing:
        return np.array(values, dtype=bool)
    array = np.empty(len(values), dtype=object)
    array[:] = [
        np.nan if value is None else value.item() if isinstance(value, np.generic) else value for value in values
    ]
    return array
