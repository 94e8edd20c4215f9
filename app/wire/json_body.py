"""JSON bodies: the dialects of ``/predict`` and the replies in their shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import orjson

from app.errors import InvalidRows, MalformedBody
from app.signature import Batch, Output, Outputs, Signature
from app.wire import rows
from app.wire.body import Answer, Decoded, Form
from app.wire.rows import Place, by_column, by_row, check_count, pointer_to
from app.wire.schemas import (
    Body,
    RowSchemas,
    answer_schema,
    answers_schema,
    example_answer,
    example_row,
    named,
    object_schema,
)
from app.wire.values import Schema, describe

MEDIA_TYPE = "application/json"


class Known(NamedTuple):
    """What is known of a document before its rows are looked at.

    ``max_rows`` is how many it may have; ``no_booleans`` tells that none of its values is a boolean.
    """

    max_rows: int
    no_booleans: bool


def parse(body: bytes) -> Any:
    """Parse strict JSON: no NaN, no Infinity, no number beyond float64, nesting up to 1024.

    Raises
    ------
    MalformedBody
        The body is not such JSON; says at which line and column.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as fault:
        raise MalformedBody(f"the body is not JSON: {fault}") from None


def parse_with_nan(body: bytes) -> Any:
    """Parse JSON in which a bare NaN is null, as clients of some protocols write a missing value; raises as `parse`."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        if b"NaN" not in body:
            return parse(body)
    # Between quotes, every second part is a string. Escapes are blotted out to find the quotes, not to be read.
    outline = body.replace(b"\\\\", b"__").replace(b'\\"', b"__")
    parts: list[bytes] = []
    start = 0
    for part in outline.split(b'"'):
        own = body[start : start + len(part)]
        parts.append(own if len(parts) % 2 else own.replace(b"NaN", b"null"))
        start += len(part) + 1
    return parse(b'"'.join(parts))


def dump(document: Any) -> bytes:
    """Write a JSON document; NumPy arrays become lists, NaN and infinities null."""
    return orjson.dumps(document, default=str, option=orjson.OPT_SERIALIZE_NUMPY)


def decode(body: bytes, signature: Signature, max_rows: int) -> Decoded:
    """Read a body with exactly one of the dialects' keys.

    Raises
    ------
    MalformedBody
        It is not JSON.
    InvalidRows
        It has no key or several, or what stands under it does not fit the signature.
    TooLarge
        It has more than `max_rows` rows.
    """
    document = parse(body)
    if not isinstance(document, dict):
        raise InvalidRows(f"the body must be an object with one of the keys {_KEYS_SHOWN}, not {describe(document)}")
    if len(document) != 1 or next(iter(document)) not in _KEYS:
        given = ", ".join(f"{key!r:.80}" for key in list(document)[:5]) or "none"
        raise InvalidRows(f"the body must have exactly one of the keys {_KEYS_SHOWN}; it has {given}")
    ((key, value),) = document.items()
    batch, scalar = read_under(key, value, signature, max_rows, body)
    return Decoded(batch, Form(_KEYS[key].answered, scalar=scalar))


def read_under(key: str, value: Any, signature: Signature, max_rows: int, body: bytes) -> tuple[Batch, bool]:
    """Read the rows that stand under one of the dialects' keys, in the document that `body` holds.

    Returns the rows, and whether one bare value was asked for; raises InvalidRows or TooLarge.
    """
    # Cheaper to see in the bytes than value by value, where a number and a boolean are both numbers to Python.
    no_booleans = b"true" not in body and b"false" not in body
    return _KEYS[key].read(signature, value, key, Known(max_rows, no_booleans))


def object_under(key: str, signature: Signature, rows: RowSchemas, **options: Schema) -> Schema:
    """Describe an object with rows under one of the dialects' keys, as :func:`read_under` takes them, and `options`."""
    return object_schema({key: _KEYS[key].schema(signature, rows)}, **options) | {"additionalProperties": False}


def describe_body(signature: Signature, rows: RowSchemas) -> Body:
    """Describe the bodies that :func:`decode` reads."""
    texts = signature.container == "texts"
    properties = {name: key.schema(signature, rows) for name, key in _KEYS.items() if texts or name != "text"}
    told = "One of these keys; columns, as {name: [values]} or pandas' to_dict() makes them, stand for rows as well."
    schema: Schema = {"type": "object", "description": told, "properties": properties}
    schema |= {"minProperties": 1, "maxProperties": 1, "additionalProperties": False}
    return Body(schema, document_of(signature, _example_row(signature)))


def document_of(signature: Signature, row: Any) -> dict[str, Any]:
    """Return a body that asks about one row, given by position, or about one text."""
    if signature.container == "texts":
        return {"text": row}
    return {"features": [named(signature, row)]} if signature.container == "frame" else {"X": [row]}


