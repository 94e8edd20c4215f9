"""Predictions without Flask's dispatch: a request becomes a Call here, and takes the same corridor.

Flask's routing and request context cost several times what a small prediction costs. ``POST /predict``
and its siblings are recognised by their path alone; everything else falls through to Flask.
"""

from __future__ import annotations

from dataclasses import dataclass

from app import door
from app.monitor import logs
from app.monitor.metrics import Metrics
from app.server.http1 import Request
from app.service import Reply, Service
from app.signature import METHODS

_METHODS = frozenset((*METHODS, "classify"))
_BARE = {f"/{method}".encode(): method for method in _METHODS}
# Beyond so many digits it is no version's number, and Flask says so.
_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Target:
    """What the path of a prediction asks for, and the route it counts under (Flask's own rule)."""

    route: str
    method: str
    model: str | None = None
    version: int | None = None


def match(request: Request) -> Target | None:
    """Return what a request to predict asks for; None for any other request."""
    if request.method != "POST":
        return None
    method = _BARE.get(request.target)
    if method is not None:
        return Target(f"/{method}", method)
    return _match_named(request.target)


def _match_named(path: bytes) -> Target | None:
    """Read ``/models/<name>/<method>`` and ``/models/<name>/versions/<version>/<method>``."""
    if not path.startswith(b"/models/") or b"?" in path or b"%" in path:
        return None
    parts = path.decode("latin-1").split("/")[2:]
    name, method = parts[0], parts[-1]
    if method not in _METHODS or not name:
        return None
    match parts[1:-1]:
        case []:
            return Target(f"/models/<name>/{method}", method, name)
        case ["versions", digits] if digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS:
            return Target(f"/models/<name>/versions/<int:version>/{method}", method, name, int(digits))
    return None


class HotPath:
    """The worker's own door to the corridor."""

    def __init__(self, service: Service, metrics: Metrics) -> None:
        self._service = service
        self._metrics = metrics

    def answer(self, target: Target, request: Request) -> Reply:
        """Answer one request to predict; whatever goes wrong is a problem document."""
        metrics = self._metrics
        started = metrics.request_started()
        header = request.header
        request_id = door.request_id(header)
        logs.request_id.set(request_id)
        logs.traceparent.set(header("traceparent"))
        try:
            call = door.read_call(target.method, target.model, target.version, header, request.body)
            reply = self._service.answer(call)
        except Exception as error:
            asked = f"{request.method} {request.target.decode('latin-1')}"
            reply = door.error_reply(error, asked, request_id)
        metrics.request_ended(target.route, reply.status, started)
        return Reply(reply.body, reply.content_type, {**reply.headers, "X-Request-Id": request_id}, reply.status)
