"""The Open Inference Protocol, version 2 (KServe, Triton, MLServer), with its binary tensor data extension.

https://github.com/kserve/open-inference-protocol and Triton's ``extension_binary_data.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from app.errors import InvalidRows, MalformedBody
from app.signature import Array, Batch, Signature
from app.wire import json_body, rows, tensors
from app.wire.body import Decoded
from app.wire.dialect import Answered, Served, Written
from app.wire.layout import OutputTensor, input_tensors, output_tensors
from app.wire.rows import Place
from app.wire.schemas import Body, Described, RowSchemas, example_record, example_row, object_schema
from app.wire.tensors import Shape
from app.wire.values import Schema, value_schema

LENGTH_HEADER = "Inference-Header-Content-Length"
BINARY = "application/octet-stream"

_DIGITS = 12
_NAMES_SHOWN = 20


@dataclass(slots=True)
class Requested:
    """What the reply must hold: the request's own id, the outputs in their order, and which of them go as raw bytes."""

    id: str | None
    outputs: list[tuple[OutputTensor, bool]]


def negotiate(content_type: str, accept: str) -> str:
    """Return the reply's media type before it is known to be binary: neither header has a say in this protocol."""
    return json_body.MEDIA_TYPE


def decode(described: str, body: bytes, signature: Signature, max_rows: int) -> Decoded:
    """Read an inference request; `described` is the header that says how many bytes of the body are JSON.

    Raises
    ------
    MalformedBody
        The JSON is none, or the bytes behind it are not those that it promises.
    InvalidRows, TooLarge
        It lacks what a request must have, its tensors do not fit the signature, or there are more than `max_rows` rows.
    """
    if described == "0":
        return _decode_raw(body, signature)
    length = _json_length(described, body)
    document = json_body.parse_with_nan(body if length == len(body) else body[:length])
    if not isinstance(document, dict) or not isinstance(document.get("inputs"), list) or not document["inputs"]:
        raise InvalidRows("the body must be an object with 'inputs', a list of one tensor or more")
    parameters = _parameters_of(document, "")
    name = document.get("id")
    if name is not None and not isinstance(name, str):
        raise InvalidRows("/id: must be a string")
    outputs = _wanted(signature, document.get("outputs"), binary=_flag(parameters, "binary_data_output", "/parameters"))
    batch = _read_inputs(document["inputs"], body, length, signature, max_rows)
    return _decoded(batch, name, outputs)


def _json_length(described: str, body: bytes) -> int:
    if described == "":
        return len(body)
    # Whatever is no plain number cannot be one: a sign, a second header behind a comma, other scripts' digits.
    if not (described.isascii() and described.isdigit() and len(described) <= _DIGITS) or int(described) > len(body):
        raise MalformedBody(
            f"{LENGTH_HEADER} is {described[:40]!r}; it must be the length of the JSON in a body of {len(body)} bytes"
        )
    return int(described)


def _parameters_of(holder: dict[str, Any], where: str) -> dict[str, Any]:
    parameters = holder.get("parameters")
    if parameters is not None and not isinstance(parameters, dict):
        raise InvalidRows(f"{where}/parameters: must be an object")
    return parameters or {}


def _flag(parameters: dict[str, Any], name: str, where: str, *, default: bool = False) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise InvalidRows(f"{where}/{name}: must be true or false")
    return value


# Outputs


def _wanted(signature: Signature, requested: Any, *, binary: bool) -> list[tuple[OutputTensor, bool]]:
    """Read the list of outputs; without one, ``predict`` is asked, or the first method of a model that has none."""
    if requested is None or requested == []:
        return [(tensor, binary) for tensor in output_tensors(signature, signature.methods[0])]
    if not isinstance(requested, list):
        raise InvalidRows("/outputs: must be a list")
    by_method = {method: output_tensors(signature, method) for method in signature.methods}
    # The name of a method with several arrays stands for all of them.
    known = by_method | {tensor.name: [tensor] for tensors_of in by_method.values() for tensor in tensors_of}
    outputs: list[tuple[OutputTensor, bool]] = []
    for index, output in enumerate(requested):
        where = f"/outputs/{index}"
        name = output.get("name") if isinstance(output, dict) else None
        if not isinstance(name, str) or name not in known:
            shown = ", ".join(list(known)[:_NAMES_SHOWN])
            raise InvalidRows(f"{where}: must be an object with the 'name' of an output; this model has {shown}")
        parameters = _parameters_of(output, where)
        if parameters.get("classification") not in (None, 0):
            raise InvalidRows(f"{where}/parameters/classification: is not offered; ask for predict_proba")
        as_binary = _flag(parameters, "binary_data", f"{where}/parameters", default=binary)
        outputs += [(tensor, as_binary) for tensor in known[name]]
        if len({tensor.name for tensor, _ in outputs}) != len(outputs):
            raise InvalidRows(f"{where}/name: output {name!r} is asked for twice")
    return outputs


# Inputs


class _Read(NamedTuple):
    """An input as it was read: what it says of itself, its values, flat, and where they come from."""

    shape: Shape
    values: Array | list[Any]
    data: Any


