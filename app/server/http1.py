"""HTTP/1.0 and 1.1 requests, read from bytes as they come (RFC 9112).

llhttp, the parser of Node.js, does the reading (through httptools) and refuses most of what is used to
smuggle requests past a proxy: bare line feeds, folded headers, two lengths, a length with chunks. What it
lets through is refused here: a missing or second Host, chunks in HTTP/1.0, other protocols' request
lines, header names with underscores. Offers to upgrade are ignored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus

import httptools

_METHODS = frozenset((b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"TRACE", b"QUERY"))
_RTSP = b"RTSP/"
# RFC 3986, 3.2.2: a name or an address, in brackets where it is of IPv6, and a port.
_HOST = re.compile(r"(?:[\w.~%!$&'()*+,;=-]*|\[[0-9a-fA-F:.]+\])(?::\d*)?", re.ASCII)
_OFFERS = frozenset(("connection", "upgrade", "http2-settings"))
_SPELLINGS = (
    "Accept",
    "Accept-Encoding",
    "Authorization",
    "Connection",
    "Content-Encoding",
    "Content-Length",
    "Content-Type",
    "Host",
    "Inference-Header-Content-Length",
    "User-Agent",
    "X-API-Key",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Proto",
    "X-Real-IP",
    "X-Request-Id",
)
# The names that most requests carry, so that they need not be decoded and lowered each time.
_NAMES = {spelled.encode(): name.lower() for name in _SPELLINGS for spelled in (name, name.lower())}


class Refusal(Exception):
    """A request that is not answered by the app; the connection is closed after the reply.

    Its target is known where its head was read.
    """

    def __init__(
        self, status: HTTPStatus, detail: str, target: bytes = b"", headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.target = target
        self.headers = headers


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a stranger may send: bytes of the request line, of all headers and of the body; number of headers."""

    line: int = 8190
    head: int = 64 * 1024
    headers: int = 64
    header: int = 8190
    body: int = 16 * 1024 * 1024


@dataclass(slots=True)  # made for every request: freezing would triple what that costs
class Request:
    """One request, whole.

    Attributes
    ----------
    target: path and query, as sent.
    headers: by lower-case name; repeated ones are joined with a comma.
    keep_alive: whether the client keeps the connection open for another request.
    """

    method: str
    target: bytes
    version: str
    headers: dict[str, str]
    body: bytes
    keep_alive: bool

    def header(self, name: str) -> str:
        """Return a header by its lower-case name; empty where it was not sent."""
        return self.headers.get(name, "")


