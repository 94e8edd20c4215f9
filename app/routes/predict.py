"""``POST /predict`` and its siblings: a request becomes a Call, a Reply a response."""

from __future__ import annotations

from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from app import door
from app.errors import MalformedBody, TooLarge
from app.server.pool import PredictionPool
from app.service import Reply, Service
from app.signature import METHODS


def blueprint(service: Service, pool: PredictionPool) -> Blueprint:
    """Make the routes ``/<method>``, ``/models/<name>/<method>`` and ``/models/<name>/versions/<version>/<method>``."""
    routes = Blueprint("predict", __name__)

    def view(method: str, name: str | None = None, version: int | None = None) -> Response:
        call = door.read_call(method, name, version, sent_header, read_body())
        return to_response(pool.run(lambda: service.answer(call)))

    for method in (*METHODS, "classify", "explain"):
        for prefix in ("", "/models/<name>", "/models/<name>/versions/<int:version>"):
            routes.add_url_rule(
                f"{prefix}/{method}",
                f"{method}{prefix.count('<')}",
                view,
                methods=["POST"],
                defaults={"method": method},
            )
    return routes


def sent_header(name: str) -> str:
    """Return a header of the current request; empty where it was not sent."""
    return request.headers.get(name, "")


def sent_key() -> str | None:
    """Return the API key of the current request."""
    return door.api_key(sent_header)


def read_body() -> bytes:
    """Return the body of the current request; raises TooLarge or MalformedBody where there is none to take.

    A chunked body tells no length beforehand, and Flask would hand over a part of one that is too long.
    """
    limit = request.max_content_length or 0
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