def _read_inputs(inputs: list[Any], body: bytes, start: int, signature: Signature, max_rows: int) -> Batch:
    """Read all inputs; the raw bytes among them begin at `start`, one after another."""
    if len(inputs) > len(signature.inputs):
        raise InvalidRows(f"there are {len(inputs)} inputs, and this model takes {_takes(signature)}")
    columns: dict[str, _Read] = {}
    for index, tensor in enumerate(inputs):
        shape = tensors.read_shape(tensor, index, max_rows)
        size = _binary_size(tensor, shape.where, len(body) - start)
        if size is None:
            values: Array | list[Any] = tensors.from_json(shape, tensor.get("data"))
        else:
            values, start = tensors.from_bytes(shape, body, start, size), start + size
        columns[tensor["name"]] = _Read(shape, values, tensor.get("data"))
    if start != len(body):
        raise MalformedBody(f"{len(body) - start} bytes follow the JSON that are no input's")
    if len(columns) != len(inputs):
        raise InvalidRows("two inputs have the same name")
    if len(inputs) == 1 and signature.container != "frame":
        return _read_tensor(signature, *columns.values())
    return _read_columns(signature, columns)


def _binary_size(tensor: dict[str, Any], where: str, left: int) -> int | None:
    """Return how many of the `left` bytes behind the JSON are this tensor's; None where it stands in the JSON."""
    parameters = _parameters_of(tensor, where)
    if "shared_memory_region" in parameters:
        raise InvalidRows(f"{where}: shared memory is not offered; send the data")
    size = parameters.get("binary_data_size")
    if size is None:
        return None
    if type(size) is not int or not 0 <= size <= left:
        raise MalformedBody(f"{where}/parameters/binary_data_size: must be a number of bytes; {left} are left")
    if "data" in tensor:
        raise MalformedBody(f"{where}: has 'data' and 'binary_data_size'; send one of them")
    return size


def _read_columns(signature: Signature, columns: dict[str, _Read]) -> Batch:
    """Read a column from each tensor, by its name."""
    for shape, _, _ in columns.values():
        if shape.dimensions[1:] not in ((), (1,)):
            raise InvalidRows(f"{shape.where}/shape: must be [rows] or [rows, 1]; this model takes {_takes(signature)}")

    def pointer(row: int | None, name: int | str | None) -> str:
        read = columns.get(str(name))
        if read is None or row is None:
            return "/inputs"
        return tensors.place_in(read.shape, read.data)(row)

    return rows.from_columns(signature, {name: read.values for name, read in columns.items()}, Place(pointer))


def _read_tensor(signature: Signature, read: _Read) -> Batch:
    """Read all rows from one tensor, whatever its name."""
    shape, values, data = read
    width = 1 if len(shape.dimensions) == 1 else shape.dimensions[1]
    if width != len(signature.inputs):
        raise InvalidRows(f"{shape.where}/shape: is {list(shape.dimensions)}; this model takes {_takes(signature)}")
    if isinstance(values, np.ndarray):
        return rows.from_array(signature, values.reshape(-1, width))
    place_in = tensors.place_in(shape, data)
    place = Place(lambda row, column: place_in((row or 0) * width + (column if isinstance(column, int) else 0)))
    if signature.container == "texts":
        return rows.from_rows(signature, values, place)
    table = [values[at : at + width] for at in range(0, len(values), width)]
    # What their types are is known already.
    return rows.from_rows(signature, table, place, no_booleans=shape.datatype != "BOOL")


def _decode_raw(body: bytes, signature: Signature) -> Decoded:
    """Read a body that is one row's tensor and nothing else; its outputs are sent as they are, too."""
    (tensor, *others) = input_tensors(signature)
    if others:
        raise InvalidRows(f"{LENGTH_HEADER} is 0, for models of one input; this one takes {_takes(signature)}")
    dimensions = tuple(1 if size < 0 else size for size in tensor["shape"])
    shape = Shape("the body", tensor["datatype"], dimensions)
    # A single element of BYTES is the body itself, without its length before it.
    values: Array | list[Any] = (
        [tensors.read_text(body, shape.where)]
        if shape.datatype == "BYTES" and shape.size == 1
        else tensors.from_bytes(shape, body, 0, len(body))
    )
    read = _Read(shape, values, None)
    frame = signature.container == "frame"
    batch = _read_columns(signature, {tensor["name"]: read}) if frame else _read_tensor(signature, read)
    return _decoded(batch, None, _wanted(signature, None, binary=True))


def _decoded(batch: Batch, name: str | None, outputs: list[tuple[OutputTensor, bool]]) -> Decoded:
    return Decoded(batch, Requested(name, outputs), tuple(dict.fromkeys(tensor.method for tensor, _ in outputs)))


def _takes(signature: Signature) -> str:
    found = input_tensors(signature)
    shown = ", ".join(f"{tensor['name']} {tensor['shape']}" for tensor in found[:_NAMES_SHOWN])
    return f"{shown}, …" if len(found) > _NAMES_SHOWN else shown


# Replies


