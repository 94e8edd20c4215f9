"""MLflow's scoring protocol, and with it SageMaker's: ``/invocations``."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from app.errors import InvalidRows, UnsupportedMediaType
from app.signature import Signature
from app.wire import csv_body, json_body
from app.wire.body import Decoded, Form
from app.wire.dialect import Answered, Served, Written
from app.wire.schemas import Body, Described, RowSchemas, answers_schema, example_row, object_schema
from app.wire.v1 import method_of, method_schema

_KEYS = ("dataframe_split", "dataframe_records", "instances", "inputs")
_OPTION = "params"
_TYPES = (json_body.MEDIA_TYPE, csv_body.MEDIA_TYPE)
ERROR_SCHEMA = object_schema({"error_code": {"type": "string"}, "message": {"type": "string"}})
# MLflow's own names (databricks.proto); any other fault of a client is a BAD_REQUEST.
_CODES = {
    HTTPStatus.UNAUTHORIZED: "UNAUTHENTICATED",
    HTTPStatus.FORBIDDEN: "PERMISSION_DENIED",
    HTTPStatus.NOT_FOUND: "RESOURCE_DOES_NOT_EXIST",
    HTTPStatus.TOO_MANY_REQUESTS: "REQUEST_LIMIT_EXCEEDED",
    HTTPStatus.INTERNAL_SERVER_ERROR: "INTERNAL_ERROR",
    HTTPStatus.SERVICE_UNAVAILABLE: "TEMPORARILY_UNAVAILABLE",
    HTTPStatus.GATEWAY_TIMEOUT: "DEADLINE_EXCEEDED",
}


def media_type(content_type: str) -> str:
    """Return the media type of a Content-Type; raises UnsupportedMediaType where it says anything else beside UTF-8."""
    if content_type == json_body.MEDIA_TYPE:
        return content_type
    media, *parameters = (part.strip().lower() for part in content_type.split(";"))
    if media not in _TYPES:
        raise UnsupportedMediaType(f"the Content-Type is {media[:100]!r}; send one of {', '.join(_TYPES)}")
    for parameter in parameters:
        if parameter.replace(" ", "") not in ("", "charset=utf-8", 'charset="utf-8"'):
            raise UnsupportedMediaType(f"the Content-Type says {parameter[:40]!r}; UTF-8 is all that is read here")
    return media


def decode(described: str, body: bytes, signature: Signature, max_rows: int) -> Decoded:
    """Read CSV, or an object with one of MLflow's keys and ``params``, of which ``method`` is obeyed.

    A bare NaN is a missing value, as MLflow's client writes it.

    Raises
    ------
    MalformedBody
        It is neither.
    InvalidRows, TooLarge
        It has none of the keys or several, the rows do not fit the signature, or there are more than `max_rows`.
    """
    if media_type(described) == csv_body.MEDIA_TYPE:
        return Decoded(csv_body.decode(body, signature, max_rows).batch, Form("predictions"))
    document = json_body.parse_with_nan(body)
    keys = document.keys() - {_OPTION} if isinstance(document, dict) else set()
    if len(keys) != 1 or not keys <= set(_KEYS):
        raise InvalidRows(
            f"the body must be an object with exactly one of {', '.join(_KEYS)}, and 'params' if you like"
        )
    (key,) = keys
    method = method_of(document.get(_OPTION), f"/{_OPTION}")
    batch, _ = json_body.read_under(key, document[key], signature, max_rows, body)
    return Decoded(batch, Form("predictions"), () if method is None else (method,))


def describe(signature: Signature, method: str, rows: RowSchemas) -> Described:
    """Describe what :func:`decode` reads, which chooses the method, and what may be answered."""
    option = {_OPTION: method_schema(signature)}
    asked = [json_body.object_under(key, signature, rows, **option) for key in _KEYS]
    split = {"columns": list(signature.names), "data": [example_row(signature)]}
    answers = {"anyOf": [answers_schema(signature.outputs[each]) for each in signature.methods]}
    reply = object_schema({"predictions": answers})
    return Described(
        {
            json_body.MEDIA_TYPE: Body({"oneOf": asked}, {"dataframe_split": split}),
            csv_body.MEDIA_TYPE: csv_body.describe_body(signature),
        },
        {json_body.MEDIA_TYPE: Body(reply), csv_body.MEDIA_TYPE: Body({"type": "string"})},
    )


def encode(answers: Sequence[Answered], form: Form, media: str, served: Served) -> Written:
    """Write the predictions, one for each row, as JSON or, where Accept wants it, as CSV."""
    ((_, output, answer),) = answers
    if media == csv_body.MEDIA_TYPE:
        return Written(csv_body.encode(answer, output, form), media)
    values = [json_body.jsonable(part) for part in answer] if isinstance(answer, list) else json_body.jsonable(answer)
    return Written(json_body.dump({form.key: values}), media)


def error(status: int, detail: str) -> bytes:
    """Write an error under one of MLflow's own codes."""
    return json_body.dump({"error_code": _CODES.get(HTTPStatus(status), "BAD_REQUEST"), "message": detail})
