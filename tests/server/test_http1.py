"""Requests read from bytes: what is HTTP, what is not, and what is used to smuggle."""

from __future__ import annotations

import contextlib
import gc
import weakref
from typing import Any

import pytest

from app.server.http1 import Limits, Refusal, Request, RequestReader

HOST = b"Host: x\r\n"
GET = b"GET /a HTTP/1.1\r\n" + HOST
POST = b"POST /b HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


def read(*parts: bytes, **limits: int) -> list[Request]:
    reader = RequestReader(Limits(**limits))
    return [request for part in parts for request in reader.feed(part)]


def seen(requests: list[Request]) -> list[Any]:
    return [(request.method, request.target, request.body, request.keep_alive) for request in requests]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (GET + b"\r\n", [("GET", b"/a", b"", True)]),
        (
            GET + b"\r\n" + POST + b"Content-Length: 2\r\n\r\nhi",
            [("GET", b"/a", b"", True), ("POST", b"/b", b"hi", True)],
        ),
        (CHUNKED + b"2\r\nhi\r\n3;ext=1\r\nyou\r\n0\r\nTrailer: x\r\n\r\n", [("POST", b"/b", b"hiyou", True)]),
        (GET + b"Connection: close\r\n\r\nignored", [("GET", b"/a", b"", False)]),
        (b"GET /old HTTP/1.0\r\n\r\n", [("GET", b"/old", b"", False)]),
        (b"GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", [("GET", b"/old", b"", True)]),
        (b"\r\n" + GET + b"\r\n", [("GET", b"/a", b"", True)]),
        (
            POST + b"Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\nContent-Length: 2\r\n\r\nhi",
            [("POST", b"/b", b"hi", True)],
        ),
        (GET + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n" + GET + b"\r\n", [("GET", b"/a", b"", True)] * 2),
    ],
    ids=[
        "plain",
        "pipelined",
        "chunked",
        "close",
        "1.0",
        "1.0-keep-alive",
        "leading-crlf",
        "h2c-offer",
        "websocket-offer",
    ],
)
def test_requests_are_read_whole_or_byte_by_byte(sent: bytes, expected: list[Any]) -> None:
    assert seen(read(sent)) == expected
    assert seen(read(*(bytes([byte]) for byte in sent))) == expected


def test_headers_are_found_by_their_lower_case_name_and_joined() -> None:
    (request,) = read(GET + b"X-One: 1\r\nx-one: 2\r\nX-API-Key: \xfc\r\n\r\n")
    assert (request.header("x-one"), request.header("x-api-key"), request.header("none")) == ("1,2", "\xfc", "")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (GET + HOST + b"\r\n", 400),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", 505),
        (b"GET /\r\n\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"OPTIONS * RTSP/1.0\r\n" + HOST + b"\r\n", 501),
        (b"DESCRIBE /x RTSP/1.0\r\n" + HOST + b"\r\n", 501),
        (b"CONNECT x:80 HTTP/1.1\r\n" + HOST + b"\r\n", 501),
        (b"BREW / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (GET + b"Content_Length: 5\r\n\r\n", 400),
        (POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
        (POST + b"Content-Length: 5, 5\r\n\r\nhello", 400),
        (POST + b"Content-Length: +5\r\n\r\nhello", 400),
        (POST + b"Content-Length: 0x5\r\n\r\nhello", 400),
        (POST + b"Content-Length: -1\r\n\r\n", 400),
        (POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: xchunked\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
        (CHUNKED + b"zz\r\n", 400),
        (CHUNKED + b"-2\r\nhi\r\n", 400),
        (CHUNKED + b"2\r\nhiyou\r\n", 400),
        (CHUNKED + b"ffffffffffffffffff\r\n", 400),
        (GET + b"X: a\r\n b\r\n\r\n", 400),
        (GET + b"X : a\r\n\r\n", 400),
        (GET + b": a\r\n\r\n", 400),
        (GET + b"X: a\x00b\r\n\r\n", 400),
        (GET + b"X: a\rb\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: x\n\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (POST + b"Expect: 200-ok\r\nContent-Length: 2\r\n\r\n", 417),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n", 414),
        (GET + b"X: a\r\n" * 65 + b"\r\n", 431),
        (GET + b"X: " + b"a" * 8200 + b"\r\n\r\n", 431),
        (GET + b"".join(b"X%d: %s\r\n" % (number, b"a" * 8000) for number in range(9)), 431),
        (POST + b"Content-Length: 101\r\n\r\n", 413),
        (CHUNKED + b"65\r\n" + b"a" * 0x65 + b"\r\n", 413),
        (CHUNKED + b"0\r\n" + b"T: a\r\n" * 65 + b"\r\n", 431),
    ],
)
def test_what_is_no_request_is_refused(sent: bytes, status: int) -> None:
    for parts in ([sent], [bytes([byte]) for byte in sent]):
        with pytest.raises(Refusal) as refusal:
            read(*parts, body=100)
        assert refusal.value.status == status
        assert refusal.value.detail


def test_a_header_that_never_ends_is_refused_before_it_fills_the_memory() -> None:
    with pytest.raises(Refusal) as refusal:
        read(GET + b"X: ", *[b"a" * 10_000] * 10)
    assert refusal.value.status == 431


def test_requests_before_a_bad_one_are_still_answered() -> None:
    reader = RequestReader(Limits())
    with pytest.raises(Refusal):
        reader.feed(GET + b"\r\n" + b"nonsense\r\n\r\n")
    assert seen(reader.taken()) == [("GET", b"/a", b"", True)]


def test_a_client_that_waits_to_be_told_to_send_its_body_is_known() -> None:
    reader = RequestReader(Limits())
    assert reader.feed(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n") == []
    assert reader.wants_continue
    assert seen(reader.feed(b"hi")) == [("POST", b"/b", b"hi", True)]
    assert not reader.wants_continue


def test_nothing_of_a_body_is_kept_once_it_is_whole_or_given_up() -> None:
    reader = RequestReader(Limits())
    reader.feed(POST + b"Content-Length: 4\r\n\r\nhi")
    assert reader.held == 2
    [request] = reader.feed(b"yo")
    assert (request.body, reader.held) == (b"hiyo", 0)
    reader.feed(POST + b"Content-Length: 4\r\n\r\nhi")
    refusal = reader.give_up()
    assert (refusal.status, refusal.target, refusal.headers) == (503, b"/b", {"Retry-After": "1"})
    assert reader.held == 0
    assert reader.feed(b"yo") == []


@pytest.mark.parametrize("sent", [b"2\r\nhi\r\n", b"2\r\nhi\r\n9\r\n"], ids=["half a body", "too large a body"])
def test_a_reader_is_gone_once_it_is_closed(sent: bytes) -> None:
    gc.collect()
    gc.disable()
    try:
        reader = RequestReader(Limits(body=3))
        with contextlib.suppress(Refusal):
            reader.feed(CHUNKED + sent + b"and more")
        reader.close()
        gone = weakref.ref(reader)
        del reader
        assert gone() is None
    finally:
        gc.enable()
