"""The values of one column -> a typed array, or a Misfit that says which of them are wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from app.signature import Array, Input

MAX_PLACES = 10
_SHOWN = 40
_NUMBERS = {int, float}
_INT64 = np.iinfo(np.int64)
_LOCAL_TIME = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?$"

# A JSON Schema (2020-12), as OpenAPI 3.1 holds it.
Schema = dict[str, Any]


class Misfit(Exception):
    """Values that do not fit their column: ``places`` lists (row, what is wrong) for the first of them."""

    def __init__(self, places: list[tuple[int, str]]) -> None:
        super().__init__(places)
        self.places = places


def read_column(column: Input, values: Sequence[Any] | Array) -> Array:
    """Return `values` as an array of shape (n,) of the column's dtype; None and NaN mean missing.

    An integer column widens where it must: to int64 for whole numbers outside its dtype, to float64
    where a fraction or a missing value is among them.

    Raises
    ------
    Misfit
        Values of another type, missing ones where the column is not nullable, or out of range.
    """
    if isinstance(values, np.ndarray) and not (column.kind in ("number", "integer") and values.dtype.kind in "fiu"):
        values = values.tolist()
    return _KINDS[column.kind].read(column, values)


def value_schema(column: Input) -> Schema:
    """Describe, as JSON Schema, the values that :func:`read_column` takes."""
    schema = _KINDS[column.kind].schema(column)
    if not column.nullable:
        return schema
    if "enum" in schema:
        return schema | {"enum": [*schema["enum"], None]}
    return {"anyOf": [schema, {"type": "null"}]}


def _read_number(column: Input, values: Sequence[Any] | Array) -> Array:
    numbers = _as_floats(column, values)
    if column.dtype in ("float32", "float16"):
        with np.errstate(over="ignore"):
            narrowed = numbers.astype(column.dtype)
        _refuse_where(
            np.isinf(narrowed) & ~np.isinf(numbers), values, lambda value: f"{value} is out of range for {column.dtype}"
        )
        return narrowed
    return numbers


def _number_schema(column: Input) -> Schema:
    # What is beyond float64 is refused by the parser, whatever the column is.
    if column.dtype not in ("float32", "float16"):
        return {"type": "number"}
    limit = float(np.finfo(column.dtype).max)
    return {"type": "number", "minimum": -limit, "maximum": limit}


def _read_integer(column: Input, values: Sequence[Any] | Array) -> Array:
    if isinstance(values, np.ndarray) and values.dtype.kind in "iu":
        return _fitting(values, column.dtype)
    if not isinstance(values, np.ndarray) and set(map(type, values)) == {int}:
        try:
            return _fitting(np.array(values, dtype=np.int64), column.dtype)
        except OverflowError:
            return _read_large(column, values)
    numbers = _as_floats(column, values)
    _refuse_where(
        np.abs(numbers) >= -float(_INT64.min),
        values,
        lambda value: f"{value} is out of range: this column holds integers of 64 bits",
    )
    if np.isnan(numbers).any() or (numbers != np.floor(numbers)).any():
        return numbers
    return _fitting(numbers.astype(np.int64), column.dtype)


def _integer_schema(column: Input) -> Schema:
    """Describe an integer column, which takes fractions as well; uint64 alone goes beyond int64."""
    highest = _highest(column)
    # As whole numbers: written as floats, the ends would be read as others. JSON has no number beyond uint64's.
    end = {"exclusiveMaximum": highest + 1} if highest == _INT64.max else {"maximum": highest}
    return {"type": "number", "minimum": int(_INT64.min)} | end


def _read_large(column: Input, values: Sequence[Any]) -> Array:
    """Read integers beyond int64, which only a column of uint64 holds."""
    limit = _highest(column)
    places = [
        (row, f"{value} is out of range: this column holds integers of 64 bits")
        for row, value in enumerate(values)
        if not (0 if limit > _INT64.max else _INT64.min) <= value <= limit
    ]
    if places:
        raise Misfit(places[:MAX_PLACES])
    return np.array(values, dtype=np.uint64)


def _highest(column: Input) -> int:
    """Return the largest integer of 64 bits that a column holds; others widen to int64."""
    return int((np.iinfo(np.uint64) if column.dtype.lower() == "uint64" else _INT64).max)


def _fitting(values: Array, dtype: str) -> Array:
    """Cast whole numbers to the column's own dtype where all of them fit, else leave them as they are."""
    limits = np.iinfo(dtype.lower())
    if values.size == 0 or (limits.min <= values.min() and values.max() <= limits.max):
        return values.astype(dtype.lower(), copy=False)
    return values


