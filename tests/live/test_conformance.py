"""HTTP/1.1 as real clients and hostile ones speak it, to both worker classes over real sockets."""

from __future__ import annotations

import gzip
import io
import json
import socket
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from processes import PATIENCE, Server, save_constant, start_gunicorn

HOST = b"Host: x\r\n"
CLOSE = b"Connection: close\r\n"
JSON = b"Content-Type: application/json\r\n"
BODY = b'{"x":[[1,2]]}'
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
GET = b"GET /healthz HTTP/1.1\r\n" + HOST
POST = b"POST /predict HTTP/1.1\r\n" + HOST + JSON
CHUNKS = b"4\r\n" + BODY[:4] + b"\r\n%x\r\n" % (len(BODY) - 4) + BODY[4:] + b"\r\n0\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
ALIVE, ANSWER = b'{"status":"alive"}', b'{"y_pred":[1.0]}'


def packed(coding: str, body: bytes) -> bytes:
    """A request to predict whose body is in a content coding."""
    return POST + b"Content-Encoding: %s\r\nContent-Length: %d\r\n\r\n" % (coding.encode(), len(body)) + body


WORKERS = ("event", "gthread")
# What gunicorn's own threaded worker does in another way, which is not ours to change.
EXEMPT = {
    "gthread": {
        "an offer of a websocket",
        "no Host",
        "a Host that is none",
        "a transfer coding that nobody knows",
        "a chunk's size that overflows",
        "an underscore in a header's name",
        "an unknown method",
        "CONNECT",
        "a line of RTSP",
        "HTTP/2.0",
        "HTTP/0.9",
        "many headers that fit one by one",
    }
}

