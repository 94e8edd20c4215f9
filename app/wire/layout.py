"""Which tensors a model takes and gives, as protocols that speak of tensors describe it, and what they write alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from app.signature import Output, Signature
from app.wire import json_body, tensors
from app.wire.schemas import object_schema

# The name of the only tensor of a model that takes an array.
TENSOR = "X"
# A list of what is served and an error, in either protocol.
NAMES = object_schema({"models": {"type": "array", "items": {"type": "string"}}})
ERROR = object_schema({"error": {"type": "string"}})


class OutputTensor(NamedTuple):
    """A tensor that a model can answer with: its name, the method (and which of its arrays) that it is of."""

    name: str
    method: str
    part: int | None
    output: Output


def output_tensors(signature: Signature, method: str) -> list[OutputTensor]:
    """List the tensors of a method's answer: one, or one for each of its arrays."""
    output = signature.outputs[method]
    if isinstance(output, Output):
        return [OutputTensor(method, method, None, output)]
    return [OutputTensor(f"{method}_{index}", method, index, part) for index, part in enumerate(output)]


def metadata(name: str, versions: Sequence[int], signature: Signature) -> dict[str, Any]:
    """Describe a model: one tensor for all columns of an array, one for each column of a table."""
    outputs = [
        {
            "name": tensor.name,
            "datatype": tensors.datatype_named(tensor.output.dtype),
            "shape": list(tensor.output.shape),
        }
        for method in signature.methods
        for tensor in output_tensors(signature, method)
    ]
    return {
        "name": name,
        "versions": list(map(str, versions)),
        "platform": "scikit-learn",
        "inputs": input_tensors(signature),
        "outputs": outputs,
    }


def input_tensors(signature: Signature) -> list[dict[str, Any]]:
    """List the tensors that a model takes, with -1 for the number of rows; columns that it ignores are left out."""
    first = signature.inputs[0]
    if signature.container == "frame":
        return [
            {"name": column.name, "datatype": tensors.input_datatype(column), "shape": [-1]}
            for column in signature.required
        ]
    shape = [-1, len(signature.inputs)] if signature.container in ("array", "objects") else [-1]
    name = first.name if signature.container == "texts" else TENSOR
    return [{"name": name, "datatype": tensors.input_datatype(first), "shape": shape}]


def error(status: int, detail: str) -> bytes:
    """Write an error, as :data:`ERROR` describes it."""
    return json_body.dump({"error": detail})
