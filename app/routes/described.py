"""What a route is, said beside it: its summary, what it takes and answers, and whom it lets in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal, TypeVar

from app import wire

View = TypeVar("View", bound=Callable[..., Any])
Access = Literal["open", "key", "admin"]

OBJECT: wire.Schema = {"type": "object"}
# Of routes that a browser gets a page from, and everything else a document.
PAGE_OR_DOCUMENT = {wire.JSON: wire.Body(OBJECT), "text/html": wire.Body({"type": "string"})}
_ATTRIBUTE = "operation"


@dataclass(frozen=True)
class Operation:
    """A route in words and schemas.

    Attributes
    ----------
    summary: what it is for, in a few words.
    replies: the bodies of its 200, by media type.
    access: whom it lets in: anybody, who holds a key (where there are any), or administrators alone.
    body: what it reads, if anything; a body that is `optional` may be left out.
    errors: the statuses it may answer beside those of every route and those that its access and arguments bring.
    query: the parameters behind its path, by name.
    """

    summary: str
    replies: Mapping[str, wire.Body] = field(default_factory=lambda: {wire.JSON: wire.Body(OBJECT)})
    access: Access = "key"
    body: wire.Body | None = None
    optional: bool = False
    errors: tuple[HTTPStatus, ...] = ()
    query: Mapping[str, wire.Schema] = field(default_factory=dict)


def described(summary: str, reply: wire.Schema = OBJECT, media: str = wire.JSON, **more: Any) -> Callable[[View], View]:
    """Say what a view does; `reply` is the body of its 200 in `media`, and `more` the other fields of an Operation."""
    operation = Operation(summary, **{"replies": {media: wire.Body(reply)}, **more})

    def mark(view: View) -> View:
        setattr(view, _ATTRIBUTE, operation)
        return view

    return mark


def operation_of(view: Callable[..., Any]) -> Operation | None:
    """Return what was said of a view."""
    found: Operation | None = getattr(view, _ATTRIBUTE, None)
    return found
