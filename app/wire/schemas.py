"""Rows and answers as JSON Schema, and a row to try a model with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from app.signature import Input, Output, Outputs, Signature
from app.wire.values import Schema, value_schema

# More columns than this are described together where they are alike.
_MOST_LISTED = 50
_DATE = "2026-01-15"
# NumPy's names of dtypes end in these.
_BITS = "0123456789"


class Body(NamedTuple):
    """A request's or a reply's body in one format: its schema, and one that works, where there is one."""

    schema: Schema
    example: Any = None


class Described(NamedTuple):
    """What a method of a model takes and answers in a dialect, by media type."""

    requests: dict[str, Body]
    replies: dict[str, Body]


class RowSchemas(NamedTuple):
    """References to the schemas of a model's rows, which :func:`row_components` writes."""

    row: Schema
    record: Schema
    rows: Schema


def object_schema(required: dict[str, Schema], **others: Schema) -> Schema:
    """Describe an object by its members: those that must be there, and `others`."""
    return {"type": "object", "properties": {**required, **others}, "required": list(required)}


def row_components(signature: Signature, max_rows: int, refer: Callable[[str], Schema]) -> dict[str, Schema]:
    """Describe one row by position, one by name, and lists of either; `refer` makes a reference to one of these."""
    inputs, width = signature.inputs, len(signature.inputs)
    cells = [value_schema(column) for column in inputs]
    row: Schema = {"type": "array", "minItems": width, "maxItems": width}
    if cells.count(cells[0]) == width:
        row["items"] = cells[0]
    else:
        row |= {"prefixItems": cells, "items": False}
    row["description"] = f"The {width} values of a row, in this order: {_shown(signature.names)}"
    record: Schema = {"type": "object"}
    if width > _MOST_LISTED and "items" in row and len(signature.required) == width:
        names = list(signature.names)
        record |= {"propertyNames": {"enum": names}, "minProperties": width, "additionalProperties": cells[0]}
    else:
        record |= {
            "properties": dict(zip(signature.names, cells, strict=True)),
            "required": [column.name for column in signature.required],
            "additionalProperties": False,
        }
    # A model of one column takes its bare values, too.
    kinds = [cells[0]] if width == 1 else []
    kinds += [refer("row"), refer("record")]
    lists = [{"type": "array", "items": kind, "minItems": 1, "maxItems": max_rows} for kind in kinds]
    return {"row": row, "record": record, "rows": {"oneOf": lists}}


def answer_schema(output: Outputs) -> Schema:
    """Describe the answer to one row; for a method that answers several arrays, a list of one answer for each."""
    if isinstance(output, Output):
        schema = _value_schema(output)
        for size in reversed(output.shape[1:]):
            schema = {"type": "array", "items": schema, "minItems": size, "maxItems": size}
        return schema
    parts = [answer_schema(part) for part in output]
    return {"type": "array", "prefixItems": parts, "minItems": len(parts), "maxItems": len(parts)}


def answers_schema(output: Outputs) -> Schema:
    """Describe the answers to a list of rows; for a method that answers several arrays, a list for each of them."""
    if isinstance(output, Output):
        return {"type": "array", "items": answer_schema(output)}
    parts = [answers_schema(part) for part in output]
    return {"type": "array", "prefixItems": parts, "minItems": len(parts), "maxItems": len(parts)}


def example_row(signature: Signature) -> list[Any]:
    """Return a row that the model takes, made up from the middle of what is usual and the first of the categories."""
    return [_example(column) for column in signature.inputs]


def example_record(signature: Signature) -> dict[str, Any]:
    """Return that row by name."""
    return named(signature, example_row(signature))


def named(signature: Signature, row: Sequence[Any]) -> dict[str, Any]:
    """Return a row by name, without the columns that the model ignores."""
    return {column.name: value for column, value in zip(signature.inputs, row, strict=True) if column.used}


def example_answer(output: Outputs) -> Any:
    """Return what an answer to one row may look like."""
    if not isinstance(output, Output):
        return [example_answer(part) for part in output]
    value: Any = {"float": 0.5, "int": 1, "uint": 1, "bool": True}.get(output.dtype.rstrip(_BITS), "a label")
    for size in reversed(output.shape[1:]):
        value = [value] * size
    return value


def _example(column: Input) -> Any:
    if column.categories:
        return column.categories[0]
    if column.kind in ("number", "integer"):
        low, high = column.range or (0, 0)
        middle = low / 2 + high / 2
        return round(middle) if column.kind == "integer" else float(f"{middle:.3g}")
    if column.kind == "boolean":
        return False
    if column.kind == "datetime":
        return f"{_DATE}T08:30:00Z" if "," in column.dtype else _DATE
    # A word that was never seen may be refused where a missing one is not.
    return None if column.nullable else "a text"


def _value_schema(output: Output) -> Schema:
    # NaN and infinities are written as null.
    kinds = {"float": ["number", "null"], "int": "integer", "uint": "integer", "bool": "boolean", "str": "string"}
    return {"type": kinds.get(output.dtype.rstrip(_BITS), ["string", "number", "boolean", "null"])}


def _shown(names: tuple[str, ...]) -> str:
    return ", ".join(names[:_MOST_LISTED]) + (", …" if len(names) > _MOST_LISTED else "")
