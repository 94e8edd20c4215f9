"""Predictions without Flask's dispatch: a request becomes a Call here, and takes the same corridor.

Flask's routing and request context cost several times what a small prediction costs. ``POST /predict``
and its siblings in every dialect are recognised by their path alone; everything else falls through to Flask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app import door
from app.errors import ServiceError
from app.monitor import logs
from app.monitor.metrics import Metrics
from app.paths import Paths, Target
from app.server.http1 import Request
from app.service import Call, Reply, Service

_LOST = RuntimeError("a request was lost on its way")


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
        self._paths = Paths(service.settings.aip_predict_route)

    def dialect_of(self, target: bytes) -> str:
        """Return the dialect in which whoever asks for `target` reads an error."""
        return self._paths.dialect_of(target.partition(b"?")[0].decode("latin-1"))

    def find(self, request: Request) -> Target | None:
        """Return what a request to predict asks for, with its place in the split, if any; None for any other request.

        It is drawn before the request is answered: which version answers tells how long it will take.
        """
        target = self._paths.match(request.target) if request.method == "POST" else None
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
        """Answer one request to predict; whatever goes wrong is an error in its dialect."""
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
            body = door.read_body(request.header, request.body, self._service.settings.max_body_bytes)
            exchange.call = door.read_call(target, request.header, body)
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
            asked = f"POST {exchange.request.target.decode('latin-1')}"
            reply = door.error_reply(reply, asked, exchange.request_id, exchange.target.dialect)
        self._metrics.request_ended(exchange.target.route, reply.status, exchange.started)
        return Reply(
            reply.body, reply.content_type, {**reply.headers, "X-Request-Id": exchange.request_id}, reply.status
        )
