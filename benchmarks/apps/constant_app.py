"""The limit: no framework and no model, a constant answered by a bare WSGI app."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

BODY = b'{"y_pred":[1.0]}'
HEADERS = [("Content-Type", "application/json"), ("Content-Length", str(len(BODY)))]


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Read the body, and answer what is always answered."""
    environ["wsgi.input"].read()
    start_response("200 OK", HEADERS)
    return [BODY]
