"""Errors as problem documents (RFC 9457)."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

from app.errors import ServiceError
from app.wire.json_body import dump
from app.wire.schemas import object_schema
from app.wire.values import Schema

MEDIA_TYPE = "application/problem+json"

_PLACE: dict[str, Schema] = {
    "pointer": {"type": "string"},
    "row": {"type": "integer"},
    "column": {"type": "string"},
}
SCHEMA = object_schema(
    {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "request_id": {"type": "string"},
    },
    errors={"type": "array", "items": object_schema({"detail": {"type": "string"}}, **_PLACE)},
)


def of_error(error: ServiceError, request_id: str) -> bytes:
    """Write the problem document of a service error; ``errors`` lists the bad places of the rows."""
    kind = re.sub(r"(?<!^)(?=[A-Z])", "-", type(error).__name__).lower()
    document: dict[str, Any] = {
        "type": f"urn:model-as-a-service:{kind}",
        "title": error.title,
        "status": int(error.status),
        "detail": error.detail,
        "request_id": request_id,
    }
    if error.errors:
        document["errors"] = [bad.as_dict() for bad in error.errors]
    return dump(document)


def of_status(status: int, detail: str, request_id: str) -> bytes:
    """Write the problem document of a bare HTTP status."""
    return dump(
        {
            "type": "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": detail,
            "request_id": request_id,
        }
    )