class RequestReader:
    """Turns what a connection receives into requests.

    Attributes
    ----------
    started: whether a part of a request was read.
    in_body: whether its head is complete.
    wants_continue: whether the client waits for ``100 Continue`` before it sends the body.
    """

    def __init__(self, limits: Limits) -> None:
        self.started = False
        self.in_body = False
        self.wants_continue = False
        self._limits = limits
        self._requests: list[Request] = []
        self._parser = httptools.HttpRequestParser(self)
        self._refusal: Refusal | None = None
        self._closed = False
        self._fed = 0
        self._recent = b""
        self._is_rtsp = False
        self._chunks: list[bytes] = []
        self._length = 0

    def feed(self, data: bytes) -> list[Request]:
        """Read on; returns the requests that are complete now.

        Raises
        ------
        Refusal
            What was sent is no request that may be answered; :meth:`taken` returns those that were complete before it.
        """
        if self._closed:
            return []
        if not self.in_body:
            self._fed += len(data)
            self._recent = self._recent[-len(_RTSP) :] + data
            self._is_rtsp = self._is_rtsp or _RTSP in self._recent
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            return self._after_upgrade(data[offer.args[0] :])
        except httptools.HttpParserError as fault:
            if self._closed:
                return self.taken()  # type: ignore[unreachable]  # a callback has set it
            raise self._refusal or Refusal(HTTPStatus.BAD_REQUEST, f"this is not HTTP: {fault}") from None
        if not self.in_body and self._fed > self._limits.head:
            raise _too_large("all headers together", self._limits.head)
        return self.taken()

    def taken(self) -> list[Request]:
        """Return the requests that are complete and were not returned yet."""
        requests, self._requests = self._requests, []
        return requests

    def _after_upgrade(self, rest: bytes) -> list[Request]:
        """Read the request again without its offer to speak something else, which would hide its body."""
        headers = {name: value for name, value in self._headers.items() if name not in _OFFERS}
        if "close" in self._headers.get("connection", "").lower():
            headers["connection"] = "close"
        line = f"{self._method.decode()} {self._target.decode('latin-1')} HTTP/1.1"
        head = "\r\n".join([line, *(f"{name}: {value}" for name, value in headers.items()), "", ""])
        self._parser = httptools.HttpRequestParser(self)
        return self.feed(head.encode("latin-1") + rest)

    @property
    def held(self) -> int:
        """How many bytes of a body that is not whole yet are kept here."""
        return self._length if self.in_body else 0

    def give_up(self) -> Refusal:
        """Read no more of a request, for want of room, and return what its client is to be told."""
        self._closed = True
        self._chunks = []
        self.started = self.in_body = False
        detail = "more bodies are on their way than this service has room for; try again shortly"
        return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, detail, self._target, {"Retry-After": "1"})

    def close(self) -> None:
        """Let go of what was read, and of what refers back to this: the parser, and the trace of a refusal."""
        self._closed = True
        self._chunks = []
        self._refusal = None
        del self._parser

    # What the parser calls

    def on_message_begin(self) -> None:
        """Begin a request."""
        self.started = True
        self.in_body = False
        self._target = b""
        self._headers: dict[str, str] = {}
        self._count = 0
        self._head = 0
        self._hosts = 0
        self._chunks = []
        self._length = 0

    def on_url(self, part: bytes) -> None:
        """Take a part of its target."""
        self._target += part
        if len(self._target) > self._limits.line:
            self._refuse(HTTPStatus.REQUEST_URI_TOO_LONG, f"the request line is longer than {self._limits.line} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or a trailer."""
        self._count += 1
        if self._count > self._limits.headers:
            self._refusal = Refusal(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"there are more than {self._limits.headers} headers"
            )
            raise self._refusal
        size = len(name) + len(value)
        self._head += size
        if size > self._limits.header:
            self._refusal = _too_large("a header", self._limits.header)
            raise self._refusal
        if self._head > self._limits.head:
            self._refusal = _too_large("all headers together", self._limits.head)
            raise self._refusal
        if self.in_body:
            return  # trailers after the last chunk say nothing that is asked
        key = _NAMES.get(name) or name.decode("latin-1").lower()
        if "_" in key:
            self._refuse(HTTPStatus.BAD_REQUEST, f"the header {key!r} has an underscore in its name; use '-'")
        text = value.decode("latin-1")
        if key == "host":
            self._hosts += 1
        if key in self._headers:
            text = f"{self._headers[key]},{text}"
        self._headers[key] = text

    def on_headers_complete(self) -> None:
        """Check its head."""
        self.in_body = True
        self._fed = 0
        headers, version = self._headers, self._parser.get_http_version()
        self._check_line(version)
        if self._hosts > 1 or (self._hosts == 0 and version == "1.1"):
            self._refuse(HTTPStatus.BAD_REQUEST, "HTTP/1.1 needs one Host header, and no more than one")
        if not _HOST.fullmatch(headers.get("host", "")):
            self._refuse(HTTPStatus.BAD_REQUEST, f"the Host {headers['host'][:40]!r} is no host")
        if "transfer-encoding" in headers and version == "1.0":
            self._refuse(HTTPStatus.BAD_REQUEST, "HTTP/1.0 knows no Transfer-Encoding")
        if headers.get("transfer-encoding", "chunked").strip().lower() != "chunked":
            self._refuse(HTTPStatus.BAD_REQUEST, "the only Transfer-Encoding that is read is chunked")
        if int(headers.get("content-length") or 0) > self._limits.body:
            self._refuse_body()
        if "expect" in headers and version == "1.1":
            if headers["expect"].lower() != "100-continue":
                self._refuse(HTTPStatus.EXPECTATION_FAILED, "the only expectation that is met is 100-continue")
            self.wants_continue = True

    def on_body(self, chunk: bytes) -> None:
        """Take a part of its body."""
        self.wants_continue = False
        self._length += len(chunk)
        if self._length > self._limits.body:
            self._refuse_body()
        self._chunks.append(chunk)

    def on_message_complete(self) -> None:
        """Keep it, whole."""
        if self._parser.should_upgrade():
            return
        # An idle connection keeps nothing of the last body.
        chunks, self._chunks = self._chunks, []
        keep_alive = self._parser.should_keep_alive()
        self._requests.append(
            Request(
                self._method.decode(),
                self._target,
                self._parser.get_http_version(),
                self._headers,
                chunks[0] if len(chunks) == 1 else b"".join(chunks),
                keep_alive,
            )
        )
        self.started = self.in_body = self.wants_continue = self._is_rtsp = False
        self._closed = not keep_alive

    def _check_line(self, version: str) -> None:
        if version not in ("1.1", "1.0"):
            self._refuse(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, f"HTTP/{version} is not spoken here; use HTTP/1.1")
        self._method = method = self._parser.get_method()
        # RTSP shares the method OPTIONS with HTTP, and llhttp reads its request lines too.
        if method not in _METHODS or (method == b"OPTIONS" and self._is_rtsp):
            self._refuse(HTTPStatus.NOT_IMPLEMENTED, f"the method {method.decode('latin-1')!r} is not known here")

    def _refuse_body(self) -> None:
        self._refuse(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the body is larger than {self._limits.body} bytes; send fewer rows at a time",
        )

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        # The parser wraps what a callback raises: feed() finds the refusal here.
        self._refusal = Refusal(status, detail, self._target)
        raise self._refusal


def _too_large(what: str, limit: int) -> Refusal:
    return Refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"{what} may have {limit} bytes at most")
