"""What every door does around a call, whether Flask dispatched the request or the worker's own path did.

A door knows how its requests hold their headers; it hands over a function that returns a header by its
lower-case name, empty where it was not sent.
"""

from __future__ import annotations

import logging
import os
import re
from http import HTTPStatus

from app import wire
from app.errors import ServiceError
from app.paths import Target
from app.service import Call, Header, Reply
from app.wire import codings, problem

log = logging.getLogger(__name__)

_VISIBLE = re.compile(r"[!-~]{1,128}")
_FAILED = "the service failed to answer; the request id leads to the trace in its log"


def request_id(header: Header) -> str:
    """Return the client's own request id where it is at most 128 visible ASCII characters, else a new one."""
    given = header("x-request-id")
    return given if given and _VISIBLE.fullmatch(given) else os.urandom(16).hex()


def api_key(header: Header) -> str | None:
    """Return the API key that was sent: ``Authorization: Bearer KEY`` or ``X-API-Key: KEY``."""
    authorization = header("authorization")
    if authorization:
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() == "bearer":
            return key.strip()
    return header("x-api-key") or None


def read_body(header: Header, body: bytes, limit: int) -> bytes:
    """Return a body without its Content-Encoding.

    Raises
    ------
    UnsupportedMediaType, MalformedBody, TooLarge
        The coding is not known, the body is not in it, or it inflates to more than `limit` bytes.
    """
    encoding = header("content-encoding")
    return codings.inflate(body, encoding, limit) if encoding else body


def read_call(asked: Target, header: Header, body: bytes) -> Call:
    """Make the Call of a request to predict, from what its path asks for, its headers and its body."""
    described_by = wire.DIALECTS[asked.dialect].described_by
    return Call(
        asked.method,
        body,
        asked.model,
        asked.version,
        header(described_by),
        header("accept"),
        api_key(header),
        asked.dialect,
        header,
        asked.place,
    )


def error_reply(error: Exception, asked: str, request_id: str, dialect: str = wire.OWN) -> Reply:
    """Turn what was raised into an error as the dialect writes it, a problem document where it is our own.

    An exception outside :class:`ServiceError` is ours: it leaves as an opaque 500, and the log has the
    trace; `asked` says there what was asked. The exception has no trace any more then: it holds every frame
    that it went through, with the body and what was read of it, and some of these frames hold the exception,
    so that all of it would stay until a full collection.
    """
    try:
        return _error_reply(error, asked, request_id, dialect)
    finally:
        raised: BaseException | None = error
        # An exception may be its own cause: one without a trace was here before.
        while raised is not None and raised.__traceback__ is not None:
            raised.__traceback__ = None
            raised = raised.__cause__ or raised.__context__


def _error_reply(error: Exception, asked: str, request_id: str, dialect: str) -> Reply:
    if isinstance(error, ServiceError):
        if wire.DIALECTS[dialect].error is not None:
            return status_reply(error.status, error.detail, request_id, error.headers, dialect)
        return Reply(problem.of_error(error, request_id), problem.MEDIA_TYPE, error.headers, status=int(error.status))
    log.error("%s failed", asked, exc_info=error)
    return status_reply(HTTPStatus.INTERNAL_SERVER_ERROR, _FAILED, request_id, dialect=dialect)


def status_reply(
    status: int, detail: str, request_id: str, headers: dict[str, str] | None = None, dialect: str = wire.OWN
) -> Reply:
    """Make the error of a bare HTTP status, as the dialect writes it."""
    write = wire.DIALECTS[dialect].error
    if write is not None:
        return Reply(write(status, detail), wire.JSON, headers or {}, status=int(status))
    return Reply(problem.of_status(status, detail, request_id), problem.MEDIA_TYPE, headers or {}, status=status)
