"""The Open Inference Protocol beside its predictions: health, metadata, and the model repository extension."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response

from app import __version__, wire
from app.errors import InvalidRequest, NotFound, NotServed, StoreError, Unavailable
from app.routes.described import OBJECT, described
from app.routes.predict import as_json, read_body, sent_key
from app.service import Service
from app.store import ModelStore, upkeep
from app.wire import json_body, layout

_INDEX = wire.Body({"type": "object", "properties": {"ready": {"type": "boolean"}}}, {"ready": True})
_EXTENSIONS = ["binary_tensor_data", "model_repository"]


def blueprint(service: Service, catalog: ModelStore) -> Blueprint:
    """Make the routes below ``/v2`` that do not predict."""
    routes = Blueprint("v2", __name__, url_prefix="/v2")
    _add_health(routes, service)
    _add_metadata(routes, service)
    _add_repository(routes, service, catalog)
    return routes


def _add_health(routes: Blueprint, service: Service) -> None:
    models = service.models

    @routes.get("")
    @described("What this server speaks", access="open")
    def server() -> Response:
        return as_json({"name": "model-as-a-service", "version": __version__, "extensions": _EXTENSIONS})

    @routes.get("/health/live")
    @described("Whether the service lives", access="open")
    def live() -> Response:
        return as_json({"live": True})

    @routes.get("/health/ready")
    @described("Whether a model answers", access="open", errors=(HTTPStatus.SERVICE_UNAVAILABLE,))
    def ready() -> Response:
        if not models.ready:
            raise Unavailable("no model answers yet")
        return as_json({"ready": True})

    @routes.get("/models/<name>/ready")
    @routes.get("/models/<name>/versions/<int:version>/ready")
    @routes.get("/models/<name>/labels/<label>/ready")
    @described("Whether this model answers", access="open", errors=(HTTPStatus.SERVICE_UNAVAILABLE,))
    def model_ready(name: str, version: int | None = None, label: str | None = None) -> Response:
        if not models.answers(name, label or version):
            raise Unavailable(f"model {name!r} does not answer; the service's log says why")
        return as_json({"name": name, "ready": True})


def _add_metadata(routes: Blueprint, service: Service) -> None:
    models, keys = service.models, service.keys

    @routes.get("/models")
    @described("The models that are served", layout.NAMES)
    def names() -> Response:
        keys.require_any(sent_key())
        return as_json({"models": models.names()})

    @routes.get("/models/<name>")
    @routes.get("/models/<name>/versions/<int:version>")
    @routes.get("/models/<name>/labels/<label>")
    @described("The tensors that a model takes and answers")
    def model(name: str, version: int | None = None, label: str | None = None) -> Response:
        keys.require_any(sent_key())
        manifest = models.manifest(name, label or version)
        return as_json(layout.metadata(name, models.serving(name).served, manifest.signature))


def _add_repository(routes: Blueprint, service: Service, catalog: ModelStore) -> None:
    models, keys = service.models, service.keys

    @routes.post("/repository/index")
    @described("The models of the store", {"type": "array", "items": OBJECT}, body=_INDEX, optional=True)
    def index() -> Response:
        keys.require_any(sent_key())
        only_ready = _option(read_body(), "ready")
        states = [state for name in catalog.names() for state in _states(service, catalog, name)]
        return as_json([state for state in states if state["state"] == "READY" or not only_ready])

    @routes.post("/repository/models/<name>/load")
    @described("Let a model answer", access="admin")
    def load(name: str) -> Response:
        keys.require("admin", sent_key())
        _change(service, catalog, name, up=True)
        if not models.answers(name):
            raise Unavailable(f"model {name!r} is still being loaded")
        return as_json({})

    @routes.post("/repository/models/<name>/unload")
    @described("Let a model answer no more", access="admin")
    def unload(name: str) -> Response:
        keys.require("admin", sent_key())
        _change(service, catalog, name, up=False)
        return as_json({})


def _states(service: Service, catalog: ModelStore, name: str) -> list[dict[str, str]]:
    """List the versions of a model that are served, or its newest one where it is unloaded."""
    models = service.models
    try:
        served = models.serving(name).served
    except NotFound:
        newest = str(catalog.versions(name)[-1])
        return [{"name": name, "version": newest, "state": "UNAVAILABLE", "reason": "unloaded"}]
    states = []
    for version in served:
        well = models.answers(name, version)
        states.append(
            {
                "name": name,
                "version": str(version),
                "state": "READY" if well else "UNAVAILABLE",
                "reason": "" if well else "it cannot be loaded",
            }
        )
    return states


def _change(service: Service, catalog: ModelStore, name: str, *, up: bool) -> None:
    """Let a model answer, or no more; every worker follows within two seconds, and this one at once."""
    settings = service.settings
    try:
        catalog.existing(name)
    except StoreError as fault:
        raise NotFound(str(fault)) from fault
    try:
        if up:
            upkeep.load(catalog, name, allow_mismatch=settings.allow_version_mismatch)
        else:
            catalog.withdraw(name)
    except StoreError as fault:
        raise NotServed(str(fault)) from fault
    service.models.catch_up(name, settings.request_timeout)


def _option(body: bytes, name: str) -> bool:
    """Return a switch of a body, which may be empty."""
    document: Any = json_body.parse(body) if body.strip() else {}
    value = document.get(name, False) if isinstance(document, dict) else None
    if not isinstance(value, bool):
        raise InvalidRequest(f"the body must be an object, with {name!r} true or false")
    return value
