"""What a protocol is to the corridor: how it writes its requests, its replies and its errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.signature import Outputs, Signature
from app.wire.body import Answer, Decoded


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
    error: writes an error from its status and detail; None where it is a problem document.
    described_by: the header that says how a body is to be read.
    """

    negotiate: Callable[[str, str], str]
    decode: Callable[[str, bytes, Signature, int], Decoded]
    encode: Callable[[Sequence[Answered], Any, str, Served], Written]
    error: Callable[[int, str], bytes] | None = None
    described_by: str = "content-type"
