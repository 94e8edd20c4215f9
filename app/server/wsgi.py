"""Requests for a WSGI app (PEP 3333), and replies as the bytes that go out."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote_to_bytes

from app.server.http1 import Request

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_PHRASES = {int(status): f"{int(status)} {status.phrase}" for status in HTTPStatus}
# These say how one connection is used (RFC 9110, 7.6.1): the worker's to write, not the app's.
_HOP_BY_HOP = frozenset(("connection", "keep-alive", "transfer-encoding", "date", "server"))


@dataclass(slots=True)  # made for every request: freezing would triple what that costs
class Response:
    """A reply as the app gave it. gunicorn's access log reads `status`, `headers` and `sent`."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def sent(self) -> int:
        """The length of the body."""
        return len(self.body)


def status_line(status: int) -> str:
    """Return a status with its phrase: ``404 Not Found``."""
    return _PHRASES.get(status, f"{status} Unknown")


def make_environ(request: Request, server: tuple[str, str], client: tuple[str, str]) -> dict[str, Any]:
    """Make the environment of a request; `server` and `client` are host and port, empty for a unix socket."""
    path, _, query = request.target.partition(b"?")
    if not path.startswith(b"/"):
        path = _path_of_absolute(path)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "RAW_URI": request.target.decode("latin-1"),
        "QUERY_STRING": query.decode("latin-1"),
        "SERVER_NAME": server[0] or "localhost",
        "SERVER_PORT": server[1] or "80",
        "SERVER_PROTOCOL": f"HTTP/{request.version}",
        "SERVER_SOFTWARE": "gunicorn",
        "REMOTE_ADDR": client[0],
        "REMOTE_PORT": client[1],
        "CONTENT_LENGTH": str(len(request.body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in request.headers.items():
        if name == "content-type":
            environ["CONTENT_TYPE"] = value
        elif name != "content-length":
            environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
    return environ


def _path_of_absolute(target: bytes) -> bytes:
    """Return the path of a target in absolute form (``http://host/path``); ``*`` stays as it is."""
    _, found, rest = target.partition(b"://")
    slash = rest.find(b"/")
    return (rest[slash:] if slash >= 0 else b"/") if found else target


def call_app(app: App, environ: dict[str, Any]) -> Response:
    """Ask a WSGI app; its whole answer is gathered before any of it is sent."""
    started: list[Any] = []
    written: list[bytes] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        started[:] = [status, headers]
        return written.append

    body = app(environ, start_response)
    try:
        written.extend(body)
    finally:
        close = getattr(body, "close", None)
        if close is not None:
            close()
    headers = [(name, value) for name, value in started[1] if name.lower() not in _HOP_BY_HOP]
    return Response(started[0], headers, b"".join(written))


class Serialiser:
    """Writes replies; the Date header is made once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._common = ""

    def serialise(self, response: Response, request: Request | None, *, keep_alive: bool) -> bytes:
        """Return a reply as bytes; `request` is None where what was sent was none."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._common = f"\r\nServer: gunicorn\r\nDate: {formatdate(second, usegmt=True)}"
        lines = [f"HTTP/1.1 {response.status}{self._common}"]
        if not keep_alive:
            lines.append("Connection: close")
        elif request is not None and request.version == "1.0":
            lines.append("Connection: keep-alive")
        lines += [f"{name}: {value}" for name, value in response.headers]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        return head if request is not None and request.method == "HEAD" else head + response.body
