"""What Content-Encoding says is undone, up to a bound and no further."""

from __future__ import annotations

import gzip
import zlib

import pytest

from app.errors import MalformedBody, ServiceError, TooLarge, UnsupportedMediaType
from app.wire.codings import inflate
from tests.tracing import peak_of


def packed(content: bytes) -> bytes:
    """The time within would make another name of the test of each process that runs some."""
    return gzip.compress(content, mtime=0)


BODY = b'{"X": [[1, 2, 3, 4]]}' * 40
BARE = zlib.compressobj(wbits=-15)
DEFLATED = BARE.compress(BODY) + BARE.flush()


@pytest.mark.parametrize(
    ("encoding", "sent"),
    [
        ("", BODY),
        ("identity", BODY),
        ("gzip", packed(BODY)),
        (" GZIP ", packed(BODY)),
        ("x-gzip", packed(BODY)),
        ("gzip", packed(BODY[:100]) + packed(BODY[100:])),
        ("deflate", zlib.compress(BODY)),
        ("deflate", zlib.compress(BODY, 1)),
        ("deflate", DEFLATED),
    ],
)
def test_a_body_is_inflated(encoding: str, sent: bytes) -> None:
    assert inflate(sent, encoding, len(BODY)) == BODY


@pytest.mark.parametrize(
    ("encoding", "sent", "error", "says"),
    [
        ("br", BODY, UnsupportedMediaType, "in gzip or deflate"),
        ("gzip, gzip", packed(packed(BODY)), UnsupportedMediaType, "one coding at a time"),
        ("gzip", BODY, MalformedBody, "is not gzip"),
        ("gzip", b"", MalformedBody, "ends before"),
        ("gzip", packed(BODY)[:-1], MalformedBody, "ends before"),
        ("gzip", packed(BODY) + b"x", MalformedBody, "ends before"),
        ("gzip", packed(BODY) + BODY, MalformedBody, "is not gzip"),
        ("gzip", packed(b"") * 2000, MalformedBody, "goes on"),
        ("deflate", BODY, MalformedBody, "is not deflate"),
        ("deflate", zlib.compress(BODY) + b"x", MalformedBody, "goes on"),
        ("deflate", zlib.compress(BODY)[:-1] + b"\0", MalformedBody, "is not deflate"),
        ("gzip", packed(BODY + b" "), TooLarge, "inflates to more than 840 bytes"),
        ("gzip", packed(BODY) + packed(b" "), TooLarge, "inflates to more than 840 bytes"),
    ],
)
def test_what_cannot_be_inflated_is_refused(encoding: str, sent: bytes, error: type[ServiceError], says: str) -> None:
    with pytest.raises(error, match=says):
        inflate(sent, encoding, len(BODY))


def test_an_unknown_coding_is_told_which_are_known() -> None:
    with pytest.raises(UnsupportedMediaType) as refused:
        inflate(BODY, "zstd", len(BODY))
    assert refused.value.headers == {"Accept-Encoding": "gzip, deflate"}


def test_what_inflates_a_thousandfold_is_left_at_the_bound() -> None:
    bomb = packed(bytes(16 * 1024 * 1024))

    def refuse() -> None:
        with pytest.raises(TooLarge):
            inflate(bomb, "gzip", 100_000)

    assert peak_of(refuse)[1] < 1_000_000
