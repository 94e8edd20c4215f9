"""The address itself: the console for a browser, a line of JSON for everything else; and the numbers of its chart."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Response, request

from app.paths import Paths
from app.routes.described import PAGE_OR_DOCUMENT, described
from app.routes.predict import as_json, sent_key
from app.routes.static import StaticFile, add_files
from app.service import Service

_FOLDER = Path(__file__).resolve().parent.parent / "console"
_PAGE = "index.html"
_REPORT = "report.html"
# Names and categories of a model are a stranger's: were one ever taken for markup, it could run and fetch nothing.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# A report has its styles and pictures inline. It is shown in a frame with a policy of its own, so that the console's
# need not allow them; without an origin, so that nothing in there reaches the console or the service.
_REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
_ABOUT = {
    "service": "model-as-a-service",
    # KServe's client asks here whether the server lives.
    "status": "alive",
    "routes": ["POST /predict", "GET /models", "GET /healthz", "GET /readyz", "GET /metrics"],
}


def blueprint(service: Service, paths: Paths) -> Blueprint:
    """Make ``/``, ``/console/<file>`` and ``/stats``."""
    routes = Blueprint("console", __name__)
    files = StaticFile.read_all(_FOLDER, _POLICY)
    files[_REPORT] = StaticFile.read(_FOLDER / _REPORT, _REPORT_POLICY)
    # Its links are relative to the address itself: it is found there, and nowhere else.
    page = files.pop(_PAGE)
    add_files(routes, "/console", files)
    predicting = frozenset(target.route for target in paths.rules())

    @routes.get("/")
    @described("What this is; for a browser, the console", access="open", replies=PAGE_OR_DOCUMENT)
    def index() -> Response:
        wanted = request.accept_mimetypes.best_match(["application/json", "text/html"])
        response = page.response() if wanted == "text/html" else as_json(_ABOUT)
        response.vary.add("Accept")
        return response

    @routes.get("/stats")
    @described("The totals of predictions, for the console's chart")
    def stats() -> Response:
        service.keys.require_any(sent_key())
        response = as_json(service.metrics.totals(predicting))
        response.headers["Cache-Control"] = "no-store"
        return response

    return routes
