"""``/openapi.json``: the service described in OpenAPI 3.1, from the tables that route, read and write.

https://spec.openapis.org/oas/v3.1.1
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Flask, Response, current_app, request
from werkzeug.routing import Rule

from app import __version__, explain, wire
from app.errors import ServiceError
from app.paths import Paths, Target
from app.routes.described import Access, Operation, described, operation_of
from app.routes.predict import sent_key
from app.service import CLASSIFY, EXPLAIN, Service
from app.store import Manifest
from app.store.live import Version
from app.wire import problem

_TAGS = {
    wire.OWN: "Predictions",
    "v2": "Open Inference Protocol",
    "v1": "TensorFlow Serving and KServe V1",
    "mlflow": "MLflow and SageMaker",
    "vertex": "Vertex AI",
}
_MODELS, _SERVICE, _ADMINISTRATION = "Models", "Service", "Administration"
# As they are shown, each with its routes.
_ORDER = dict.fromkeys([_TAGS[wire.OWN], _MODELS, _SERVICE, _ADMINISTRATION, *_TAGS.values()])
_SUMMARIES = {
    "predict": "Predict",
    "predict_proba": "The probability of each class",
    "predict_log_proba": "The logarithm of the probability of each class",
    "decision_function": "The score of each class",
    "transform": "Transform",
    "score_samples": "The score of each row",
    CLASSIFY: "The label of a text, and its probability",
    EXPLAIN: "What each input adds to the output",
    "": "Predict, or whatever else the body asks",
}
# With more, the description would be too much to read, and to make.
_MOST_MODELS = 50
_DESCRIPTION = (
    f"Each model that is served has its own rows, and an example that works: the first {_MOST_MODELS} by name, "
    "any other at `/openapi.json?model=NAME`, where versions and labels are described as well."
)
_SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"key": []}]
_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
_HEADERS = {
    "X-Request-Id": {"description": "Leads to this request in the service's log.", "schema": {"type": "string"}},
    "X-Model-Name": {"description": "The model that answered.", "schema": {"type": "string"}},
    "X-Model-Version": {"description": "Its version.", "schema": {"type": "string", "pattern": "^[0-9]+$"}},
}
# An argument in a rule of Flask's, as ``<int:version>``, and the values that it takes.
_ARGUMENT = re.compile(r"<(?:(\w+):)?(\w+)>")
_OF_CONVERTERS: dict[str, wire.Schema] = {"int": {"type": "integer", "minimum": 0, "maximum": 999_999_999}}
_ANY_WORD: wire.Schema = {"type": "string", "minLength": 1}
_ERRORS_OF_BODIES = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)
_ERRORS_OF_PREDICTIONS = tuple(dict.fromkeys(each.status for each in ServiceError.__subclasses__()))


def blueprint(service: Service, paths: Paths) -> Blueprint:
    """Make the route of the description."""
    routes = Blueprint("openapi", __name__)

    @functools.lru_cache(maxsize=8)
    def written(predictions: _Predictions) -> bytes:
        return wire.dump(describe(current_app, service, paths, predictions))

    @routes.get("/openapi.json")
    @described("This description", query={"model": {"type": "string"}}, errors=(HTTPStatus.NOT_FOUND,))
    def document() -> Response:
        service.keys.require_any(sent_key())
        predictions = _Predictions(_predictions(service, paths, request.args.get("model")))
        return Response(written(predictions), content_type=wire.JSON)

    return routes


class _Predictions(tuple[tuple[Target, Manifest], ...]):
    """What can be asked, of which versions; equal where the description would be the same."""

    def _key(self) -> tuple[Any, ...]:
        return tuple((target, told.name, told.version, told.created) for target, told in self)

    def __hash__(self) -> int:
        return hash(self._key())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Predictions) and self._key() == other._key()


def describe(
    app: Flask, service: Service, paths: Paths, predictions: Iterable[tuple[Target, Manifest]]
) -> dict[str, Any]:
    """Describe the routes of the service, and what can be asked of which versions."""
    writer = _Writer(service.keys.is_open)
    for rule in app.url_map.iter_rules():
        operation = operation_of(app.view_functions[rule.endpoint])
        if operation is not None:
            writer.add_route(rule, operation, paths.dialect_of(rule.rule))
    for target, manifest in predictions:
        writer.add_prediction(target, manifest, service.settings.max_rows)
    return {
        "openapi": "3.1.1",
        "info": {"title": "Model-as-a-Service", "version": __version__, "description": _DESCRIPTION},
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in _ORDER if name in writer.tags],
        "paths": writer.paths,
        "components": {
            "schemas": writer.schemas,
            "responses": writer.responses,
            "headers": _HEADERS,
            "securitySchemes": _SCHEMES,
        },
    }


def _predictions(service: Service, paths: Paths, only: str | None) -> Iterator[tuple[Target, Manifest]]:
    """Yield what can be asked, with the version that answers: of the first models, or of one model `only`.

    Versions and labels are left out unless there is one; raises NotFound where there is no such model.
    """
    models = service.models
    names = models.names()[:_MOST_MODELS] if only is None else [only]
    served = [(name, models.serving(name)) for name in names]
    for target in paths.rules():
        if "<name>" not in target.route:
            default = _default(service, target.method)
            if default is not None and only in (None, default) and (manifest := _manifest(service, default)):
                yield target, manifest
            continue
        for name, serving in served:
            versions: Iterable[int | str | None] = [None]
            if "<int:version>" in target.route:
                versions = serving.served if only else ()
            elif "<label>" in target.route:
                versions = serving.labels if only else ()
            for version in versions:
                if manifest := _manifest(service, name, version):
                    yield replace(target, model=name, version=version), manifest


def _manifest(service: Service, name: str, version: Version = None) -> Manifest | None:
    """Return what is known of a version; None where its manifest is damaged, which hides no other model."""
    try:
        return service.models.manifest(name, version)
    except ServiceError:
        return None


def _default(service: Service, method: str) -> str | None:
    try:
        return service.models.text_name() if method == CLASSIFY else service.models.default_name()
    except ServiceError:
        return None


@dataclass
class _Writer:
    """The description as it grows; what is said in many places is written once, and referred to."""

    is_open: bool
    paths: dict[str, dict[str, Any]] = field(default_factory=dict)
    schemas: dict[str, wire.Schema] = field(default_factory=dict)
    responses: dict[str, dict[str, Any]] = field(default_factory=dict)
    tags: set[str] = field(default_factory=set)

    def add_route(self, rule: Rule, operation: Operation, dialect: str) -> None:
        """Add a route that does not predict, from what was said beside it."""
        path, parameters = _path_of(rule)
        parameters += [{"name": name, "in": "query", "schema": schema} for name, schema in operation.query.items()]
        errors = [*operation.errors]
        errors += [HTTPStatus.NOT_FOUND] * bool(rule.arguments)
        errors += _ERRORS_OF_BODIES * (operation.body is not None)
        tag = _ADMINISTRATION if operation.access == "admin" else _tag_of(path, dialect)
        told = self._write(replace(operation, errors=tuple(errors)), tag, dialect, ("X-Request-Id",))
        if parameters:
            told["parameters"] = parameters
        if operation.body is not None:
            content = {wire.JSON: _media(operation.body)}
            told["requestBody"] = {"required": not operation.optional, "content": content}
        for method in rule.methods or ():
            if method in ("GET", "POST"):
                self.paths.setdefault(path, {})[method.lower()] = told

    def add_prediction(self, target: Target, manifest: Manifest, max_rows: int) -> None:
        """Add a way to ask a version, unless it has no answer to it."""
        signature = manifest.signature
        if not _answers(manifest, target):
            return
        rows = self._rows(manifest, max_rows)
        dialect = wire.DIALECTS[target.dialect]
        if target.method == CLASSIFY:
            told = wire.describe_texts(signature, rows)
        elif target.method == EXPLAIN:
            asked = dialect.describe(signature, signature.methods[0], rows)
            told = wire.Described(asked.requests, {wire.JSON: wire.Body(_explained(dialect, asked))})
        else:
            told = dialect.describe(signature, target.method, rows)
        prefix = f"{manifest.name}.{manifest.version}.{target.dialect}"
        operation = Operation(
            f"{_SUMMARIES[target.method]}: {manifest.name} {manifest.version}",
            self._share(told.replies, f"{prefix}-{target.method}-reply"),
            errors=_ERRORS_OF_PREDICTIONS,
        )
        written = self._write(operation, _TAGS[target.dialect], target.dialect, _HEADERS)
        requests = self._share(told.requests, f"{prefix}-request")
        content = {media: _media(body) for media, body in requests.items()}
        written["requestBody"] = {"required": True, "content": content}
        path = target.route.replace("<name>", manifest.name)
        path = path.replace("<int:version>", str(target.version)).replace("<label>", str(target.version))
        self.paths[path] = {"post": written}

    def _rows(self, manifest: Manifest, max_rows: int) -> wire.RowSchemas:
        """Write the schemas of a version's rows, and return references to them."""

        def refer(what: str) -> wire.Schema:
            return _reference(f"{prefix}.{what}")

        prefix = f"{manifest.name}.{manifest.version}"
        if f"{prefix}.rows" not in self.schemas:
            components = wire.row_components(manifest.signature, max_rows, refer)
            self.schemas |= {f"{prefix}.{what}": schema for what, schema in components.items()}
        return wire.RowSchemas(refer("row"), refer("record"), refer("rows"))

    def _share(self, bodies: Mapping[str, wire.Body], name: str) -> dict[str, wire.Body]:
        """Write the schema of the JSON among some bodies under a name, and refer to it."""
        body = bodies[wire.JSON]
        self.schemas[name] = body.schema
        return {**bodies, wire.JSON: body._replace(schema=_reference(name))}

    def _write(self, operation: Operation, tag: str, dialect: str, headers: Iterable[str]) -> dict[str, Any]:
        """Write an operation, but for what it reads."""
        content = {media: _media(body) for media, body in operation.replies.items()}
        references = {name: {"$ref": f"#/components/headers/{name}"} for name in headers}
        responses: dict[str, Any] = {"200": {"description": "The answer.", "headers": references, "content": content}}
        for status in sorted({*operation.errors, *self._errors_of(operation.access)}):
            responses[str(int(status))] = self._error(status, dialect)
        self.tags.add(tag)
        told: dict[str, Any] = {"summary": operation.summary, "tags": [tag], "responses": responses}
        if self._needs_key(operation.access):
            told["security"] = _SECURITY
        return told

    def _error(self, status: HTTPStatus, dialect: str) -> dict[str, Any]:
        """Write the response of an error in a dialect, and return a reference to it."""
        name = f"{dialect}-{int(status)}"
        writes = wire.DIALECTS[dialect]
        media = problem.MEDIA_TYPE if writes.error is None else wire.JSON
        schema = f"{dialect}-error"
        self.schemas[schema] = writes.error_schema
        content = {media: {"schema": _reference(schema)}}
        self.responses[name] = {"description": status.phrase, "content": content}
        return {"$ref": f"#/components/responses/{name}"}

    def _errors_of(self, access: Access) -> list[HTTPStatus]:
        """Return the statuses that come with whom a route lets in, and those of every route."""
        # Before a route is looked for, a request's headers may be refused.
        errors = [HTTPStatus.BAD_REQUEST, HTTPStatus.INTERNAL_SERVER_ERROR]
        # The models may not have been looked at yet.
        errors += [HTTPStatus.SERVICE_UNAVAILABLE] * (access != "open")
        errors += [HTTPStatus.UNAUTHORIZED] * self._needs_key(access)
        return [*errors, HTTPStatus.FORBIDDEN, HTTPStatus.CONFLICT] if access == "admin" else errors

    def _needs_key(self, access: Access) -> bool:
        return access == "admin" or (access == "key" and not self.is_open)


