"""Predictions without Flask's dispatch: a request becomes a Call here, and takes the same corridor.

Flask's routing and request context cost several times what a small prediction costs. ``POST /predict``
and its siblings are recognised by their path alone; everything else falls through to Flask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app import door
from app.errors import ServiceError
from app.monitor import logs
from app.monitor.metrics import Metrics
from app.server.http1 import Request
from app.service import Call, Reply, Service
from app.signature import METHODS
from app.store.live import Version

_LOST = RuntimeError("a request was lost on its way")
_METHODS = frozenset((*METHODS, "classify"))
_BARE = {f"/{method}".encode(): method for method in _METHODS}
# Beyond so many digits it is no version's number, and Flask says so.
_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Target:
    """What the path of a prediction asks for, and the route it counts under (Flask's own rule).

    Where a split decides on the version, `place` is the caller's in it, and `drawn` the version there, 0 for the
    promoted one.
    """

    route: str
    method: str
    model: str | None = None
    version: Version = None
    place: float | None = None
    drawn: int | None = None


def match(request: Request) -> Target | None:
    """Return what a request to predict asks for; None for any other request."""
    if request.method != "POST":
        return None
    method = _BARE.get(request.target)
    if method is not None:
        return Target(f"/{method}", method)
    return _match_named(request.target)


def _match_named(path: bytes) -> Target | None:
    """Read ``/models/<name>/<method>``, with ``/versions/<version>`` or ``/labels/<label>`` in between."""
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
        case ["labels", label] if label:
            return Target(f"/models/<name>/labels/<label>/{method}", method, name, label)
    return None


@dataclass(slots=True)
class _Exchange:
    """A request on its way: what it asks, under which id, since when, and what came of it."""

    target: Target
    request: Request
    request_id: str
    started: float
    call: Call | None = None
    outcome: Reply | Exception = _LOST


class HotPath:
    """The worker's own door to the corridor."""

    def __init__(self, service: Service, metrics: Metrics) -> None:
        self._service = service
        self._metrics = metrics

    def find(self, request: Request) -> Target | None:
        """Return what a request to predict asks for, with its place in the split, if any; None for any other request.

        It is drawn before the request is answered: which version answers tells how long it will take.
        """
        target = match(request)
        models = self._service.models
        if target is None or target.version is not None or not models.traffic:
            return target
        caller = Call(target.method, b"", key=door.api_key(request.header), header=request.header)
        try:
            drawn = models.draw(target.model, caller)
        except ServiceError:  # the answer will say so
            return target
        return target if drawn is None else replace(target, place=drawn[0], drawn=drawn[1])

    def answer(self, target: Target, request: Request) -> Reply:
        """Answer one request to predict; whatever goes wrong is a problem document."""
        exchange = self._begin(target, request)
        if exchange.call is not None:
            try:
                exchange.outcome = self._service.answer(exchange.call)
            except Exception as error:
                exchange.outcome = error
        return self._end(exchange)

    def answer_all(self, asked: Sequence[tuple[Target, Request]]) -> list[Reply]:
        """Answer requests that were whole at the same time; each gets its own reply, in order."""
        if len(asked) == 1:
            return [self.answer(*asked[0])]
        exchanges = [self._begin(target, request) for target, request in asked]
        understood = [exchange for exchange in exchanges if exchange.call is not None]
        outcomes = self._service.answer_all([exchange.call for exchange in understood if exchange.call is not None])
        for exchange, outcome in zip(understood, outcomes, strict=True):
            exchange.outcome = outcome
        return [self._end(exchange) for exchange in exchanges]

    def _begin(self, target: Target, request: Request) -> _Exchange:
        exchange = _Exchange(target, request, door.request_id(request.header), self._metrics.request_started())
        self._mark(exchange)
        try:
            call = door.read_call(target.method, target.model, target.version, request.header, request.body)
            call.place = target.place
            exchange.call = call
        except ServiceError as error:
            exchange.outcome = error
        return exchange

    def _mark(self, exchange: _Exchange) -> None:
        """Let the log's lines from here on name this request."""
        logs.exchange.set((exchange.request_id, exchange.request.header("traceparent")))

    def _end(self, exchange: _Exchange) -> Reply:
        reply = exchange.outcome
        if isinstance(reply, Exception):
            self._mark(exchange)
            reply = door.error_reply(reply, f"POST {exchange.request.target.decode('latin-1')}", exchange.request_id)
        self._metrics.request_ended(exchange.target.route, reply.status, exchange.started)
        return Reply(
            reply.body, reply.content_type, {**reply.headers, "X-Request-Id": exchange.request_id}, reply.status
        )