def _example_row(signature: Signature) -> Any:
    row = example_row(signature)
    return row[0] if signature.container == "texts" else row


def describe_answer(signature: Signature, output: Outputs) -> Body:
    """Describe what :func:`encode` writes, by the answer to the example of :func:`describe_body`."""
    value = {"anyOf": [answers_schema(output), answer_schema(output)]}
    properties: dict[str, Schema] = dict.fromkeys((key.answered for key in _KEYS.values()), value)
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    (asked, rows), *_ = document_of(signature, _example_row(signature)).items()
    answer = example_answer(output)
    if isinstance(rows, list):
        answer = [answer] if isinstance(output, Output) else [[part] for part in answer]
    example = {_KEYS[asked].answered: answer}
    classes = _classes(output)
    if classes is not None:
        properties["classes"] = {"const": classes}
        example["classes"] = classes
        schema["required"] = ["classes"]
    return Body(schema | {"minProperties": len(example), "maxProperties": len(example)}, example)


def describe_labels() -> Body:
    """Describe what :func:`encode_labels` writes."""
    label = object_schema({"label": {}, "score": {"type": ["number", "null"]}}) | {"additionalProperties": False}
    return Body({"anyOf": [label, {"type": "array", "items": label}]})


def encode(answer: Answer, output: Outputs, form: Form) -> bytes:
    """Write the answer in the shape of its question, with ``classes`` where its columns stand for them."""
    values = [jsonable(part) for part in answer] if isinstance(answer, list) else jsonable(answer)
    if form.scalar:
        values = [part[0] for part in values] if isinstance(values, list) and isinstance(answer, list) else values[0]
    document = {form.key: values}
    classes = _classes(output)
    return dump(document if classes is None else document | {"classes": classes})


def encode_labels(labels: Answer, scores: Answer | None, form: Form) -> bytes:
    """Write ``{"label", "score"}`` objects; the score is the label's own probability, null where there is none."""
    names = labels if isinstance(labels, list) else labels.tolist()
    best: list[float | None] = (
        [None] * len(names) if not isinstance(scores, np.ndarray) else scores.max(axis=1).tolist()
    )
    found = [{"label": label, "score": score} for label, score in zip(names, best, strict=True)]
    return dump(found[0] if form.scalar else found)


def jsonable(values: Any) -> Any:
    """Return an array as orjson writes it exactly: float32 and float16 widened, strings and objects as lists."""
    if values.dtype.kind == "f":
        # orjson would write a float32 by its own shortest digits, which name another float64.
        return values.astype("float64", order="C", copy=False)
    if values.dtype.kind in "iub":
        return values.astype(values.dtype.newbyteorder("="), order="C", copy=False)
    return values.tolist()


def _classes(output: Outputs) -> Any:
    if isinstance(output, Output):
        return output.classes
    return None if any(part.classes is None for part in output) else [part.classes for part in output]


Read = tuple[Batch, bool]


def _read_table(signature: Signature, value: Any, key: str, known: Known) -> Read:
    """Rows as lists or records, one flat row, one record, or columns; a flat row or record asks for one value."""
    if isinstance(value, dict):
        return _read_object(signature, value, key, known)
    if not isinstance(value, list):
        if signature.container == "texts" and isinstance(value, str):
            return rows.from_rows(signature, [value], Place(lambda *_: pointer_to(key))), True
        raise InvalidRows(f"/{key}: must be a list of rows, not {describe(value)}")
    check_count(len(value), known.max_rows)
    if isinstance(value[0], dict | list) or signature.container == "texts":
        return _read_rows(signature, value, key, known)
    if len(signature.inputs) == 1:
        return rows.from_rows(signature, value, by_row(key)), len(value) == 1
    place = Place(lambda _, column: pointer_to(key, column))
    return rows.from_rows(signature, [value], place, no_booleans=known.no_booleans), True


def _read_rows(signature: Signature, value: Any, key: str, known: Known) -> Read:
    """Rows as lists, records, or bare values where the model takes one column; always a list of answers."""
    if not isinstance(value, list):
        raise InvalidRows(f"/{key}: must be a list of rows, not {describe(value)}")
    check_count(len(value), known.max_rows)
    if isinstance(value[0], dict):
        return rows.from_records(signature, value, by_row(key)), False
    return rows.from_rows(signature, value, by_row(key), no_booleans=known.no_booleans), False


def _read_object(signature: Signature, value: dict[str, Any], key: str, known: Known) -> Read:
    """One record, or columns: of lists, or of ``{index: value}`` as pandas' ``to_dict()`` makes them."""
    kinds = set(map(type, value.values()))
    if kinds == {dict}:
        return _read_pandas_columns(signature, value, key, known), False
    if kinds == {list}:
        check_count(len(next(iter(value.values()))), known.max_rows)
        return rows.from_columns(signature, value, by_column(key)), False
    return rows.from_records(signature, [value], Place(lambda _, column: pointer_to(key, column))), True


