"""``/models``: what is served, for everybody; and what only an administrator may see or change."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flask import Blueprint, Response, request

from app import wire
from app.errors import InvalidRequest, InvalidValue, NotFound, NotServed, StoreError
from app.routes import asked
from app.routes.described import PAGE_OR_DOCUMENT, described
from app.routes.predict import as_json, read_body, sent_key
from app.service import Service
from app.store import Manifest, ModelStore, Serving, read_attachment, upkeep
from app.wire import json_body

# What of a manifest anybody may read: no rows, no source, no statistics of the data.
_PUBLIC = ("name", "version", "created", "task", "signature", "methods", "library", "metrics")
# The first is what a browser gets, and who accepts anything.
_REPORTS = {"text/html": "report.html", "application/json": "report.json"}
_SHOWN: wire.Schema = {"type": "object", "required": list(_PUBLIC)}
_LISTED = wire.object_schema(
    {"models": {"type": "array", "items": {"type": "object", "required": ["name", "version", "task"]}}}
)
# A report shows strangers' column names and categories: whatever is in it must not run, or fetch anything.
_REPORT_HEADERS = {
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    "X-Content-Type-Options": "nosniff",
    "Vary": "Accept",
}


def blueprint(service: Service, catalog: ModelStore) -> Blueprint:
    """Make the routes below ``/models`` that do not predict."""
    routes = Blueprint("models", __name__, url_prefix="/models")
    _add_public(routes, service, catalog)
    _add_admin(routes, service, catalog)
    return routes


def _add_public(routes: Blueprint, service: Service, catalog: ModelStore) -> None:
    models, keys = service.models, service.keys

    @routes.get("")
    @described("The models that are served", _LISTED)
    def list_models() -> Response:
        keys.require_any(sent_key())
        listed = [_summary(name, models.serving(name), models.manifest(name)) for name in models.names()]
        return as_json({"models": listed})

    @routes.get("/<name>")
    @described("A model: the version that answers, and what of it is served", _SHOWN)
    def show_model(name: str) -> Response:
        keys.require_any(sent_key())
        serving = models.serving(name)
        refused = {str(version): why for version, why in models.refused(name).items()}
        more = {"refused": refused, "versions": catalog.versions(name)}
        return as_json(_public(models.manifest(name)) | serving.as_dict() | more)

    @routes.get("/<name>/versions/<int:version>")
    @described("A version", _SHOWN)
    def show_version(name: str, version: int) -> Response:
        keys.require_any(sent_key())
        return as_json(_public(models.manifest(name, version)))

    @routes.get("/<name>/labels/<label>")
    @described("The version of a label", _SHOWN)
    def show_labelled(name: str, label: str) -> Response:
        keys.require_any(sent_key())
        return as_json(_public(models.manifest(name, label)))


def _add_admin(routes: Blueprint, service: Service, catalog: ModelStore) -> None:
    models, keys = service.models, service.keys
    allow_mismatch = service.settings.allow_version_mismatch

    @routes.post("/<name>/promote")
    @described("Let another version answer", access="admin", body=asked.VERSION)
    def promote(name: str) -> Response:
        keys.require("admin", sent_key())
        version = asked.version(read_body())
        _require(catalog, name, [version])
        return _changed(name, lambda: upkeep.promote(catalog, name, version, allow_mismatch=allow_mismatch))

    @routes.post("/<name>/rollback")
    @described("Let the version promoted before answer again", access="admin")
    def rollback(name: str) -> Response:
        keys.require("admin", sent_key())
        models.serving(name)
        return _changed(name, lambda: upkeep.rollback(catalog, name, allow_mismatch=allow_mismatch))

    @routes.post("/<name>/labels")
    @described("Give a version a label, or take it away", access="admin", body=asked.LABEL)
    def label(name: str) -> Response:
        keys.require("admin", sent_key())
        label, version = asked.label(read_body())
        if version is None:
            models.serving(name)
            return _changed(name, lambda: catalog.unlabel(name, label))
        _require(catalog, name, [version])
        return _changed(name, lambda: catalog.label(name, version, label))

    @routes.post("/<name>/split")
    @described("Divide the requests among versions", access="admin", body=asked.SPLIT)
    def split(name: str) -> Response:
        keys.require("admin", sent_key())
        shares, sticky = asked.split(read_body())
        models.serving(name)
        _require(catalog, name, shares)
        return _changed(name, lambda: upkeep.split(catalog, name, shares, sticky, allow_mismatch=allow_mismatch))

    @routes.post("/<name>/shadow")
    @described("Let a version answer unseen", access="admin", body=asked.SHADOW)
    def shadow(name: str) -> Response:
        keys.require("admin", sent_key())
        wanted = asked.shadow(read_body())
        models.serving(name)
        _require(catalog, name, [wanted.version] if wanted else [])
        return _changed(name, lambda: upkeep.shadow(catalog, name, wanted, allow_mismatch=allow_mismatch))

    @routes.get("/<name>/versions/<int:version>/manifest")
    @described("Everything that is known of a version", access="admin")
    def show_manifest(name: str, version: int) -> Response:
        keys.require("admin", sent_key())
        return Response(_stored(catalog, name, version, "manifest.json"), content_type=wire.JSON)

    @routes.get("/<name>/versions/<int:version>/report")
    @described("The report of its training", access="admin", replies=PAGE_OR_DOCUMENT)
    def show_report(name: str, version: int) -> Response:
        keys.require("admin", sent_key())
        media = request.accept_mimetypes.best_match(_REPORTS, "text/html")
        report = Response(_report(catalog, name, version, _REPORTS[media]), mimetype=media)
        report.headers.update(_REPORT_HEADERS)
        return report


def _changed(name: str, change: Callable[[], Serving]) -> Response:
    try:
        serving = change()
        return as_json({"name": name} | serving.as_dict())
    except InvalidValue as fault:
        raise InvalidRequest(str(fault)) from fault
    except StoreError as fault:
        raise NotServed(str(fault)) from fault


def _require(catalog: ModelStore, name: str, versions: Iterable[int]) -> None:
    """Raise NotFound where a version is not in the store."""
    try:
        for version in versions:
            catalog.path(name, version)
    except StoreError as fault:
        raise NotFound(str(fault)) from fault


def _summary(name: str, serving: Serving, manifest: Manifest) -> dict[str, Any]:
    return {
        "name": name,
        "version": manifest.version,
        "task": manifest.task,
        "methods": manifest.methods,
    } | serving.as_dict()


def _public(manifest: Manifest) -> dict[str, Any]:
    document = json_body.parse(manifest.to_json())
    return {field: document[field] for field in _PUBLIC}


def _report(catalog: ModelStore, name: str, version: int, file: str) -> bytes:
    try:
        catalog.path(name, version)
    except StoreError as fault:
        raise NotFound(str(fault)) from fault
    try:
        content = read_attachment(catalog, name, version, file)
    except StoreError as fault:
        raise NotServed(str(fault)) from fault
    if content is None:
        raise NotFound(f"{name} version {version} has no report; scripts/train.py writes one, scripts/register.py none")
    return content


def _stored(catalog: ModelStore, name: str, version: int, file: str) -> bytes:
    try:
        return (catalog.path(name, version) / file).read_bytes()
    except StoreError as fault:
        raise NotFound(str(fault)) from fault
    except OSError as fault:
        raise NotFound(f"{name} version {version} has no {file}") from fault
