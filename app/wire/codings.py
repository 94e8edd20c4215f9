"""Content codings of request bodies (RFC 9110, 8.4): gzip and deflate, inflated up to a bound and no further."""

from __future__ import annotations

import zlib

from app.errors import MalformedBody, TooLarge, UnsupportedMediaType

_ACCEPTED = {"Accept-Encoding": "gzip, deflate"}
# What zlib calls the wrappings: gzip, zlib (which HTTP calls deflate), and deflate without either.
_GZIP, _ZLIB, _BARE = 31, 15, -15
_CHUNK = 64 * 1024
# A stream may consist of several; nobody needs thousands of empty ones.
_MOST_MEMBERS = 1024


def is_coded(encoding: str) -> bool:
    """Tell whether a Content-Encoding says that there is something to inflate."""
    return encoding != "" and encoding.strip().lower() not in ("", "identity")


def inflate(body: bytes, encoding: str, limit: int) -> bytes:
    """Undo the Content-Encoding of a body; one that inflates to more than `limit` bytes is inflated no further.

    Raises
    ------
    UnsupportedMediaType
        An unknown coding, or several.
    MalformedBody
        The body is not what the coding says, or is cut off.
    TooLarge
        It holds more than `limit` bytes.
    """
    if not is_coded(encoding):
        return body
    coding = encoding.strip().lower()
    if coding in ("gzip", "x-gzip"):
        return _inflate(body, _GZIP, "gzip", limit)
    if coding == "deflate":
        # What stands first tells them apart (RFC 1950, 2.2): many clients leave the wrapping out.
        wrapped = len(body) > 1 and body[0] & 0x0F == zlib.DEFLATED and int.from_bytes(body[:2], "big") % 31 == 0
        return _inflate(body, _ZLIB if wrapped else _BARE, "deflate", limit)
    what = "one coding at a time" if "," in coding else "the body as it is, or in gzip or deflate"
    raise UnsupportedMediaType(f"the Content-Encoding is {encoding[:40]!r}; send {what}", headers=_ACCEPTED)


def _inflate(body: bytes, wrapping: int, coding: str, limit: int) -> bytes:
    parts: list[bytes] = []
    left, position, members = limit, 0, 1
    inflater = zlib.decompressobj(wrapping)
    while position < len(body) or inflater.unconsumed_tail:
        chunk = inflater.unconsumed_tail or body[position : position + _CHUNK]
        position += 0 if inflater.unconsumed_tail else len(chunk)
        try:
            part = inflater.decompress(chunk, left + 1)
        except zlib.error as fault:
            raise MalformedBody(f"the body is not {coding}: {fault}") from None
        left -= len(part)
        if left < 0:
            raise TooLarge(f"the body inflates to more than {limit} bytes; send fewer rows at a time")
        parts.append(part)
        if inflater.eof:
            position -= len(inflater.unused_data)
            if position == len(body):
                break
            members += 1
            if wrapping != _GZIP or members > _MOST_MEMBERS:
                raise MalformedBody(f"the body goes on after the end of its {coding} stream")
            inflater = zlib.decompressobj(wrapping)
    if not inflater.eof:
        raise MalformedBody(f"the body ends before its {coding} stream does")
    return b"".join(parts)
