"""``/models``: what is served, for everybody; and what only an administrator may see or change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response

from app import wire
from app.errors import InvalidRows, NotFound, NotServed, StoreError
from app.routes.predict import as_json, read_body, sent_key
from app.service import Service
from app.store import Manifest, ModelStore, Serving, upkeep
from app.wire import json_body

# What of a manifest anybody may read: no rows, no source, no statistics of the data.
_PUBLIC = ("name", "version", "created", "task", "signature", "methods", "library", "metrics")


def blueprint(service: Service, catalog: ModelStore) -> Blueprint:
    """Make the routes below ``/models`` that do not predict."""
    routes = Blueprint("models", __name__, url_prefix="/models")
    _add_public(routes, service)
    _add_admin(routes, service, catalog)
    return routes


def _add_public(routes: Blueprint, service: Service) -> None:
    models, keys = service.models, service.keys

    @routes.get("")
    def list_models() -> Response:
        keys.require_any(sent_key())
        listed = [_summary(name, models.serving(name), models.manifest(name)) for name in models.names()]
        return as_json({"models": listed})

    @routes.get("/<name>")
    def show_model(name: str) -> Response:
        keys.require_any(sent_key())
        serving = models.serving(name)
        return as_json(_public(models.manifest(name)) | _state(serving))

    @routes.get("/<name>/versions/<int:version>")
    def show_version(name: str, version: int) -> Response:
        keys.require_any(sent_key())
        return as_json(_public(models.manifest(name, version)))


def _add_admin(routes: Blueprint, service: Service, catalog: ModelStore) -> None:
    models, keys = service.models, service.keys
    allow_mismatch = service.settings.allow_version_mismatch

    @routes.post("/<name>/promote")
    def promote(name: str) -> Response:
        keys.require("admin", sent_key())
        version = _asked_version(read_body())
        try:
            catalog.path(name, version)
        except StoreError as fault:
            raise NotFound(str(fault)) from fault
        return _changed(name, lambda: upkeep.promote(catalog, name, version, allow_mismatch=allow_mismatch))

    @routes.post("/<name>/rollback")
    def rollback(name: str) -> Response:
        keys.require("admin", sent_key())
        models.serving(name)
        return _changed(name, lambda: upkeep.rollback(catalog, name, allow_mismatch=allow_mismatch))

    @routes.get("/<name>/versions/<int:version>/manifest")
    def show_manifest(name: str, version: int) -> Response:
        keys.require("admin", sent_key())
        return Response(_stored(catalog, name, version, "manifest.json"), content_type=wire.JSON)

    @routes.get("/<name>/versions/<int:version>/report")
    def show_report(name: str, version: int) -> Response:
        keys.require("admin", sent_key())
        report = Response(_stored(catalog, name, version, "report.html"), content_type="text/html; charset=utf-8")
        # A report shows strangers' column names and categories: whatever is in it must not run.
        report.headers["Content-Security-Policy"] = "sandbox"
        return report


def _changed(name: str, change: Callable[[], Serving]) -> Response:
    try:
        return as_json({"name": name} | _state(change()))
    except StoreError as fault:
        raise NotServed(str(fault)) from fault


def _summary(name: str, serving: Serving, manifest: Manifest) -> dict[str, Any]:
    return {"name": name, "version": manifest.version, "task": manifest.task, "methods": manifest.methods} | _state(
        serving
    )


def _state(serving: Serving) -> dict[str, Any]:
    return {"promoted": serving.promoted, "served": serving.served, "labels": serving.labels}


def _public(manifest: Manifest) -> dict[str, Any]:
    document = json_body.parse(manifest.to_json())
    return {field: document[field] for field in _PUBLIC}


def _asked_version(body: bytes) -> int:
    document = json_body.parse(body)
    version = document.get("version") if isinstance(document, dict) else None
    if not isinstance(version, int) or isinstance(version, bool):
        raise InvalidRows('the body must be {"version": N} with the number of a version')
    return version


def _stored(catalog: ModelStore, name: str, version: int, file: str) -> bytes:
    try:
        return (catalog.path(name, version) / file).read_bytes()
    except StoreError as fault:
        raise NotFound(str(fault)) from fault
    except OSError as fault:
        raise NotFound(f"{name} version {version} has no {file}") from fault
