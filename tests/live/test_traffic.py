"""Canary and shadow with real workers: shares, callers who stay, swaps under load, and what the metrics add up to."""

from __future__ import annotations

import json
import re
import socket
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import Answer, Client, Load, Server, post_head, wait_until
from test_gunicorn import metric

from app.store import ModelStore, Saved, Shadow

Start = Callable[..., Server]
Publish = Callable[..., Saved]
CONNECTIONS, PIPELINED, ROUNDS = 20, 50, 10
BODY = json.dumps({"x": [[0.0, 1.0]]}).encode()
REPLY = re.compile(rb'X-Model-Version: (\d+)\r\n.*?\{"y_pred":\[(\d+)\.0\]\}', re.DOTALL)


@pytest.fixture
def catalog(tmp_path: Path, publish: Publish) -> ModelStore:
    """Version 1 is promoted; 2 and 3 are there."""
    publish()
    publish(promote=False)
    publish(promote=False)
    return ModelStore(tmp_path / "store")


def versions(server: Server, times: int = 20, **headers: str) -> Counter[int]:
    """Who answers so many requests, each on a connection of its own, so that every worker has its turn."""
    seen: Counter[int] = Counter()
    for _ in range(times):
        with server.client() as client:
            seen[client.predict([[0.0, 1.0]], **headers).version] += 1
    return seen


def ask_many(server: Server) -> Counter[bytes]:
    """Who answers ten thousand requests, sent many at a time on connections that stay open."""
    seen: Counter[bytes] = Counter()
    peers = [socket.create_connection(("127.0.0.1", server.port), timeout=30) for _ in range(CONNECTIONS)]
    for _ in range(ROUNDS):
        for peer in peers:
            peer.sendall((post_head(len(BODY)) + BODY) * PIPELINED)
        for peer in peers:
            received = b""
            while received.count(b"}") < PIPELINED:
                received += peer.recv(65536)
            assert received.count(b"HTTP/1.1 200 ") == PIPELINED, received[:500]
            replies = REPLY.findall(received)
            # Each version answers its own number, also where requests share a call.
            assert all(version == value for version, value in replies)
            seen.update(version for version, _ in replies)
    for peer in peers:
        peer.close()
    return seen


def test_a_canary_gets_its_tenth_of_ten_thousand_requests(gunicorn: Start, catalog: ModelStore) -> None:
    catalog.split("m", {2: 0.1})
    server = gunicorn()
    seen = ask_many(server)
    asked = CONNECTIONS * PIPELINED * ROUNDS
    assert seen.keys() == {b"1", b"2"}
    assert seen[b"2"] == pytest.approx(0.1 * asked, abs=0.02 * asked)
    for version, count in seen.items():
        wait_until(
            lambda version=version, count=count: (
                metric(server, "maas_predictions_total", version=version.decode(), outcome="ok") == count
            ),
            "the workers' counts add up",
        )


def test_a_caller_stays_on_its_version_whichever_worker_answers(gunicorn: Start, catalog: ModelStore) -> None:
    catalog.split("m", {2: 0.5}, sticky="X-User")
    server = gunicorn()
    seen = [versions(server, times=8, **{"X-User": f"user-{number}"}) for number in range(12)]
    assert all(len(each) == 1 for each in seen)
    assert {version for each in seen for version in each} == {1, 2}


def test_splits_change_under_load_without_a_failed_request(gunicorn: Start, catalog: ModelStore) -> None:
    server = gunicorn()

    def ask(client: Client) -> int:
        answer: Answer = client.predict([[0.0, 1.0]])
        assert answer.status == 200, answer
        assert answer.json["y_pred"] == [float(answer.version)]
        return answer.version

    steps = [
        (lambda: catalog.split("m", {2: 0.5}), {1, 2}),
        (lambda: catalog.split("m", {3: 0.5, 2: 0.5}), {2, 3}),
        (lambda: catalog.promote("m", 3), {2, 3}),
        (lambda: catalog.split("m", {}), {3}),
        (lambda: catalog.rollback("m"), {1}),
    ]
    with Load(server.port, ask) as load:
        for change, expected in steps:
            change()
            wait_until(lambda expected=expected: set(versions(server)) == expected, f"{expected} answer")
    assert not load.faults
    assert set(load.answers) == {1, 2, 3}


def test_a_shadow_is_asked_by_every_worker_and_changes_no_answer(gunicorn: Start, catalog: ModelStore) -> None:
    catalog.shadow("m", Shadow(2))
    server = gunicorn()
    seen = ask_many(server)
    assert seen == {b"1": CONNECTIONS * PIPELINED * ROUNDS}
    wait_until(
        lambda: metric(server, "maas_shadow_requests_total", model="m", version="2") == seen[b"1"], "all are told"
    )
    asked = metric(server, "maas_shadow_requests_total", version="2", outcome="different")
    assert asked + metric(server, "maas_shadow_requests_total", outcome="dropped") == seen[b"1"]
    # Version 1 answers 1 and version 2 answers 2.
    assert metric(server, "maas_shadow_difference_total", version="2") == asked
    assert metric(server, "maas_shadow_rows_total", outcome="different") == asked


def test_series_of_a_version_that_serves_no_more_are_forgotten(gunicorn: Start, catalog: ModelStore) -> None:
    server = gunicorn()
    versions(server)
    wait_until(lambda: metric(server, "maas_predictions_total", version="1") == 20, "they are counted")
    catalog.promote("m", 2)
    catalog.promote("m", 3)
    wait_until(lambda: set(versions(server)) == {3}, "version 3 answers")
    assert metric(server, "maas_predictions_total", version="1") == 0
    assert metric(server, "maas_predictions_total", version="3") > 0
