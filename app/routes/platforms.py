"""What MLflow's clients, SageMaker and Vertex AI ask of a container beside predictions."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, Flask, Response
from werkzeug.routing import Map, Rule

from app import __version__
from app.errors import NotFound, Unavailable
from app.routes.described import described
from app.routes.predict import as_json
from app.service import Service
from app.settings import SettingsError

_MIB = 1024 * 1024


def check_predict_route(app: Flask, route: str | None) -> None:
    """Refuse to predict for Vertex on a path where the app answers something else; raises SettingsError."""
    own = Map(
        [
            Rule(rule.rule, endpoint=rule.endpoint)
            for rule in app.url_map.iter_rules()
            if not rule.endpoint.startswith("predict.") and rule.endpoint != "platforms.vertex_health"
        ],
        converters=app.url_map.converters,
    )
    if route is not None and own.bind("").test(route):
        raise SettingsError(
            f"AIP_PREDICT_ROUTE must be a path of its own, or one that predicts such as /predict, not {route!r}"
        )


def blueprint(service: Service) -> Blueprint:
    """Make ``/ping``, ``/health``, ``/version``, ``/execution-parameters``, and the route by which Vertex looks."""
    routes = Blueprint("platforms", __name__)
    settings, models = service.settings, service.models

    @routes.get("/ping")
    @routes.get("/health")
    @described("Whether a model answers", access="open", errors=(HTTPStatus.NOT_FOUND,))
    def ping() -> Response:
        if not models.ready:
            raise NotFound("no model answers")
        return as_json({"status": "ready"})

    @routes.get("/version")
    @described("The version of the service", {"type": "string"}, "text/plain", access="open")
    def version() -> Response:
        return Response(__version__, content_type="text/plain; charset=utf-8")

    @routes.get("/execution-parameters")
    @described("How SageMaker is to ask", access="open")
    def execution_parameters() -> Response:
        # SageMaker knows no part of a MiB.
        return as_json(
            {
                "MaxConcurrentTransforms": settings.web_concurrency,
                "BatchStrategy": "MULTI_RECORD",
                "MaxPayloadInMB": max(1, settings.max_body_bytes // _MIB),
            }
        )

    if settings.aip_health_route is not None:

        @routes.get(settings.aip_health_route)
        @described("Whether a model answers", access="open", errors=(HTTPStatus.SERVICE_UNAVAILABLE,))
        def vertex_health() -> Response:
            if not models.ready:
                raise Unavailable("no model answers yet")
            return as_json({"status": "ready"})

    return routes
