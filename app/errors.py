"""Everything that can go wrong in a request, in one tree.

Each class knows its status and its title; the message says what was wrong, where, and what would
be right. The doors turn a :class:`ServiceError` into a reply in their protocol's own shape; an
exception outside this tree is a fault of ours and leaves as an opaque 500.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus


@dataclass(frozen=True, slots=True)
class BadValue:
    """One place in the rows of a request that does not fit the signature.

    Attributes
    ----------
    detail: what is wrong with it and what would be right.
    pointer: JSON Pointer (RFC 6901) into the request's document, where the body is JSON.
    row: index of the sample, from 0, where the fault lies in one.
    column: the input's name, where the fault lies in one.
    """

    detail: str
    pointer: str | None = None
    row: int | None = None
    column: str | None = None

    def as_dict(self) -> dict[str, object]:
        """Return the fields that are set, for the ``errors`` list of a problem document."""
        fields = {"pointer": self.pointer, "row": self.row, "column": self.column, "detail": self.detail}
        return {name: value for name, value in fields.items() if value is not None}


class ServiceError(Exception):
    """A request that cannot be answered as asked; `detail` is for the client to read."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    title = "Internal error"

    def __init__(
        self, detail: str, *, errors: Sequence[BadValue] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})


class MalformedBody(ServiceError):
    """The body cannot be parsed as what its Content-Type says."""

    status = HTTPStatus.BAD_REQUEST
    title = "Malformed body"


class Unauthenticated(ServiceError):
    """No key, or one that is not known, where one is needed."""

    status = HTTPStatus.UNAUTHORIZED
    title = "API key required"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": "Bearer"})


class Forbidden(ServiceError):
    """The key is known, but its scopes do not reach here; or nobody's do."""

    status = HTTPStatus.FORBIDDEN
    title = "Not allowed"


class NotFound(ServiceError):
    """No such model, version, method or route."""

    status = HTTPStatus.NOT_FOUND
    title = "Not found"


class NotAcceptable(ServiceError):
    """None of the types in Accept can be made from this answer."""

    status = HTTPStatus.NOT_ACCEPTABLE
    title = "No acceptable reply type"


class NotServed(ServiceError):
    """The version exists but is neither promoted, labelled nor the one promoted before."""

    status = HTTPStatus.CONFLICT
    title = "Version not served"


class TooLarge(ServiceError):
    """The body, the rows or the answer would pass a limit."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    title = "Too large"


class UnsupportedMediaType(ServiceError):
    """The Content-Type, its charset or the Content-Encoding is not one this route reads."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    title = "Unsupported media type"


class InvalidRows(ServiceError):
    """The body was parsed, but what it holds does not fit the model's signature."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "Rows do not fit the model"


class InvalidRequest(ServiceError):
    """The body was parsed, but does not say what is asked for here, or asks for what can never be."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "Invalid request"


class Unavailable(ServiceError):
    """No model is ready, or more is asked than can be taken on; worth trying again."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    title = "Not available now"

    def __init__(self, detail: str, *, retry_after: int = 1) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})


class DeadlineExceeded(ServiceError):
    """The answer was not ready within REQUEST_TIMEOUT."""

    status = HTTPStatus.GATEWAY_TIMEOUT
    title = "Deadline exceeded"


class StoreError(Exception):
    """The model store cannot do what was asked; the message says what and what to do about it.

    Not a :class:`ServiceError`: it speaks to whoever trains, registers and promotes.
    """


class InvalidValue(StoreError):
    """A value that can never be, whatever is in the store."""


class VersionRefused(StoreError):
    """A version must not be served: a digest, a library version or a golden row disagrees."""
