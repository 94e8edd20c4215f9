"""The address itself: the console for a browser, a line of JSON for everything else; and the numbers of its chart."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from flask import Blueprint, Response, abort, request

from app.paths import Paths
from app.routes.predict import as_json, sent_key
from app.service import Service

_FOLDER = Path(__file__).resolve().parent.parent / "console"
_PAGE = "index.html"
_REPORT = "report.html"
_MEDIA = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
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


@dataclass(frozen=True)
class _File:
    content: bytes
    media: str
    policy: str
    etag: str

    def response(self) -> Response:
        """Answer with the file, or with 304 who has it already."""
        response = Response(self.content, content_type=self.media)
        response.headers["Content-Security-Policy"] = self.policy
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        # Kept, but asked for again each time: page and modules of two releases never meet.
        response.headers["Cache-Control"] = "no-cache"
        response.set_etag(self.etag)
        response.make_conditional(request)
        return response


def blueprint(service: Service) -> Blueprint:
    """Make ``/``, ``/console/<file>`` and ``/stats``."""
    routes = Blueprint("console", __name__)
    files = _read_files()
    # Its links are relative to the address itself: it is found there, and nowhere else.
    page = files.pop(_PAGE)
    predicting = frozenset(target.route for target in Paths(service.settings.aip_predict_route).rules())

    @routes.get("/")
    def index() -> Response:
        wanted = request.accept_mimetypes.best_match(["application/json", "text/html"])
        response = page.response() if wanted == "text/html" else as_json(_ABOUT)
        response.vary.add("Accept")
        return response

    @routes.get("/console/<file>")
    def asset(file: str) -> Response:
        if file not in files:
            abort(404)
        return files[file].response()

    @routes.get("/stats")
    def stats() -> Response:
        service.keys.require_any(sent_key())
        response = as_json(service.metrics.totals(predicting))
        response.headers["Cache-Control"] = "no-store"
        return response

    return routes


def _read_files() -> dict[str, _File]:
    """Read the console's files; a request names one of these, and never a path."""
    return {
        path.name: _File(
            content := path.read_bytes(),
            _MEDIA[path.suffix],
            _REPORT_POLICY if path.name == _REPORT else _POLICY,
            hashlib.sha256(content).hexdigest()[:32],
        )
        for path in _FOLDER.iterdir()
        if path.suffix in _MEDIA
    }
