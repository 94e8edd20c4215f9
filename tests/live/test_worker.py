"""The event worker under long requests: nobody else waits, and nobody waits for ever."""

from __future__ import annotations

import contextlib
import gzip
import json
import select
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from processes import PATIENCE, Answer, Client, Server, post_head, start_gunicorn, wait_until
from test_conformance import replies

CODE = '''
import time
from pathlib import Path

from sklearn.base import BaseEstimator


class Gate(BaseEstimator):
    """Answers 1 at once, and rows of 7 when a file appears."""

    def fit(self, X, y=None):
        return self

    def predict(self, X):
        while X.max() == 7 and not Path(self.gate).exists():
            time.sleep(0.01)
        return X[:, 0] * 0 + 1
'''


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """The file that lets long predictions end."""
    return tmp_path / "gate"


@pytest.fixture
def start(tmp_path: Path, gate: Path) -> Iterator[Callable[..., Server]]:
    from app import store
    from app.store import bundle

    code = tmp_path / "gates.py"
    code.write_text(CODE)
    estimator = bundle.import_code(code.read_bytes(), code).Gate()
    estimator.gate = str(gate)
    store.save(estimator, np.zeros((3, 2)), "m", root=tmp_path / "store", code=code)
    started = []

    def start(**settings: str) -> Server:
        options = {"WEB_CONCURRENCY": "1", "WORKER_CLASS": "event", "THREADS": "2"} | settings
        started.append(start_gunicorn(tmp_path / "store", tmp_path, **options))
        started[-1].wait_for("/readyz")
        teach(started[-1], gate)
        return started[-1]

    yield start
    gate.touch()
    for server in started:
        server.stop()


def teach(server: Server, gate: Path) -> None:
    """Let one long prediction pass, so that the worker knows how long its like takes."""
    opener = threading.Timer(0.3, gate.touch)
    opener.start()
    with server.client() as client:
        assert client.predict([[7, 7]]).status == 200
    opener.join()
    gate.unlink()


def ask_in_background(server: Server, count: int) -> tuple[list[threading.Thread], list[Answer]]:
    answers: list[Answer] = []

    def ask() -> None:
        with server.client() as client:
            answers.append(client.predict([[7, 7]]))

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads, answers


def test_short_requests_are_answered_while_long_ones_are_under_way(start: Callable[..., Server], gate: Path) -> None:
    server = start()
    threads, answers = ask_in_background(server, 2)
    with server.client() as client:
        for _ in range(20):
            assert client.get("/healthz").status == 200
    assert not answers
    gate.touch()
    for thread in threads:
        thread.join(PATIENCE)
    assert [answer.status for answer in answers] == [200, 200]


def test_an_answer_that_is_not_ready_in_time_is_504_wherever_it_waits(start: Callable[..., Server]) -> None:
    server = start(REQUEST_TIMEOUT="1")
    threads, answers = ask_in_background(server, 4)
    for thread in threads:
        thread.join(PATIENCE)
    assert [answer.status for answer in answers] == [504] * 4
    assert answers[0].json["detail"] == "the answer was not ready within 1 seconds"


def test_what_was_packed_waits_in_a_thread_and_an_error_is_in_its_protocols_shape(
    start: Callable[..., Server], gate: Path
) -> None:
    server = start(REQUEST_TIMEOUT="1", MAX_BODY_BYTES="2000")
    tensor = {"name": "X", "shape": [1, 2], "datatype": "FP64", "data": [7, 7]}
    packed = gzip.compress(json.dumps({"inputs": [tensor]}).encode())
    answers: list[Answer] = []

    def ask() -> None:
        with server.client() as client:
            answers.append(client.ask("POST", "/v2/models/m/infer", packed, {"Content-Encoding": "gzip"}))

    thread = threading.Thread(target=ask)
    thread.start()
    with server.client() as client:
        assert client.get("/healthz").status == 200
        thread.join(PATIENCE)
        assert client.ask("POST", "/v2/models/m/infer", b" " * 2001).json == {
            "error": "the body is larger than 2000 bytes; send fewer rows at a time"
        }
    assert [(answer.status, answer.json) for answer in answers] == [
        (504, {"error": "the answer was not ready within 1 seconds"})
    ]


def test_more_than_may_wait_are_turned_away_at_once(start: Callable[..., Server], gate: Path) -> None:
    server = start(MAX_QUEUE="1")
    threads, answers = ask_in_background(server, 5)
    wait_until(lambda: len(answers) == 2, "two are turned away")
    assert {(answer.status, answer.headers["Retry-After"]) for answer in answers} == {(503, "1")}
    gate.touch()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(answer.status for answer in answers) == [200, 200, 200, 503, 503]


def test_replies_keep_the_order_of_their_requests(start: Callable[..., Server], gate: Path) -> None:
    server = start()
    body = b'{"x":[[7,7]]}'
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as peer:
        peer.sendall(post_head(len(body)) + body + b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        with server.client() as client:
            assert client.get("/healthz").status == 200
        gate.touch()
        answered = replies(peer.makefile("rb").read())
    assert [(status, body) for status, _, body in answered] == [
        (200, b'{"y_pred":[1.0]}'),
        (200, b'{"status":"alive"}'),
    ]


def test_nothing_is_left_of_clients_that_are_gone(start: Callable[..., Server], gate: Path) -> None:
    server = start()
    (worker,) = server.children()

    def descriptors() -> int:
        return len(list(Path(f"/proc/{worker}/fd").iterdir()))

    with server.client() as client:
        # The files of the metrics are opened when they are first written.
        assert client.get("/metrics").status == 200
        before = descriptors() - 1  # without this client
    peers = [socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) for _ in range(100)]
    body = b'{"x":[[7,7]]}'
    for number, peer in enumerate(peers):
        peer.sendall(b"GET" if number % 3 == 0 else post_head(len(body)) + (body if number % 3 == 1 else b""))
    wait_until(lambda: descriptors() >= before + 100, "all are connected")
    for peer in peers:
        peer.close()
    gate.touch()
    wait_until(lambda: descriptors() <= before, "their descriptors are closed")
    with Client(server.port) as client:
        assert client.predict([[1, 1]]).json == {"y_pred": [1.0]}


def answered(peers: list[socket.socket]) -> list[socket.socket]:
    return select.select(peers, [], [], 0)[0]


def test_bodies_on_their_way_are_kept_up_to_a_bound(start: Callable[..., Server]) -> None:
    size = 1_000_000
    server = start(MAX_BODY_BYTES=str(size))
    with contextlib.ExitStack() as stack:
        peers = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE))
            for _ in range(20)
        ]
        for peer in peers:
            peer.sendall(post_head(size) + b" " * (size - 100))
        # Sixteen of the largest bodies have room, and these are a little smaller.
        wait_until(lambda: len(answered(peers)) == 4, "four are refused")
        refused = answered(peers)
        told = [peer.makefile("rb").read() for peer in refused]
        assert {reply.split(b" ", 2)[1] for reply in told} == {b"503"}
        assert all(b"Retry-After: 1" in reply for reply in told)
        kept = [peer for peer in peers if peer not in refused]
        kept[0].sendall(b'{"x":[[0,1]]}'.rjust(100))
        assert kept[0].recv(15) == b"HTTP/1.1 200 OK"
