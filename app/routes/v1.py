"""TensorFlow Serving's REST API and KServe V1 beside their predictions: status and metadata."""

from __future__ import annotations

from flask import Blueprint, Response
from werkzeug.routing import BaseConverter

from app.errors import Unavailable
from app.routes.described import described
from app.routes.predict import as_json, sent_key
from app.service import Service
from app.wire import layout, v1


class _Word(BaseConverter):
    """A name or a label in a path; what follows a colon is no part of it, but a verb."""

    regex = "[^/:]+"


def blueprint(service: Service) -> Blueprint:
    """Make the routes below ``/v1`` that do not predict."""
    routes = Blueprint("v1", __name__, url_prefix="/v1/models")
    routes.record_once(lambda state: state.app.url_map.converters.update(word=_Word))
    models, keys = service.models, service.keys

    @routes.get("")
    @described("The models that are served", layout.NAMES)
    def names() -> Response:
        keys.require_any(sent_key())
        return as_json({"models": models.names()})

    @routes.get("/<word:name>")
    @routes.get("/<word:name>/versions/<int:version>")
    @routes.get("/<word:name>/labels/<word:label>")
    @described("Which versions answer")
    def status(name: str, version: int | None = None, label: str | None = None) -> Response:
        keys.require_any(sent_key())
        asked = label or version
        if not models.answers(name, asked):
            raise Unavailable(f"model {name!r} does not answer; the service's log says why")
        served = models.serving(name).served if asked is None else (models.manifest(name, asked).version,)
        return as_json(v1.status(name, served))

    @routes.get("/<word:name>/metadata")
    @routes.get("/<word:name>/versions/<int:version>/metadata")
    @routes.get("/<word:name>/labels/<word:label>/metadata")
    @described("What a model takes and answers")
    def metadata(name: str, version: int | None = None, label: str | None = None) -> Response:
        keys.require_any(sent_key())
        manifest = models.manifest(name, label or version)
        return as_json(v1.metadata(name, manifest.version, manifest.signature))

    return routes
