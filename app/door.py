"""What every door does around a call, whether Flask dispatched the request or the worker's own path did.

A door knows how its requests hold their headers; it hands over a function that returns a header by its
lower-case name, empty where it was not sent.
"""

from __future__ import annotations

import logging
import os
import re
from http import HTTPStatus

from app.errors import ServiceError, UnsupportedMediaType
from app.service import Call, Header, Reply
from app.store.live import Version
from app.wire import problem

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


def read_call(method: str, model: str | None, version: Version, header: Header, body: bytes) -> Call:
    """Make the Call of a request to predict; raises UnsupportedMediaType for an encoded body."""
    encoding = header("content-encoding")
    if encoding and encoding.strip().lower() != "identity":
        raise UnsupportedMediaType(f"the Content-Encoding is {encoding[:40]!r}; send the body as it is")
    return Call(method, body, model, version, header("content-type"), header("accept"), api_key(header), header=header)


def error_reply(error: Exception, asked: str, request_id: str) -> Reply:
    """Turn what was raised into a problem document.

    An exception outside :class:`ServiceError` is ours: it leaves as an opaque 500, and the log has the
    trace; `asked` says there what was asked.
    """
    if isinstance(error, ServiceError):
        return Reply(problem.of_error(error, request_id), problem.MEDIA_TYPE, error.headers, status=int(error.status))
    log.error("%s failed", asked, exc_info=error)
    return status_reply(HTTPStatus.INTERNAL_SERVER_ERROR, _FAILED, request_id)


def status_reply(status: int, detail: str, request_id: str, headers: dict[str, str] | None = None) -> Reply:
    """Make the problem document of a bare HTTP status."""
    return Reply(problem.of_status(status, detail, request_id), problem.MEDIA_TYPE, headers or {}, status=status)