def _answers(manifest: Manifest, target: Target) -> bool:
    """Tell whether a model has an answer to what a path asks for."""
    if target.method == CLASSIFY:
        return manifest.signature.labels_texts
    if target.method == EXPLAIN:
        return manifest.is_explained
    return target.method in ("", *manifest.methods)


def _explained(dialect: wire.Dialect, asked: wire.Described) -> wire.Schema:
    """Describe an explanation: a document of all rows, or one for each beside what predicting answers."""
    if dialect.encode_explained is None:
        return explain.DOCUMENT
    explanations = {"type": "array", "items": explain.DOCUMENT}
    return {"allOf": [asked.replies[wire.JSON].schema, wire.object_schema({"explanations": explanations})]}


def _path_of(rule: Rule) -> tuple[str, list[dict[str, Any]]]:
    """Return the path of a route as OpenAPI writes it, and its parameters."""
    path = _ARGUMENT.sub(r"{\2}", rule.rule)
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": _OF_CONVERTERS.get(converter, _ANY_WORD)}
        for converter, name in _ARGUMENT.findall(rule.rule)
    ]
    return path, parameters


def _tag_of(path: str, dialect: str) -> str:
    if dialect != wire.OWN:
        return _TAGS[dialect]
    return _MODELS if path.startswith("/models") else _SERVICE


def _reference(name: str) -> wire.Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _media(body: wire.Body) -> dict[str, Any]:
    return {"schema": body.schema} | ({} if body.example is None else {"example": body.example})