def _read_pandas_columns(signature: Signature, value: Mapping[str, Mapping[str, Any]], key: str, known: Known) -> Batch:
    index = next(iter(value.values())).keys()
    check_count(len(index), known.max_rows)
    for name, column in value.items():
        if column.keys() != index:
            raise InvalidRows(f"{pointer_to(key, name)}: has other row labels than the first column")
    labels = list(index)
    place = Place(lambda row, column: pointer_to(key, column, None if row is None else labels[row]))
    return rows.from_columns(
        signature, {name: [column[label] for label in labels] for name, column in value.items()}, place
    )


def _read_split(signature: Signature, value: Any, key: str, known: Known) -> Read:
    """Pandas' ``to_dict(orient="split")``: columns once, then rows; the index is of no use here."""
    if not isinstance(value, dict) or not value.keys() <= {"columns", "data", "index"} or "data" not in value:
        raise InvalidRows(f"/{key}: must be an object with 'columns' and 'data' (and 'index', if you like)")
    data, names = value["data"], _column_names(signature, value.get("columns"), key)
    if not isinstance(data, list):
        raise InvalidRows(f"/{key}/data: must be a list of rows, not {describe(data)}")
    check_count(len(data), known.max_rows)
    place = by_row(key, "data")
    if names is None:
        return rows.from_rows(signature, data, place), False
    wrong = next(
        (row for row, cells in enumerate(data) if not isinstance(cells, list) or len(cells) != len(names)), None
    )
    if wrong is not None:
        raise InvalidRows(f"/{key}/data/{wrong}: must be a list of {len(names)} values, as many as there are columns")
    columns = dict(zip(names, zip(*data, strict=True), strict=True))
    position = {name: index for index, name in enumerate(names)}
    named = Place(lambda row, name: pointer_to(key, "data", row, position.get(str(name))))
    return rows.from_columns(signature, columns, named), False


def _column_names(signature: Signature, given: Any, key: str) -> list[str] | None:
    """Return the names of columns; None where there are none, or the numbers that pandas gives an array's instead."""
    if given is None:
        return None
    told = f"/{key}/columns: must be a list of different column names"
    if not isinstance(given, list):
        raise InvalidRows(told)
    kinds = set(map(type, given))
    if kinds == {int} and signature.container != "frame":
        if given != list(range(len(given))):
            raise InvalidRows(f"/{key}/columns: numbers of columns must be 0, 1, 2, … in this order; or send names")
        return None
    # A table may have numbers among its names.
    if not kinds <= {str, int} or len(set(map(str, given))) != len(given):
        raise InvalidRows(told)
    return list(map(str, given))


def _read_text(signature: Signature, value: Any, key: str, known: Known) -> Read:
    """One text, or a list of them."""
    if signature.container != "texts":
        raise InvalidRows(f'/{key}: this model takes no text; send {{"X": rows}}')
    return _read_table(signature, value, key, known)


class _Key(NamedTuple):
    """What may stand under a key of the document: under which key it is answered, its reader, and its schema."""

    answered: str
    read: Callable[[Signature, Any, str, Known], Read]
    schema: Callable[[Signature, RowSchemas], Schema]


def _table_schema(signature: Signature, rows: RowSchemas) -> Schema:
    scalars = [rows.record] if len(signature.inputs) == 1 else [rows.row, rows.record]
    return {"anyOf": [rows.rows, *scalars, *([{"type": "string"}] if signature.container == "texts" else [])]}


def _rows_schema(signature: Signature, rows: RowSchemas) -> Schema:
    return rows.rows


def _split_schema(signature: Signature, rows: RowSchemas) -> Schema:
    data: Schema = {"type": "array", "items": rows.row, "minItems": 1}
    numbers = [] if signature.container == "frame" else [list(range(len(signature.inputs)))]
    columns: Schema = {"enum": [list(signature.names), *numbers, None]}
    return object_schema({"data": data}, columns=columns, index={}) | {"additionalProperties": False}


_KEYS: dict[str, _Key] = {
    "X": _Key("y_pred", _read_table, _table_schema),
    "x": _Key("y_pred", _read_table, _table_schema),
    "features": _Key("prediction", _read_table, _table_schema),
    "instances": _Key("predictions", _read_rows, _rows_schema),
    "inputs": _Key("outputs", _read_table, _table_schema),
    "dataframe_split": _Key("predictions", _read_split, _split_schema),
    "dataframe_records": _Key("predictions", _read_rows, _rows_schema),
    "text": _Key("prediction", _read_text, _table_schema),
}
_KEYS_SHOWN = ", ".join(f"'{key}'" for key in _KEYS)