# name, what is sent, the statuses of all that comes back, and what the last body is
CASES: list[tuple[str, bytes, list[int], bytes | None]] = [
    ("a request", GET + CLOSE + b"\r\n", [200], ALIVE),
    ("a prediction", POST + LENGTH + CLOSE + b"\r\n" + BODY, [200], ANSWER),
    ("two at once", GET + b"\r\n" + GET + CLOSE + b"\r\n", [200, 200], ALIVE),
    ("a prediction and a request at once", POST + LENGTH + b"\r\n" + BODY + GET + CLOSE + b"\r\n", [200, 200], ALIVE),
    ("ten at once", (GET + b"\r\n") * 9 + GET + CLOSE + b"\r\n", [200] * 10, ALIVE),
    ("a chunked body", POST + CHUNKED + CLOSE + b"\r\n" + CHUNKS, [200], ANSWER),
    ("chunks with extensions", POST + CHUNKED + CLOSE + b"\r\nd;a=b\r\n" + BODY + b"\r\n0\r\n\r\n", [200], ANSWER),
    ("chunks with trailers", POST + CHUNKED + CLOSE + b"\r\nd\r\n" + BODY + b"\r\n0\r\nT: x\r\n\r\n", [200], ANSWER),
    (
        "a chunked body, then another request",
        POST + CHUNKED + b"\r\n" + CHUNKS + GET + CLOSE + b"\r\n",
        [200, 200],
        ALIVE,
    ),
    ("HTTP/1.0", b"GET /healthz HTTP/1.0\r\n\r\n", [200], ALIVE),
    ("HTTP/1.0 with a body", b"POST /predict HTTP/1.0\r\n" + JSON + LENGTH + b"\r\n" + BODY, [200], ANSWER),
    ("HEAD", b"HEAD /healthz HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n", [200], b""),
    ("OPTIONS", b"OPTIONS /predict HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n", [200], b""),
    ("a method that the route has not", b"DELETE /predict HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n", [405], None),
    ("a target in absolute form", b"GET http://x/healthz HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n", [200], ALIVE),
    ("a query", b"GET /healthz?a=b HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n", [200], ALIVE),
    ("an escaped path", b"GET /h%65althz HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n", [200], ALIVE),
    ("a path that is no UTF-8", b"GET /%ff%fe HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n", [404], None),
    (
        "a header in capitals",
        POST.upper().replace(b"/PREDICT", b"/predict") + LENGTH + CLOSE + b"\r\n" + BODY,
        [200],
        ANSWER,
    ),
    ("a header of Latin-1", GET + b"X: \xfc\r\n" + CLOSE + b"\r\n", [200], ALIVE),
    ("an empty header", GET + b"X:\r\n" + CLOSE + b"\r\n", [200], ALIVE),
    ("space around a value", GET + b"X: \t a \t\r\n" + CLOSE + b"\r\n", [200], ALIVE),
    ("no body where one belongs", POST + CLOSE + b"\r\n", [400], None),
    ("an empty body", POST + b"Content-Length: 0\r\n" + CLOSE + b"\r\n", [400], None),
    ("a body with GET", GET + LENGTH + CLOSE + b"\r\n" + BODY, [200], ALIVE),
    (
        "a bad request keeps the connection",
        POST + b"Content-Length: 2\r\n\r\n{}" + GET + CLOSE + b"\r\n",
        [422, 200],
        ALIVE,
    ),
    (
        "an unknown route keeps the connection",
        b"POST /no HTTP/1.1\r\n" + HOST + LENGTH + b"\r\n" + BODY + GET + CLOSE + b"\r\n",
        [404, 200],
        ALIVE,
    ),
    ("close with more behind it", GET + CLOSE + b"\r\n" + GET + b"\r\n", [200], ALIVE),
    (
        "an offer of h2c",
        GET
        + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
        + GET
        + CLOSE
        + b"\r\n",
        [200, 200],
        ALIVE,
    ),
    (
        "an offer of h2c with a body",
        POST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n" + LENGTH + b"\r\n" + BODY + GET + CLOSE + b"\r\n",
        [200, 200],
        ALIVE,
    ),
    (
        "an offer of a websocket",
        GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + GET + CLOSE + b"\r\n",
        [200, 200],
        ALIVE,
    ),
    (
        "waiting to be told to go on",
        POST + LENGTH + b"Expect: 100-continue\r\n" + CLOSE + b"\r\n" + BODY,
        [200],
        ANSWER,
    ),
    ("an expectation that nobody meets", POST + LENGTH + b"Expect: tea\r\n" + CLOSE + b"\r\n" + BODY, [417], None),
    # Bodies in gzip and deflate
    *[
        (f"a body in {coding}", packed(coding, body) + GET + CLOSE + b"\r\n", [200, 200], ALIVE)
        for coding, body in (("gzip", gzip.compress(BODY)), ("deflate", zlib.compress(BODY)), ("identity", BODY))
    ],
    *[
        (f"a body that is {what}", packed(coding, body) + GET + CLOSE + b"\r\n", [status, 200], ALIVE)
        for what, coding, body, status in (
            ("not what its coding says", "gzip", BODY, 400),
            ("cut off", "gzip", gzip.compress(BODY)[:-4], 400),
            ("in a coding that nobody knows", "br", BODY, 415),
            ("in gzip twice", "gzip, gzip", gzip.compress(gzip.compress(BODY)), 415),
            ("larger than it looks", "gzip", gzip.compress(BODY + b" " * 2_000_000), 413),
        )
    ],
    (
        "a body in gzip and in chunks",
        POST
        + CHUNKED
        + b"Content-Encoding: gzip\r\n"
        + CLOSE
        + b"\r\n%x\r\n" % len(gzip.compress(BODY, mtime=0))
        + gzip.compress(BODY, mtime=0)
        + b"\r\n0\r\n\r\n",
        [200],
        ANSWER,
    ),
    # What must be refused
    ("garbage", b"garbage\r\n\r\n", [400], None),
    ("TLS to a port that speaks none", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", [400], None),
    ("no Host", b"GET /healthz HTTP/1.1\r\n" + CLOSE + b"\r\n", [400], None),
    ("two Hosts", GET + HOST + CLOSE + b"\r\n", [400], None),
    ("a Host that is none", b"GET /healthz HTTP/1.1\r\nHost: a b\r\n" + CLOSE + b"\r\n", [400], None),
    ("two lengths", POST + LENGTH + b"Content-Length: 5\r\n\r\n" + BODY, [400], None),
    ("a list of lengths", POST + b"Content-Length: 13, 13\r\n\r\n" + BODY, [400], None),
    ("a length with a sign", POST + b"Content-Length: +13\r\n\r\n" + BODY, [400], None),
    ("a length below zero", POST + b"Content-Length: -1\r\n\r\n", [400], None),
    ("a length that is no number", POST + b"Content-Length: many\r\n\r\n", [400], None),
    ("a length with chunks", POST + LENGTH + CHUNKED + b"\r\n" + CHUNKS, [400], None),
    ("a transfer coding that nobody knows", POST + b"Transfer-Encoding: xchunked\r\n\r\n", [400], None),
    (
        "chunks that are not the last coding",
        POST + b"Transfer-Encoding: chunked, identity\r\n\r\n" + CHUNKS,
        [400],
        None,
    ),
    ("an HTTP/1.0 request with chunks", b"POST /predict HTTP/1.0\r\n" + JSON + CHUNKED + b"\r\n" + CHUNKS, [400], None),
    ("a chunk's size that is none", POST + CHUNKED + b"\r\nzz\r\n", [400], None),
    ("a chunk's size that overflows", POST + CHUNKED + b"\r\nfffffffffffffffff\r\n", [400], None),
    ("a chunk that is longer than it says", POST + CHUNKED + b"\r\n2\r\nabcd\r\n0\r\n\r\n", [400], None),
    ("bare line feeds", b"GET /healthz HTTP/1.1\nHost: x\n\n", [400], None),
    ("a bare carriage return", GET + b"X: a\rb\r\n\r\n", [400], None),
    ("a folded header", GET + b"X: a\r\n b\r\n\r\n", [400], None),
    ("space before the colon", GET + b"X : a\r\n\r\n", [400], None),
    ("a header without a name", GET + b": a\r\n\r\n", [400], None),
    ("a NUL in a header", GET + b"X: a\x00b\r\n\r\n", [400], None),
    ("an underscore in a header's name", GET + b"Content_Length: 5\r\n\r\n", [400], None),
    ("an unknown method", b"BREW /healthz HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n", [400], None),
    ("CONNECT", b"CONNECT x:80 HTTP/1.1\r\n" + HOST + b"\r\n", [501], None),
    ("a line of RTSP", b"OPTIONS * RTSP/1.0\r\n" + HOST + b"\r\n", [501], None),
    ("HTTP/2.0", b"GET /healthz HTTP/2.0\r\n" + HOST + b"\r\n", [505], None),
    ("HTTP/2's preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [400], None),
    ("HTTP/0.9", b"GET /healthz\r\n\r\n", [505], None),
    ("a target that is no path", b"GET healthz HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n", [400], None),
    ("a long request line", b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", [414], None),
    ("a long header", GET + b"X: " + b"a" * 9000 + b"\r\n\r\n", [431], None),
    ("many headers", GET + b"X: a\r\n" * 200 + b"\r\n", [431], None),
    (
        "many headers that fit one by one",
        GET + b"".join(b"X%d: %s\r\n" % (i, b"a" * 8000) for i in range(12)) + b"\r\n",
        [431],
        None,
    ),
    ("a body beyond the limit, announced", POST + b"Content-Length: 2000001\r\n\r\n", [413], None),
    (
        "a body beyond the limit, in chunks",
        POST + CHUNKED + CLOSE + b"\r\n" + (b"fffff\r\n" + b" " * 0xFFFFF + b"\r\n") * 2 + b"0\r\n\r\n",
        [413],
        None,
    ),
]


@pytest.fixture(scope="module", params=WORKERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("conformance")
    save_constant(folder / "store", 1.0)
    server = start_gunicorn(
        folder / "store",
        folder,
        WORKER_CLASS=request.param,
        WEB_CONCURRENCY="1",
        MAX_BODY_BYTES="2000000",
        MAX_ROWS="1000000",
        REQUEST_TIMEOUT="5",
    )
    server.kind = request.param
    server.wait_for("/readyz")
    yield server
    assert server.stop() == 0


def exchange(port: int, *parts: bytes) -> bytes:
    """Send parts one by one and return all that comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for part in parts:
                peer.sendall(part)
        except OSError:
            pass  # refused before all of it was sent: the reply says why
        received = bytearray()
        try:
            while chunk := peer.recv(65536):
                received += chunk
        except ConnectionResetError:
            pass
    return bytes(received)


def replies(received: bytes, *, bodiless: bool = False) -> list[tuple[int, dict[bytes, bytes], bytes]]:
    """Take apart what a server has sent; interim replies are left out."""
    found = []
    while received:
        head, _, received = received.partition(b"\r\n\r\n")
        line, *lines = head.split(b"\r\n")
        status = int(line.split(b" ", 2)[1])
        if status == 100:
            continue
        headers = {name.lower(): value.strip() for name, _, value in (entry.partition(b":") for entry in lines)}
        length = 0 if bodiless else int(headers.get(b"content-length", len(received)))
        found.append((status, headers, received[:length]))
        received = received[length:]
    return found


@pytest.mark.parametrize(("name", "sent", "statuses", "body"), CASES, ids=[case[0] for case in CASES])
def test_case(server: Server, name: str, sent: bytes, statuses: list[int], body: bytes | None) -> None:
    if name in EXEMPT.get(server.kind, ()):
        pytest.skip(f"{server.kind} does this in its own way")
    answered = replies(exchange(server.port, sent), bodiless=sent.startswith(b"HEAD"))
    assert [status for status, _, _ in answered] == statuses
    if body is not None:
        assert answered[-1][2] == body
    if server.kind == "event" and statuses[-1] >= 400:
        assert answered[-1][1][b"content-type"] == b"application/problem+json"
        assert json.loads(answered[-1][2])["status"] == statuses[-1]


def test_raw_tensors_are_answered_as_they_were_sent(server: Server) -> None:
    tensor = {"name": "X", "shape": [1, 2], "datatype": "FP64", "parameters": {"binary_data_size": 16}}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    with server.client() as client:
        sent = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
        answer = client.ask("POST", "/v2/models/m/infer", head + np.array([1.0, 2.0]).tobytes(), sent)
        length = int(answer.headers["Inference-Header-Content-Length"])
        assert answer.status == 200
        assert json.loads(answer.body[:length])["outputs"][0]["parameters"] == {"binary_data_size": 8}
        assert np.frombuffer(answer.body, offset=length).tolist() == [1.0]
        answer = client.ask("POST", "/v2/models/m/infer", head, sent | {"X-Request-Id": "mine"})
    assert (answer.status, list(answer.json)) == (400, ["error"])
    assert answer.headers["X-Request-Id"] == "mine"


def test_a_request_that_stops_halfway_is_answered_408(server: Server) -> None:
    if server.kind == "gthread":
        pytest.skip("gthread cannot time out headers, and so must stand behind nginx")
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as peer:
        peer.sendall(b"GET /healthz HTTP/1.1\r\nHost:")
        ((status, headers, _),) = replies(peer.makefile("rb").read())
    assert (status, headers[b"connection"]) == (408, b"close")


def test_a_request_may_come_byte_by_byte(server: Server) -> None:
    sent = POST + LENGTH + CLOSE + b"\r\n" + BODY
    answered = replies(exchange(server.port, *(bytes([byte]) for byte in sent)))
    assert [(status, body) for status, _, body in answered] == [(200, ANSWER)]


def test_a_client_is_told_to_go_on_before_it_sends_its_body(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as peer:
        peer.sendall(POST + LENGTH + b"Expect: 100-continue\r\n" + CLOSE + b"\r\n")
        assert peer.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        peer.sendall(BODY)
        assert peer.makefile("rb").read().endswith(ANSWER)


def test_a_client_that_has_said_all_is_still_answered(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as peer:
        peer.sendall(POST + LENGTH + b"\r\n" + BODY)
        peer.shutdown(socket.SHUT_WR)
        assert peer.makefile("rb").read().endswith(ANSWER)


def test_a_connection_is_used_again_and_again(server: Server) -> None:
    with server.client() as client:
        for _ in range(50):
            assert client.predict([[1, 2]]).json == {"y_pred": [1.0]}
            assert client.get("/healthz").status == 200


def test_clients_that_reset_hurt_nobody(server: Server) -> None:
    for sent in (b"", b"GET", POST + LENGTH + b"\r\n", POST + LENGTH + b"\r\n" + BODY):
        for _ in range(20):
            peer = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            peer.sendall(sent)
            peer.close()
    with server.client() as client:
        assert client.predict([[1, 2]]).status == 200


def test_a_reply_that_is_read_slowly_arrives_whole(server: Server) -> None:
    rows = [[1, 2]] * 90_000
    body = json.dumps({"x": rows}).encode()
    with socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.settimeout(PATIENCE)
        peer.connect(("127.0.0.1", server.port))
        peer.sendall(POST + b"Content-Length: %d\r\n" % len(body) + CLOSE + b"\r\n" + body)
        received = bytearray()
        while chunk := peer.recv(1000):
            received += chunk
            if len(received) < 20_000:
                with server.client() as other:
                    assert other.get("/healthz").status == 200
    ((status, _, answer),) = replies(bytes(received))
    assert (status, len(json.loads(answer)["y_pred"])) == (200, 90_000)


def test_a_client_that_has_said_all_gets_a_long_reply_to_its_end(server: Server) -> None:
    rows = 900_000
    body = io.BytesIO()
    np.save(body, np.ones((rows, 2), dtype=np.uint8))
    head = b"POST /predict HTTP/1.1\r\n" + HOST + b"Content-Type: application/x-npy\r\nAccept: application/json\r\n"
    with socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.settimeout(PATIENCE)
        peer.connect(("127.0.0.1", server.port))
        peer.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body.getvalue()) + body.getvalue())
        received = bytearray(peer.recv(1000))
        peer.shutdown(socket.SHUT_WR)
        while chunk := peer.recv(65536):
            received += chunk
    ((status, _, answer),) = replies(bytes(received))
    assert (status, len(json.loads(answer)["y_pred"])) == (200, rows)
