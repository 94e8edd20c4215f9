"""What every request and response shares: ids, metrics, and errors in the dialect of who asks."""

from __future__ import annotations

from http import HTTPStatus

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from app import door
from app.monitor import logs
from app.monitor.metrics import Metrics
from app.paths import Paths
from app.routes.predict import sent_header, to_response


def register(app: Flask, metrics: Metrics, paths: Paths) -> None:
    """Give every request of `app` an id, a place in the metrics, and errors in the dialect of its path."""

    @app.before_request
    def begin() -> None:
        g.request_id = door.request_id(sent_header)
        logs.exchange.set((g.request_id, sent_header("traceparent")))
        g.started = metrics.request_started()

    @app.after_request
    def end(response: Response) -> Response:
        response.headers["X-Request-Id"] = g.request_id
        route = request.url_rule.rule if request.url_rule else "other"
        metrics.request_ended(route, response.status_code, g.started)
        return response

    @app.teardown_request
    def forget(_: BaseException | None) -> None:
        logs.exchange.set(("-", ""))

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        # Flask's own responses (redirects, Allow of a 405) keep their headers.
        response = error.get_response()
        status = response.status_code
        if status < HTTPStatus.BAD_REQUEST:
            return Response(response.response, status, response.headers)
        headers = {name: value for name, value in response.headers if name == "Retry-After"}
        if "Allow" in response.headers:
            headers["Allow"] = ", ".join(sorted(response.headers["Allow"].split(", ")))
        dialect = paths.dialect_of(request.path)
        return to_response(door.status_reply(status, _detail(error, status, headers), g.request_id, headers, dialect))

    @app.errorhandler(Exception)
    def failed(error: Exception) -> Response:
        dialect = paths.dialect_of(request.path)
        return to_response(door.error_reply(error, f"{request.method} {request.path}", g.request_id, dialect))


def _detail(error: HTTPException, status: int, headers: dict[str, str]) -> str:
    if status == HTTPStatus.NOT_FOUND:
        return f"there is no route {request.path[:200]!r}; POST /predict answers, GET /models lists what is served"
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return (
            f"{request.method} is not allowed on {request.path[:200]!r}; use {headers.get('Allow', 'another method')}"
        )
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return f"the body is larger than {request.max_content_length} bytes; send fewer rows at a time"
    return error.description or HTTPStatus(status).phrase
