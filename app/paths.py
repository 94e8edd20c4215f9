"""Which paths predict, and whose dialect is spoken where: one table for both doors."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from app.service import CLASSIFY, EXPLAIN
from app.signature import METHODS
from app.store.live import Version
from app.wire import OWN

# The last word of a path below /models, or of a bare one: the method that it asks (empty where the body says which),
# and the dialect.
_WORDS = {**{method: (method, OWN) for method in (*METHODS, CLASSIFY, EXPLAIN)}, "invocations": ("", "mlflow")}
# What may stand before a colon below /v1/models, as TensorFlow Serving writes it.
_VERBS = {"predict": "", "explain": EXPLAIN}
_NAMED = ("/models/<name>", "/models/<name>/versions/<int:version>", "/models/<name>/labels/<label>")
# Beyond so many digits it is no version's number, and Flask says so.
_DIGITS = 9
# Clients ask the same few paths again and again: short ones are read once.
_LONGEST_KEPT = 256
# Errors below these speak the dialect too, whatever was asked there.
_SPOKEN = {
    "v2": re.compile(r"/v2(/|$)"),
    "v1": re.compile(r"/v1/"),
    "mlflow": re.compile(r"/(models/[^/]+/((versions|labels)/[^/]+/)?)?invocations/?$"),
}


@dataclass(frozen=True, slots=True)
class Target:
    """What the path of a prediction asks for, and the route it counts under (Flask's own rule).

    A version is a number or a label. Where it is left to a split, `place` is the caller's in it, and `drawn` the
    version there, 0 for the promoted one, once a door has drawn them.
    """

    route: str
    method: str
    model: str | None = None
    version: Version = None
    dialect: str = OWN
    place: float | None = None
    drawn: int | None = None


class Paths:
    """The paths that predict; `vertex_route` is the one that Vertex AI has chosen, where it runs the service."""

    def __init__(self, vertex_route: str | None = None) -> None:
        self._vertex = vertex_route
        bare = {f"/{word}": spoken for word, spoken in _WORDS.items()}
        if vertex_route is not None:
            bare[vertex_route] = ("", "vertex")
        self._bare = {path.encode(): Target(path, method, dialect=dialect) for path, (method, dialect) in bare.items()}

    def rules(self) -> Iterator[Target]:
        """Yield every rule, as Flask writes it, with the method and the dialect that it stands for."""
        yield from self._bare.values()
        for named in _NAMED:
            for word, (method, dialect) in _WORDS.items():
                yield Target(f"{named}/{word}", method, dialect=dialect)
            yield Target(f"/v2{named}/infer", "", dialect="v2")
            for verb, method in _VERBS.items():
                yield Target(f"/v1{named}:{verb}", method, dialect="v1")

    def match(self, path: bytes) -> Target | None:
        """Return what a path that predicts asks for; None for any other, and for one that wants decoding first."""
        found = self._bare.get(path)
        if found is None:
            found = _match_named(path) if len(path) <= _LONGEST_KEPT else _match_named.__wrapped__(path)
        return found

    def dialect_of(self, path: str) -> str:
        """Return the dialect that errors are written in under a path."""
        if path == self._vertex:
            return "vertex"
        return next((dialect for dialect, pattern in _SPOKEN.items() if pattern.match(path)), OWN)


@functools.lru_cache(maxsize=1024)
def _match_named(path: bytes) -> Target | None:
    if b"?" in path or b"%" in path:
        return None
    text = path.decode("latin-1")
    if text.startswith("/models/"):
        prefix, separator = "", "/"
    elif text.startswith(("/v2/models/", "/v1/models/")):
        prefix, separator = text[:3], "/" if text[2] == "2" else ":"
    else:
        return None
    named, _, word = text[len(prefix) :].rpartition(separator)
    if prefix == "/v1":
        method, dialect = _VERBS.get(word), "v1"
    elif prefix == "/v2":
        method, dialect = "" if word == "infer" else None, "v2"
    else:
        method, dialect = _WORDS.get(word, (None, OWN))
    return None if method is None else _named(named, f"{separator}{word}", prefix, method, dialect)


def _named(path: str, ending: str, prefix: str, method: str, dialect: str) -> Target | None:
    """Read ``/models/<name>``, ``/models/<name>/versions/<version>`` and ``/models/<name>/labels/<label>``."""
    match path.split("/")[2:]:
        case [name] if name:
            return Target(f"{prefix}{_NAMED[0]}{ending}", method, name, None, dialect)
        case [name, "versions", digits] if name and digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS:
            return Target(f"{prefix}{_NAMED[1]}{ending}", method, name, int(digits), dialect)
        case [name, "labels", label] if name and label:
            return Target(f"{prefix}{_NAMED[2]}{ending}", method, name, label, dialect)
    return None