def encode(answers: Sequence[Answered], form: Requested, media: str, served: Served) -> Written:
    """Write the outputs that were asked for, in the JSON or behind it."""
    by_method = {answered.method: answered.answer for answered in answers}
    outputs: list[dict[str, Any]] = []
    raw: list[bytes] = []
    for wanted, as_bytes in form.outputs:
        answer = by_method[wanted.method]
        values: Any = answer if wanted.part is None else answer[wanted.part]
        tensor = {"name": wanted.name, "shape": values.shape, "datatype": tensors.datatype_of(values.dtype)}
        if as_bytes:
            raw.append(tensors.to_bytes(values))
            tensor["parameters"] = {"binary_data_size": len(raw[-1])}
        else:
            tensor["data"] = tensors.to_json(values)
        outputs.append(tensor)
    document: dict[str, Any] = {"model_name": served.name, "model_version": str(served.version)}
    if form.id is not None:
        document["id"] = form.id
    document["outputs"] = outputs
    head = json_body.dump(document)
    if not raw:
        return Written(head, media)
    return Written(b"".join((head, *raw)), BINARY, {LENGTH_HEADER: str(len(head))})


def describe(signature: Signature, method: str, rows: RowSchemas) -> Described:
    """Describe what :func:`decode` reads, which chooses the outputs, and what may be answered.

    Where there are raw bytes, the body is no JSON document, which a schema could describe.
    """
    takes = input_tensors(signature)
    inputs = {
        "type": "array",
        "prefixItems": [_tensor_schema(signature, tensor) for tensor in takes],
        "minItems": len(takes),
        "maxItems": len(takes),
    }
    asked = object_schema({"inputs": inputs}, id={"type": ["string", "null"]}) | {
        "description": "As many values in each data as its shape says; no output twice."
    }
    asked["properties"]["parameters"] = {
        "type": ["object", "null"],
        "properties": {"binary_data_output": {"type": "boolean"}},
    }
    tensors_of = [tensor for each in signature.methods for tensor in output_tensors(signature, each)]
    names = list(dict.fromkeys(name for tensor in tensors_of for name in (tensor.method, tensor.name)))
    chosen = {
        "type": ["object", "null"],
        "properties": {"binary_data": {"type": "boolean"}, "classification": {"enum": [0, False, None]}},
    }
    output = object_schema({"name": {"enum": names}}, parameters=chosen)
    asked["properties"]["outputs"] = {"type": ["array", "null"], "items": output}
    return Described(
        {json_body.MEDIA_TYPE: Body(asked, _example(signature, takes)), BINARY: Body(_BYTES)},
        {json_body.MEDIA_TYPE: Body(_reply_schema(tensors_of)), BINARY: Body(_BYTES)},
    )


_BYTES: Schema = {"description": f"JSON, of {LENGTH_HEADER} bytes, and raw bytes behind it."}


def _tensor_schema(signature: Signature, tensor: dict[str, Any]) -> Schema:
    frame = signature.container == "frame"
    column = signature.by_name[tensor["name"]] if frame else signature.inputs[0]
    # Here values are of the datatype; elsewhere an integer column takes fractions.
    value = value_schema(column) | ({"type": "integer"} if tensor["datatype"].startswith(("INT", "UINT")) else {})
    rows: Schema = {"type": "integer", "minimum": 1}
    dimensions = [rows, *({"const": size} for size in tensor["shape"][1:])]
    raw = ["binary_data_size", "shared_memory_region"]
    return object_schema(
        {
            "name": {"const": tensor["name"]} if frame else {"type": "string"},
            "shape": {
                "type": "array",
                "prefixItems": dimensions,
                # Of a single column, the rows may stand without a dimension for it.
                "minItems": 1 if dimensions[1:] == [{"const": 1}] else len(dimensions),
                "maxItems": len(dimensions),
            },
            "datatype": {"const": tensor["datatype"]},
            "data": {"type": "array", "items": value, "minItems": max(1, *tensor["shape"])},
        },
        parameters={"type": ["object", "null"], "propertyNames": {"not": {"enum": raw}}},
    )


def _example(signature: Signature, takes: list[dict[str, Any]]) -> dict[str, Any]:
    row = example_row(signature) if signature.container != "frame" else list(example_record(signature).values())
    wide = len(takes) == 1
    inputs = [
        {
            "name": tensor["name"],
            "shape": [1, *tensor["shape"][1:]],
            "datatype": tensor["datatype"],
            "data": row if wide else [row[index]],
        }
        for index, tensor in enumerate(takes)
    ]
    return {"inputs": inputs}


def _reply_schema(tensors_of: list[OutputTensor]) -> Schema:
    text: Schema = {"type": "string"}
    output = object_schema(
        {
            "name": {"enum": [tensor.name for tensor in tensors_of]},
            "shape": {"type": "array", "items": {"type": "integer"}},
            "datatype": text,
        },
        data={"type": "array"},
        parameters={"type": "object"},
    )
    outputs = {"type": "array", "items": output}
    return object_schema({"model_name": text, "model_version": text, "outputs": outputs}, id=text)
