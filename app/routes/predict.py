"""``POST /predict`` and its siblings, in every dialect: a request becomes a Call, a Reply a response."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from app import door, wire
from app.errors import MalformedBody, TooLarge
from app.paths import Paths, Target
from app.server.pool import PredictionPool
from app.service import Reply, Service
from app.wire import json_body


def blueprint(service: Service, pool: PredictionPool, paths: Paths) -> Blueprint:
    """Make every route of :mod:`app.paths` that predicts."""
    routes = Blueprint("predict", __name__)
    for target in paths.rules():
        view = _view(target, service, pool)
        routes.add_url_rule(target.route, f"predict{target.route.replace('.', ' ')}", view, methods=["POST"])
    return routes


def _view(target: Target, service: Service, pool: PredictionPool) -> Callable[..., Response]:
    def view(name: str | None = None, version: int | None = None, label: str | None = None) -> Response:
        asked = replace(target, model=name, version=label or version)
        call = door.read_call(asked, sent_header, read_body())
        return to_response(pool.run(lambda: service.answer(call)))

    return view


def sent_header(name: str) -> str:
    """Return a header of the current request; empty where it was not sent."""
    return request.headers.get(name, "")


def sent_key() -> str | None:
    """Return the API key of the current request."""
    return door.api_key(sent_header)


def read_body() -> bytes:
    """Return the body of the current request, inflated; raises TooLarge, MalformedBody or UnsupportedMediaType.

    A chunked body tells no length beforehand, and Flask would hand over a part of one that is too long.
    """
    limit = request.max_content_length or 0
    return door.read_body(sent_header, _sent_body(limit), limit)


def _sent_body(limit: int) -> bytes:
    try:
        if request.content_length is not None:
            return request.get_data(cache=False)
        body: bytes = request.environ["wsgi.input"].read(limit + 1)
    except HTTPException:
        raise
    except Exception as fault:  # whatever a server raises for chunks that are none
        raise MalformedBody(f"the body cannot be read: {type(fault).__name__}") from fault
    if len(body) > limit:
        raise TooLarge(f"the body is larger than {limit} bytes; send fewer rows at a time")
    return body


def to_response(reply: Reply) -> Response:
    """Turn a Reply into a response."""
    response = Response(reply.body, reply.status, content_type=reply.content_type)
    response.headers.extend(reply.headers)
    return response


def as_json(document: Any) -> Response:
    """Answer with a JSON document."""
    return Response(json_body.dump(document), content_type=wire.JSON)