def _as_floats(column: Input, values: Sequence[Any] | Array) -> Array:
    """Return numbers as float64, missing ones as NaN where the column takes them."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "fiu":
        numbers = values.astype(np.float64, copy=False)
    else:
        kinds = set(map(type, values))
        if not kinds <= _NUMBERS and kinds - _NUMBERS != {type(None)}:
            raise Misfit(_wrong_types(values, (int, float), "a number", nullable=column.nullable))
        numbers = np.array(values, dtype=np.float64)
    _refuse_where(np.isinf(numbers), values, lambda value: f"must be a finite number, not {value}")
    if not column.nullable:
        _refuse_where(np.isnan(numbers), values, lambda _: "must not be missing: this column takes no missing values")
    return numbers


def _read_boolean(column: Input, values: Sequence[Any] | Array) -> Array:
    _check_types(column, values, (bool,), "true or false")
    if set(map(type, values)) == {bool}:
        return np.array(values, dtype=bool)
    return _objects(values)


def _read_text(column: Input, values: Sequence[Any] | Array) -> Array:
    _check_types(column, values, (str,), "a string")
    return _objects(values)


def _read_any(column: Input, values: Sequence[Any] | Array) -> Array:
    _check_types(column, values, (str, bool, int, float), "a string, a number, true or false")
    return _objects(values)


def _read_category(column: Input, values: Sequence[Any] | Array) -> Array:
    _check_types(column, values, (str, bool, int, float), "one of its categories")
    # To Python True is 1; to a reader it is another category.
    known = {(isinstance(category, bool), category) for category in column.categories or ()}
    shown = ", ".join(map(repr, (column.categories or ())[:MAX_PLACES]))
    strange = (
        (row, f"{value!r:.40} is not a category of this column; it has {shown}")
        for row, value in enumerate(values)
        if not _is_missing(value) and (isinstance(value, bool), value) not in known
    )
    places = list(islice(strange, MAX_PLACES))
    if places:
        raise Misfit(places)
    return _objects(values)


def _read_datetime(column: Input, values: Sequence[Any] | Array) -> Array:
    _check_types(column, values, (str, datetime), "a date in ISO 8601, such as '2026-11-22'")
    zoned = "," in column.dtype
    unit = column.dtype.split("[")[1].rstrip("]").split(",")[0] if "[" in column.dtype else "us"
    moments: list[datetime | None] = []
    places: list[tuple[int, str]] = []
    for row, value in enumerate(values):
        try:
            moments.append(None if _is_missing(value) else _moment(value, zoned=zoned, unit=unit))
        except ValueError as fault:
            places.append((row, str(fault)))
    if places:
        raise Misfit(places[:MAX_PLACES])
    return np.array(moments, dtype=f"datetime64[{unit}]")


def _datetime_schema(column: Input) -> Schema:
    if "," in column.dtype:
        return {"type": "string", "format": "date-time"}
    return {"type": "string", "anyOf": [{"format": "date"}, {"pattern": _LOCAL_TIME}]}


def _moment(value: str | datetime, *, zoned: bool, unit: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError(f"must be a date in ISO 8601, such as '2026-11-22', not {value!r:.40}") from None
    if zoned != (moment.tzinfo is not None):
        need = "needs a time zone, such as '2026-11-22T08:30:00Z'" if zoned else "must have no time zone"
        raise ValueError(f"{need}, and this is {value!r:.40}")
    moment = moment.astimezone(UTC).replace(tzinfo=None) if zoned else moment
    # Nanoseconds since 1970 in 64 bits end in these years.
    if unit == "ns" and not 1678 <= moment.year <= 2261:  # noqa: PLR2004
        raise ValueError(f"must lie between 1678 and 2261, and this is {value!r:.40}")
    return moment


def _check_types(column: Input, values: Sequence[Any] | Array, types: tuple[type, ...], wanted: str) -> None:
    kinds = set(map(type, values))
    if kinds <= set(types) and float not in kinds:
        return
    places = _wrong_types(values, types, wanted, nullable=column.nullable)
    if places:
        raise Misfit(places)


def _wrong_types(
    values: Sequence[Any] | Array, types: tuple[type, ...], wanted: str, *, nullable: bool
) -> list[tuple[int, str]]:
    """List the places whose value is of no wanted type: a boolean is no number, and "4" is none either."""
    places: list[tuple[int, str]] = []
    for row, value in enumerate(values):
        if _is_missing(value):
            if not nullable:
                places.append((row, "must not be missing: this column takes no missing values"))
        elif type(value) not in types:
            places.append((row, f"must be {wanted}, not {describe(value)}"))
        if len(places) == MAX_PLACES:
            break
    return places


def describe(value: Any) -> str:
    """Name a JSON value for an error message, with its beginning where it is short."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = repr(value)
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    kind = "string" if isinstance(value, str) else "number" if isinstance(value, int | float) else type(value).__name__
    return f"the {kind} {shown}"


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)  # noqa: PLR0124  # NaN differs from itself


def _refuse_where(bad: Array, values: Sequence[Any] | Array, detail: Callable[[Any], str]) -> None:
    if bad.any():
        raise Misfit([(int(row), detail(values[row])) for row in np.flatnonzero(bad)[:MAX_PLACES]])


def _objects(values: Sequence[Any] | Array) -> Array:
    """Return scalars as an array of objects, with NaN where one is missing, as pandas reads files."""
    array = np.empty(len(values), dtype=object)
    array[:] = [np.nan if value is None else value for value in values]
    return array


class _Kind(NamedTuple):
    """How one kind of column is read, and what its values are in JSON."""

    read: Callable[[Input, Sequence[Any] | Array], Array]
    schema: Callable[[Input], Schema]


_KINDS: dict[str, _Kind] = {
    "number": _Kind(_read_number, _number_schema),
    "integer": _Kind(_read_integer, _integer_schema),
    "boolean": _Kind(_read_boolean, lambda _: {"type": "boolean"}),
    "text": _Kind(_read_text, lambda _: {"type": "string"}),
    "any": _Kind(_read_any, lambda _: {"type": ["string", "number", "boolean"]}),
    "category": _Kind(_read_category, lambda column: {"enum": list(column.categories or ())}),
    "datetime": _Kind(_read_datetime, _datetime_schema),
}
