"""``POST /predict`` and its siblings: a request becomes a Call, a Reply a response."""

from __future__ import annotations

from flask import Blueprint, Response, request

from app.errors import UnsupportedMediaType
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
        body=request.get_data(cache=False),
        model=name,
        version=version,
        content_type=request.headers.get("Content-Type", ""),
        accept=request.headers.get("Accept", ""),
        key=sent_key(),
    )


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
