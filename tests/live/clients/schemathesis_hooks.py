"""What JSON Schema cannot say of a request, added to those that schemathesis makes to be accepted.

Bodies that are no JSON are made from the examples of the description; tensors get as many values as their shapes say.
"""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import numpy as np
import pyarrow as pa
import schemathesis
from schemathesis import GenerationMode
from schemathesis.core.parameters import ParameterLocation

CSV, NPY, ARROW = "text/csv", "application/x-npy", "application/vnd.apache.arrow.stream"
RAW = "application/octet-stream"


@schemathesis.serializer(CSV, NPY, ARROW, RAW)
def serialize(context: Any, value: Any) -> bytes:
    """Send the example, whatever was drawn: no schema says what is in these formats."""
    case = context.case
    examples = {each.media_type: each.definition.get("example") for each in case.operation.body}
    if case.media_type == RAW:
        return json.dumps(examples["application/json"]).encode()
    return table(examples[CSV], case.media_type)


@schemathesis.deserializer(CSV, RAW)
def read_text(context: Any, response: Any) -> Any:
    return response.content.decode(errors="replace")


@schemathesis.deserializer(NPY)
def read_array(context: Any, response: Any) -> Any:
    return np.load(io.BytesIO(response.content), allow_pickle=False).tolist()


@schemathesis.deserializer(ARROW)
def read_table(context: Any, response: Any) -> Any:
    with pa.ipc.open_stream(response.content) as reader:
        return reader.read_all().to_pylist()


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    body = case.meta and case.meta.components.get(ParameterLocation.BODY)
    if body and body.mode is GenerationMode.POSITIVE and case.path.endswith("/infer") and case.media_type != RAW:
        make_consistent(case.body)


def table(text: str, media: str) -> bytes:
    """Write a header and a row of CSV in another format."""
    if media == CSV:
        return text.encode()
    header, row = csv.reader(io.StringIO(text))
    values = [number(cell) for cell in row]
    stream = io.BytesIO()
    if media == NPY:
        np.save(stream, np.array([values]), allow_pickle=False)
        return stream.getvalue()
    batch = pa.record_batch([pa.array([value]) for value in values], names=header)
    with pa.ipc.new_stream(stream, batch.schema) as writer:
        writer.write_batch(batch)
    return stream.getvalue()


def number(cell: str) -> float | str | None:
    try:
        return float(cell)
    except ValueError:
        return cell or None


def make_consistent(request: dict[str, Any]) -> None:
    """Let every tensor have one row with all of its values, whole ones as such, and no output be asked for twice."""
    tensors = request["inputs"]
    for tensor in tensors:
        width = int(tensor["shape"][1]) if len(tensor["shape"]) > 1 else 1
        tensor["shape"] = [1, width] if len(tensor["shape"]) > 1 else [1]
        whole = tensor["datatype"].startswith(("INT", "UINT"))
        tensor["data"] = [int(value) if whole and value is not None else value for value in tensor["data"][:width]]
    named = {output["name"]: output for output in request.get("outputs") or []}
    if named:
        request["outputs"] = list(named.values())
