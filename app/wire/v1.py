"""TensorFlow Serving's REST API, version 1, which KServe V1 and Vertex AI speak in part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.errors import InvalidRows
from app.signature import METHODS, Output, Signature
from app.wire import json_body, layout
from app.wire.body import Answer, Decoded
from app.wire.dialect import Answered, Served, Written
from app.wire.schemas import (
    Body,
    Described,
    RowSchemas,
    answer_schema,
    answers_schema,
    example_record,
    example_row,
    object_schema,
)
from app.wire.values import Schema

# TensorFlow's name of what is asked where no signature is named.
DEFAULT_SIGNATURE = "serving_default"
_ANSWERED = {"instances": "predictions", "inputs": "outputs"}
_DT = {"FP16": "DT_HALF", "FP32": "DT_FLOAT", "FP64": "DT_DOUBLE", "BYTES": "DT_STRING", "BOOL": "DT_BOOL"}


@dataclass(slots=True)
class Asked:
    """The key that the answers stand under, and whether each row's stand together (``instances``) or each output's."""

    key: str
    by_row: bool


def negotiate(content_type: str, accept: str) -> str:
    """Return the reply's media type: neither header has a say in this protocol."""
    return json_body.MEDIA_TYPE


def decode(described: str, body: bytes, signature: Signature, max_rows: int) -> Decoded:
    """Read ``{signature_name?, instances | inputs}``; the signature's name is the method that is asked.

    A bare NaN, as TensorFlow Serving takes it, is a missing value.

    Raises
    ------
    MalformedBody
        It is not JSON.
    InvalidRows, TooLarge
        It has other members, the rows do not fit the signature, or there are more than `max_rows`.
    """
    return _decode(body, signature, max_rows, "signature_name")


def decode_vertex(described: str, body: bytes, signature: Signature, max_rows: int) -> Decoded:
    """Read Vertex AI's ``{instances, parameters?}``, of which ``method`` is obeyed; raises as `decode` does."""
    return _decode(body, signature, max_rows, "parameters")


def _decode(body: bytes, signature: Signature, max_rows: int, option: str) -> Decoded:
    document = json_body.parse_with_nan(body)
    taken = ("instances", "inputs") if option == "signature_name" else ("instances",)
    keys = document.keys() - {option} if isinstance(document, dict) else set()
    if len(keys) != 1 or not keys <= set(taken):
        raise InvalidRows(
            f"the body must be an object with {' or '.join(map(repr, taken))}, and {option!r} if you like"
        )
    (key,) = keys
    given = document.get(option)
    method = method_of(given, "/parameters") if option == "parameters" else _signature_method(given, signature)
    value = _without_tensor_name(document[key], signature)
    batch, _ = json_body.read_under(key, value, signature, max_rows, body)
    return Decoded(batch, Asked(_ANSWERED[key], by_row=key == "instances"), () if method is None else (method,))


def describe(signature: Signature, method: str, rows: RowSchemas) -> Described:
    """Describe what :func:`decode` reads, which chooses the method, and what may be answered."""
    names = [DEFAULT_SIGNATURE, *signature.methods, "", None]
    return _describe(signature, rows, ("instances", "inputs"), {"signature_name": {"enum": names}})


def describe_vertex(signature: Signature, method: str, rows: RowSchemas) -> Described:
    """Describe what :func:`decode_vertex` reads, which chooses the method, and what may be answered."""
    return _describe(signature, rows, ("instances",), {"parameters": method_schema(signature)})


def _describe(signature: Signature, rows: RowSchemas, keys: Sequence[str], option: dict[str, Schema]) -> Described:
    asked = [json_body.object_under(key, signature, rows, **option) for key in keys]
    answered = []
    for key in keys:
        values = [_values_schema(signature, method, by_row=key == "instances") for method in signature.methods]
        answered.append(object_schema({_ANSWERED[key]: {"anyOf": values}}))
    frame = signature.container == "frame"
    row = example_record(signature) if frame else example_row(signature)
    texts = signature.container == "texts"
    example = {"instances": row if texts else [row]}
    return Described(
        {json_body.MEDIA_TYPE: Body({"oneOf": asked}, example)}, {json_body.MEDIA_TYPE: Body({"anyOf": answered})}
    )


def method_schema(signature: Signature) -> Schema:
    """Describe the parameters that :func:`method_of` reads."""
    return {"type": ["object", "null"], "properties": {"method": {"enum": [*signature.methods, None]}}}


