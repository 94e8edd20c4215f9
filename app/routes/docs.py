"""``/docs``: the description of the service in Swagger UI, which comes from a package and not from another host."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from flask import Blueprint, Response

from app.routes.described import described
from app.routes.static import StaticFile, add_files

_FOLDER = Path(__file__).resolve().parent.parent / "docs"
_PAGE = "index.html"
_PACKAGE = "flask_swagger_ui"
_SWAGGER = ("swagger-ui.css", "swagger-ui-bundle.js")
# Swagger UI sets styles in its markup, and has its icons in its style sheet.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def blueprint() -> Blueprint:
    """Make the page and what it is made of."""
    routes = Blueprint("docs", __name__)
    files = StaticFile.read_all(_FOLDER, _POLICY)
    files |= {path.name: StaticFile.read(path, _POLICY) for path in _swagger_files()}
    # Its links are relative to /docs: it is found there, and nowhere else.
    index = files.pop(_PAGE)
    add_files(routes, "/docs", files)

    @routes.get("/docs")
    @described("This description, to read and to try", {"type": "string"}, "text/html", access="open")
    def page() -> Response:
        return index.response()

    return routes


def _swagger_files() -> list[Path]:
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"/docs needs the package {_PACKAGE}; install requirements.txt")
    return [Path(spec.origin).parent / "dist" / name for name in _SWAGGER]
