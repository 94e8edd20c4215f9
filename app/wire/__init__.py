"""Bytes <-> Batch: what clients write and read, one module for each format."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

from app.errors import NotAcceptable, UnsupportedMediaType
from app.signature import Outputs, Signature
from app.wire import arrow_body, csv_body, json_body, layout, mlflow, npy_body, v1, v2
from app.wire.body import Answer, Decoded, Form
from app.wire.dialect import Answered, Dialect, Served, Written
from app.wire.schemas import Body, Described, RowSchemas, object_schema, row_components
from app.wire.values import Schema

__all__ = [
    "DIALECTS",
    "JSON",
    "OWN",
    "Answer",
    "Answered",
    "Body",
    "Decoded",
    "Described",
    "Dialect",
    "Form",
    "RowSchemas",
    "Schema",
    "Served",
    "acceptable",
    "decode",
    "decode_texts",
    "describe_texts",
    "dump",
    "encode",
    "encode_labels",
    "media_type",
    "object_schema",
    "row_components",
]

JSON = json_body.MEDIA_TYPE
dump = json_body.dump

_FORMATS: dict[str, ModuleType] = {
    json_body.MEDIA_TYPE: json_body,
    csv_body.MEDIA_TYPE: csv_body,
    npy_body.MEDIA_TYPE: npy_body,
    arrow_body.MEDIA_TYPE: arrow_body,
}
_SHOWN = ", ".join(_FORMATS)


def decode(content_type: str, body: bytes, signature: Signature, max_rows: int) -> Decoded:
    """Read a request's body as its Content-Type says, and check it against the signature.

    Raises
    ------
    UnsupportedMediaType
        No such format, or a charset other than UTF-8.
    MalformedBody, InvalidRows, TooLarge
        As the format's own ``decode`` says.
    """
    decoded: Decoded = _FORMATS[media_type(content_type)].decode(body, signature, max_rows)
    return decoded


def encode(answer: Answer, output: Outputs, form: Form, media: str) -> bytes:
    """Write the answer in the format `media`; raises NotAcceptable where it cannot hold it."""
    content: bytes = _FORMATS[media].encode(answer, output, form)
    return content


def decode_texts(content_type: str, body: bytes, signature: Signature, max_rows: int) -> Decoded:
    """Read the body of a ``/classify``: JSON with one text or a list of them; raises as :func:`decode` does."""
    if media_type(content_type) != JSON:
        raise UnsupportedMediaType(f'/classify reads {JSON}: send {{"text": "…"}}')
    return json_body.decode(body, signature, max_rows)


def encode_labels(labels: Answer, scores: Answer | None, form: Form) -> bytes:
    """Write the reply of a ``/classify``: ``{"label", "score"}`` for each text, a bare one for a bare text."""
    return json_body.encode_labels(labels, scores, form)


def media_type(content_type: str) -> str:
    """Return the media type of a Content-Type that this service reads.

    Raises
    ------
    UnsupportedMediaType
        It is missing, of a format not read here, or of a charset other than UTF-8.
    """
    if content_type == json_body.MEDIA_TYPE:
        return content_type
    media, *parameters = (part.strip().lower() for part in content_type.split(";"))
    if media not in _FORMATS:
        remedy = "send -H 'Content-Type: application/json', or one of" if media != "" else "send one of"
        said = repr(media[:100]) if media else "missing"
        raise UnsupportedMediaType(f"the Content-Type is {said}; {remedy} {_SHOWN}")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip(" \"'") not in ("utf-8", "utf8", "us-ascii"):
            raise UnsupportedMediaType(f"the charset is {value[:40]!r}; send UTF-8")
    return media


def acceptable(accept: str, asked_in: str, known: Sequence[str] = tuple(_FORMATS)) -> str:
    """Choose the reply's media type, one of `known`, from an Accept header (RFC 9110, 12.5.1).

    Where the header is missing or leaves it open, the reply comes in the format `asked_in`.

    Raises
    ------
    NotAcceptable
        The header admits none of the formats.
    """
    if accept in ("", "*/*"):
        return asked_in
    offers = [asked_in, *(media for media in known if media != asked_in)]
    ranges = sorted(map(_media_range, accept.split(",")), key=lambda entry: -entry[1])
    refused = {pattern for pattern, quality in ranges if quality <= 0}
    for pattern, quality in ranges:
        for offer in offers:
            if quality > 0 and offer not in refused and _matches(pattern, offer):
                return offer
    raise NotAcceptable(f"Accept is {accept[:100]!r}; the reply can be {', '.join(known)}")


def _media_range(text: str) -> tuple[str, float]:
    pattern, *parameters = (part.strip().lower() for part in text.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return pattern, float(parameter[2:])
            except ValueError:
                return pattern, 0.0
    return pattern, 1.0


def _matches(pattern: str, media: str) -> bool:
    return pattern in ("*/*", media) or (pattern.endswith("/*") and media.startswith(pattern[:-1]))


def _negotiate_own(content_type: str, accept: str) -> str:
    return acceptable(accept, media_type(content_type))


def _encode_own(answers: Sequence[Answered], form: Form, media: str, served: Served) -> Written:
    ((_, output, answer),) = answers
    return Written(encode(answer, output, form, media), media)


def _describe_own(signature: Signature, method: str, rows: RowSchemas) -> Described:
    requests = {
        JSON: json_body.describe_body(signature, rows),
        csv_body.MEDIA_TYPE: csv_body.describe_body(signature),
        arrow_body.MEDIA_TYPE: Body({"description": "Columns by name."}),
    }
    if npy_body.takes(signature):
        requests[npy_body.MEDIA_TYPE] = Body({"description": "An array of shape (n, n_features)."})
    replies = dict.fromkeys(_FORMATS, Body({})) | {
        JSON: json_body.describe_answer(signature, signature.outputs[method])
    }
    return Described(requests, replies)


def describe_texts(signature: Signature, rows: RowSchemas) -> Described:
    """Describe what :func:`decode_texts` reads and what :func:`encode_labels` writes."""
    return Described({JSON: json_body.describe_body(signature, rows)}, {JSON: json_body.describe_labels()})


def _negotiate_mlflow(content_type: str, accept: str) -> str:
    mlflow.media_type(content_type)
    return acceptable(accept, JSON, (JSON, csv_body.MEDIA_TYPE))


# The service's own, and those of other servers, whose clients work with this one.
OWN = "own"
DIALECTS = {
    OWN: Dialect(_negotiate_own, decode, _encode_own, _describe_own),
    "v1": Dialect(
        v1.negotiate,
        v1.decode,
        v1.encode,
        v1.describe,
        layout.error,
        layout.ERROR,
        encode_explained=v1.encode_explained,
    ),
    "v2": Dialect(
        v2.negotiate, v2.decode, v2.encode, v2.describe, layout.error, layout.ERROR, v2.LENGTH_HEADER.lower()
    ),
    "mlflow": Dialect(
        _negotiate_mlflow, mlflow.decode, mlflow.encode, mlflow.describe, mlflow.error, mlflow.ERROR_SCHEMA
    ),
    "vertex": Dialect(v1.negotiate, v1.decode_vertex, v1.encode, v1.describe_vertex, layout.error, layout.ERROR),
}
