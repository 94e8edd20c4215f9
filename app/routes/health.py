"""``/healthz``, ``/readyz`` and ``/metrics``."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, Response

from app.errors import Unavailable
from app.monitor import metrics
from app.routes.described import described
from app.routes.predict import as_json, sent_key
from app.service import Service


def blueprint(service: Service) -> Blueprint:
    """Make the routes that say how the service is."""
    routes = Blueprint("health", __name__)

    @routes.get("/healthz")
    @described("Whether the service lives", access="open")
    def alive() -> Response:
        return as_json({"status": "alive"})

    @routes.get("/readyz")
    @described("Whether a model answers", access="open", errors=(HTTPStatus.SERVICE_UNAVAILABLE,))
    def ready() -> Response:
        if service.models.ready:
            return as_json({"status": "ready"})
        if not service.models.names():
            # Says what to do where there is no model at all.
            service.models.default_name()
        raise Unavailable("the models are still being loaded, or none of them can be; the log says which")

    @routes.get("/metrics")
    @described("Metrics of all workers, for Prometheus", {"type": "string"}, metrics.CONTENT_TYPE)
    def exposition() -> Response:
        service.keys.require_any(sent_key())
        return Response(service.metrics.exposition(), content_type=metrics.CONTENT_TYPE)

    return routes
