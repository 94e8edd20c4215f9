"""The bodies of administrators' requests: what they ask to be changed, each described and read."""

from __future__ import annotations

import re
from typing import Any

from app import wire
from app.errors import InvalidRequest
from app.settings import MODEL_NAME
from app.store import Shadow
from app.store.serving import HEADER, STICKY
from app.wire import json_body

_MOST_DIGITS = 9
_HIGHEST = 10**_MOST_DIGITS - 1
_VERSION: wire.Schema = {"type": "integer", "minimum": 1, "maximum": _HIGHEST}
_VERSION_OR_NONE: wire.Schema = {"anyOf": [_VERSION, {"type": "null"}]}
_SHARE: wire.Schema = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
_NUMBER = re.compile(rf"[1-9][0-9]{{0,{_MOST_DIGITS - 1}}}")
_SHARES: wire.Schema = {
    "type": "object",
    "propertyNames": {"pattern": f"^{_NUMBER.pattern}$"},
    "additionalProperties": _SHARE,
}
_HEADER: wire.Schema = {"anyOf": [{"type": "string", "pattern": f"^{HEADER.pattern}$"}, {"type": "null"}]}
_LABEL: wire.Schema = {"type": "string", "pattern": f"^{MODEL_NAME.pattern}$", "not": {"pattern": "^[0-9]+$"}}

VERSION = wire.Body(wire.object_schema({"version": _VERSION}), {"version": 1})
LABEL = wire.Body(wire.object_schema({"label": _LABEL, "version": _VERSION_OR_NONE}), {"label": "canary", "version": 1})
SPLIT = wire.Body(
    wire.object_schema({"split": _SHARES}, sticky=_HEADER),
    {"split": {"1": 0.1}, "sticky": STICKY},
)
SHADOW = wire.Body(wire.object_schema({"version": _VERSION_OR_NONE}, share=_SHARE), {"version": 1, "share": 0.5})


def version(body: bytes) -> int:
    """Read the version to promote; raises InvalidRequest, as all here do, where the body does not say so."""
    told = '{"version": N} with the number of a version'
    return _number(_fields(body, told).get("version"), told)


def label(body: bytes) -> tuple[str, int | None]:
    """Read a label and the version that it is for; None takes the label away."""
    told = '{"label": "canary", "version": N}, with null as the version to take the label away'
    fields = _fields(body, told)
    name = fields.get("label")
    if not isinstance(name, str) or "version" not in fields:
        raise InvalidRequest(f"the body must be {told}")
    return name, None if fields["version"] is None else _number(fields["version"], told)


def split(body: bytes) -> tuple[dict[int, float], str | None]:
    """Read the shares of a split by version, and the header that keeps callers on theirs."""
    told = '{"split": {"2": 0.1}, "sticky": "X-Session-Id"}: shares by version, and a header or null for chance'
    fields = _fields(body, told)
    shares, sticky = fields.get("split"), fields.get("sticky", STICKY)
    if not isinstance(shares, dict) or not (sticky is None or isinstance(sticky, str)):
        raise InvalidRequest(f"the body must be {told}")
    return {_key(key, told): _share(share, told) for key, share in shares.items()}, sticky


def shadow(body: bytes) -> Shadow | None:
    """Read which version answers unseen, and what share of the requests; None ends it."""
    told = '{"version": N, "share": 0.5}, with null as the version to end it; the share is 1 unless it is given'
    fields = _fields(body, told)
    if "version" not in fields:
        raise InvalidRequest(f"the body must be {told}")
    if fields["version"] is None:
        return None
    return Shadow(_number(fields["version"], told), _share(fields.get("share", 1), told))


def _fields(body: bytes, told: str) -> dict[str, Any]:
    document = json_body.parse(body)
    if not isinstance(document, dict):
        raise InvalidRequest(f"the body must be {told}")
    return document


def _number(value: Any, told: str) -> int:
    # To JSON 2.0 is an integer, too.
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if not whole or isinstance(value, bool):
        raise InvalidRequest(f"the body must be {told}")
    return int(value)


def _key(key: str, told: str) -> int:
    if not _NUMBER.fullmatch(key):
        raise InvalidRequest(f"{key[:40]!r} is no version's number; the body must be {told}")
    return int(key)


def _share(value: Any, told: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise InvalidRequest(f"a share must be a number above 0 and at most 1; the body must be {told}")
    return float(value)
