"""``POST /predict`` and its siblings: a request becomes a Call, a Reply a response."""

from __future__ import annotations

from flask import Blueprint, Response, request

from app.errors import TooLarge, UnsupportedMediaType
from app.server.pool import PredictionPool
from app.service import Call, Reply, Service
from app.signature import METHODS


def blueprint(service: Service, pool: PredictionPool) -> Blueprint:
    """Make the routes ``/<method>``, ``/models/<name>/<method>`` and ``/models/<name>/versions/<version>/<method>``."""
    routes = Blueprint("predict", __name__)

    def view(method: str, name: str | None = None, version: int | None = None) -> Response:
        call = read_call(method, name, version)
        answer = service.classify if method == "classify" else service.answer
        return to_response(pool.run(lambda: answer(call)))

    for method in (*METHODS, "classify"):
        for prefix in ("", "/models/<name>", "/models/<name>/versions/<int:version>"):
            routes.add_url_rule(
                f"{prefix}/{method}",
                f"{method}{prefix.count('<')}",
                view,
                methods=["POST"],
                defaults={"method": method},
            )
    return routes


def read_call(method: str, name: str | None, version: int | None) -> Call:
    """Turn the current request into a Call; raises UnsupportedMediaType for an encoded body."""
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise UnsupportedMediaType(f"the Content-Encoding is {encoding[:40]!r}; send the body as it is")
    return Call(
        method=method,
        body=read_body(),
        model=name,
        version=version,
        content_type=request.headers.get("Content-Type", ""),
        accept=request.headers.get("Accept", ""),
        key=sent_key(),
    )


def read_body() -> bytes:
    """Return the body of the current request; raises TooLarge where it passes MAX_BODY_BYTES.

    A chunked body tells no length beforehand, and Flask would hand over a part of one that is too long.
    """
    if request.content_length is not None:
        return request.get_data(cache=False)
    limit = request.max_content_length or 0
    body: bytes = request.environ["wsgi.input"].read(limit + 1)
    if len(body) > limit:
        raise TooLarge(f"the body is larger than {limit} bytes; send fewer rows at a time")
    return body


def sent_key() -> str | None:
    """Return the API key of the current request: ``Authorization: Bearer KEY`` or ``X-API-Key: KEY``."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return key.strip()
    return request.headers.get("X-API-Key")


def to_response(reply: Reply) -> Response:
    """Turn a Reply into a response."""
    response = Response(reply.body, content_type=reply.content_type)
    response.headers.extend(reply.headers)
    return response
