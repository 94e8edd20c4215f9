"""What a protocol is to the corridor: how it writes its requests, its replies and its errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from app.signature import Outputs, Signature
from app.wire import problem
from app.wire.body import Answer, Decoded
from app.wire.schemas import Described, RowSchemas
from app.wire.values import Schema


class Answered(NamedTuple):
    """What a model has answered to one of its methods."""

    method: str
    output: Outputs
    answer: Answer


class Served(NamedTuple):
    """Who has answered."""

    name: str
    version: int


class Written(NamedTuple):
    """A reply as it goes out; `headers` are those that its protocol adds."""

    body: bytes
    content_type: str
    headers: Mapping[str, str] = {}


@dataclass(frozen=True)
class Dialect:
    """How one protocol writes.

    Attributes
    ----------
    negotiate: chooses the reply's media type from the headers Content-Type and Accept; raises
        UnsupportedMediaType or NotAcceptable.
    decode: reads a body, from what the header `described_by` says, the bytes, the signature and the most rows;
        raises MalformedBody, InvalidRows or TooLarge.
    encode: writes what was answered, from the form that was decoded and the media type that was negotiated.
    describe: says in JSON Schema what a model's method takes and answers; the method is empty where bodies choose it.
    error: writes an error from its status and detail; None where it is a problem document.
    error_schema: what an error is.
    described_by: the header that says how a body is to be read.
    encode_explained: writes what was answered and, for each row, its explanation; None where the explanations of all
        rows are one document, the service's own.
    """

    negotiate: Callable[[str, str], str]
    decode: Callable[[str, bytes, Signature, int], Decoded]
    encode: Callable[[Sequence[Answered], Any, str, Served], Written]
    describe: Callable[[Signature, str, RowSchemas], Described]
    error: Callable[[int, str], bytes] | None = None
    error_schema: Schema = field(default_factory=lambda: problem.SCHEMA)
    described_by: str = "content-type"
    encode_explained: Callable[[Sequence[Answered], Any, Sequence[Mapping[str, Any]]], bytes] | None = None