def method_of(parameters: Any, where: str) -> str | None:
    """Return the method that the parameters of a request name, if they do.

    Others are left alone: the servers that this protocol is known from ignore what a model does not know, too.
    """
    if parameters is not None and not isinstance(parameters, dict):
        raise InvalidRows(f"{where}: must be an object")
    method = (parameters or {}).get("method")
    if method is not None and method not in METHODS:
        raise InvalidRows(f"{where}/method: must be one of {', '.join(METHODS)}")
    return method


def _signature_method(name: Any, signature: Signature) -> str | None:
    if name in (None, "", DEFAULT_SIGNATURE):
        return None
    if not isinstance(name, str) or name not in signature.outputs:
        known = ", ".join([DEFAULT_SIGNATURE, *signature.methods])
        raise InvalidRows(f"/signature_name: this model has no such signature; it has {known}")
    return name


def _without_tensor_name(value: Any, signature: Signature) -> Any:
    """Return the rows of a model of one tensor without that tensor's name, which a client may give or not."""
    if signature.container == "frame" or layout.TENSOR in signature.by_name:
        return value
    if isinstance(value, dict) and list(value) == [layout.TENSOR]:
        return value[layout.TENSOR]
    if isinstance(value, list) and all(isinstance(row, dict) and list(row) == [layout.TENSOR] for row in value):
        return [row[layout.TENSOR] for row in value]
    return value


def encode(answers: Sequence[Answered], form: Asked, media: str, served: Served) -> Written:
    """Write the predictions, one unnamed output or several by name."""
    ((method, _, answer),) = answers
    return Written(json_body.dump({form.key: _values(method, answer, by_row=form.by_row)}), media)


def encode_explained(answers: Sequence[Answered], form: Asked, explanations: Sequence[Mapping[str, Any]]) -> bytes:
    """Write the predictions as :func:`encode` does, and beside them an explanation for each row."""
    ((method, _, answer),) = answers
    return json_body.dump({form.key: _values(method, answer, by_row=form.by_row), "explanations": explanations})


def _values(method: str, answer: Answer, *, by_row: bool) -> Any:
    if not isinstance(answer, list):
        return json_body.jsonable(answer)
    named = {f"{method}_{index}": json_body.jsonable(part) for index, part in enumerate(answer)}
    if not by_row:
        return named
    return [dict(zip(named, row, strict=True)) for row in zip(*named.values(), strict=True)]


def _values_schema(signature: Signature, method: str, *, by_row: bool) -> Schema:
    output = signature.outputs[method]
    if isinstance(output, Output):
        return answers_schema(output)
    names = [tensor.name for tensor in layout.output_tensors(signature, method)]
    if not by_row:
        return {"type": "object", "properties": dict(zip(names, map(answers_schema, output), strict=True))}
    row = {"type": "object", "properties": dict(zip(names, map(answer_schema, output), strict=True))}
    return {"type": "array", "items": row}


def status(name: str, versions: Sequence[int]) -> dict[str, Any]:
    """Describe which versions answer, in TensorFlow Serving's words and in KServe's."""
    well = {"error_code": "OK", "error_message": ""}
    states = [{"version": str(version), "state": "AVAILABLE", "status": well} for version in versions]
    return {"name": name, "ready": True, "model_version_status": states}


def metadata(name: str, version: int, signature: Signature) -> dict[str, Any]:
    """Describe a model as TensorFlow Serving does: a signature for each method."""
    described = layout.metadata(name, [version], signature)
    inputs = {tensor["name"]: _tensor_info(tensor) for tensor in described["inputs"]}
    signatures = {}
    for method in signature.methods:
        names = {tensor.name for tensor in layout.output_tensors(signature, method)}
        outputs = {each["name"]: _tensor_info(each) for each in described["outputs"] if each["name"] in names}
        signatures[method] = {"inputs": inputs, "outputs": outputs, "method_name": "tensorflow/serving/predict"}
    signatures[DEFAULT_SIGNATURE] = signatures[signature.methods[0]]
    spec = {"name": name, "signature_name": "", "version": str(version)}
    return {"model_spec": spec, "metadata": {"signature_def": {"signature_def": signatures}}}


def _tensor_info(tensor: dict[str, Any]) -> dict[str, Any]:
    dimensions = [{"size": str(size), "name": ""} for size in tensor["shape"]]
    datatype = _DT.get(tensor["datatype"]) or f"DT_{tensor['datatype']}"
    return {
        "dtype": datatype,
        "tensor_shape": {"dim": dimensions, "unknown_rank": False},
        "name": tensor["name"],
    }
