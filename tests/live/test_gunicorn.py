"""The service itself: `gunicorn -c gunicorn.conf.py` with several workers."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from processes import ROOT, Answer, Client, Load, Server, post_head, raw, wait_until

from app.store import ModelStore, Saved

Start = Callable[..., Server]
Publish = Callable[..., Saved]


def predict_three(client: Client) -> tuple[int, list[float]]:
    """What a client of a Load does: predict three rows, and tell version and values."""
    answer = client.predict([[0.0, 1.0]] * 3)
    assert answer.status == 200, answer
    return answer.version, answer.json["y_pred"]


def versions_seen(server: Server) -> set[int]:
    return {answer.version for answer in asked_on_new_connections(server, [[0, 1]])}


def statuses_seen(server: Server, rows: list[list[float]]) -> set[int]:
    return {answer.status for answer in asked_on_new_connections(server, rows)}


def asked_on_new_connections(server: Server, rows: list[list[float]], times: int = 20) -> Iterator[Answer]:
    """Ask so that every worker has its turn."""
    for _ in range(times):
        with server.client() as client:
            yield client.predict(rows)


def metric(server: Server, name: str, **labels: str) -> float:
    """The sum of a metric's samples that have these labels."""
    with server.client() as client:
        lines = client.get("/metrics").body.decode().splitlines()
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    found = [line for line in lines if line.startswith((f"{name}{{", f"{name} ")) and all(w in line for w in wanted)]
    return sum(float(line.rsplit(" ", 1)[1]) for line in found)


def test_a_setting_that_no_app_can_have_stops_the_start_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    environ = {"AIP_PREDICT_ROUTE": "/metrics", "MODEL_STORE": str(tmp_path / "store"), "TMPDIR": str(tmp_path / "tmp")}
    done = subprocess.run(
        [Path(sys.executable).with_name("gunicorn"), "-c", "gunicorn.conf.py", "--bind=127.0.0.1:0"],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("Error: AIP_PREDICT_ROUTE must be a path of its own")
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "tmp").glob("maas-metrics-*"))


def test_a_request_in_flight_is_finished_when_the_service_is_told_to_stop(gunicorn: Start, publish: Publish) -> None:
    publish()
    server = gunicorn()
    body = json.dumps({"x": [[0.0, 1.0]]}).encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as peer:
        peer.sendall(post_head(len(body)) + body[:5])
        wait_until(lambda: metric(server, "maas_requests_in_flight") > 1, "the request is in flight")
        server.process.terminate()
        wait_until(lambda: len(server.children()) == 1, "the worker that has nothing to do is gone")
        peer.sendall(body[5:])
        reply = peer.makefile("rb").read()
    assert reply.startswith(b"HTTP/1.1 200 "), reply
    assert json.loads(reply.split(b"\r\n\r\n", 1)[1]) == {"y_pred": [1.0]}
    assert server.process.wait(30) == 0


@pytest.mark.parametrize("worker_class", ["event", "gthread"])
def test_a_worker_that_is_told_to_stop_while_it_starts_stops(
    gunicorn: Start, publish: Publish, tmp_path: Path, worker_class: str
) -> None:
    publish()
    config = tmp_path / "told.conf.py"
    config.write_text(
        f"""
import os, runpy, signal
globals().update(runpy.run_path("{ROOT}/gunicorn.conf.py"))
def post_fork(server, worker):
    if worker.age == 1:
        os.kill(worker.pid, signal.SIGTERM)
""",
        encoding="utf-8",
    )
    server = gunicorn(config=str(config), WORKER_CLASS=worker_class)
    booted = re.compile(r"Booting worker with pid: (\d+)")
    wait_until(lambda: len(booted.findall(server.output())) == 3, "a third worker is in the place of the first")
    first, *others = map(int, booted.findall(server.output()))
    wait_until(lambda: server.children() == others, "the first is gone")
    assert f"Worker exiting (pid: {first})" in server.output()


def test_promoting_under_load_loses_no_request_and_mixes_no_versions(gunicorn: Start, publish: Publish) -> None:
    publish()
    server = gunicorn()
    with Load(server.port, predict_three) as load:
        for version in range(2, 6):
            publish()
            wait_until(lambda version=version: versions_seen(server) == {version}, f"all workers serve {version}")
        wait_until(lambda: load.faults or load.answers[-1][0] == 5, "the clients are answered by the last one")
    assert not load.faults
    assert all(values == [float(version)] * 3 for version, values in load.answers)
    assert {version for version, _ in load.answers} >= {1, 5}


def test_a_broken_version_is_refused_and_the_one_before_goes_on_answering(gunicorn: Start, publish: Publish) -> None:
    publish()
    server = gunicorn()
    broken = publish(promote=False)
    model = broken.path / "model.joblib"
    model.write_bytes(model.read_bytes()[:-1] + b"!")
    with Load(server.port, predict_three) as load:
        ModelStore(broken.path.parents[1]).promote("m", broken.version)
        wait_until(lambda: metric(server, "maas_model_loads_total", outcome="refused"), "the refusal is counted")
    assert not load.faults
    assert {version for version, _ in load.answers} == {1}
    assert "model.joblib" in server.output()
    assert "Traceback" not in server.output()
    publish()
    wait_until(lambda: versions_seen(server) == {3}, "a sound version is served")


def test_without_a_model_it_is_alive_and_not_ready_until_one_is_trained(gunicorn: Start, tmp_path: Path) -> None:
    server = gunicorn(wait_for="/healthz")
    with server.client() as client:
        assert client.get("/readyz").status == 503
        answer = client.predict([[5.1, 3.5, 1.4, 0.2]])
    assert answer.status == 503
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "Retry-After" in answer.headers
    assert "train" in answer.json["detail"]
    train(tmp_path / "store", "--dataset", "iris", "--name", "iris")
    # Each worker looks at the store by itself.
    wait_until(lambda: statuses_seen(server, [[5.1, 3.5, 1.4, 0.2]]) == {200}, "every worker has the model")
    with server.client() as client:
        assert client.predict([[5.1, 3.5, 1.4, 0.2]]).json == {"y_pred": [0]}


def train(store: Path, *arguments: str) -> None:
    command = [sys.executable, "scripts/train.py", *arguments]
    environ = {"PATH": "/usr/bin:/bin", "MODEL_STORE": str(store)}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_metrics_are_those_of_all_workers_together(gunicorn: Start, publish: Publish) -> None:
    publish()
    server = gunicorn(WEB_CONCURRENCY="3")
    before = metric(server, "maas_requests_total", route="/predict", status="200")
    for _ in range(60):
        with server.client() as client:
            assert client.predict([[0, 1], [2, 3]]).status == 200
    counted = before + 60

    def told() -> set[float]:
        return {metric(server, "maas_requests_total", route="/predict", status="200") for _ in range(10)}

    wait_until(lambda: told() == {counted}, "every worker tells the sum of all")
    assert metric(server, "maas_rows_total", model="m") == 2 * counted
    assert metric(server, "maas_model_version", model="m") == 1
    assert metric(server, "maas_request_duration_seconds_count", route="/predict") == counted
    with server.client() as client:
        text = client.get("/metrics").body.decode()
    for pid in [server.process.pid, *server.children()]:
        assert f'pid="{pid}"' in text


def test_a_worker_that_is_killed_is_replaced_and_its_counts_stay(gunicorn: Start, publish: Publish) -> None:
    publish()
    server = gunicorn()
    for _ in range(20):
        with server.client() as client:
            client.predict([[0, 1]])
    wait_until(lambda: metric(server, "maas_requests_total", route="/predict") == 20, "all are counted")
    killed, *_ = server.children()
    subprocess.run(["kill", "-9", str(killed)], check=True)
    wait_until(lambda: len(server.children()) == 2 and killed not in server.children(), "another worker is there")
    server.wait_for("/readyz")
    assert metric(server, "maas_requests_total", route="/predict") == 20


def test_many_at_once_are_all_answered(gunicorn: Start, publish: Publish) -> None:
    publish()
    server = gunicorn()
    clients = [Client(server.port) for _ in range(40)]
    answers: list[Any] = []
    for client in clients:
        body = json.dumps({"x": [[0, 1]]}).encode()
        client.connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
    for client in clients:
        answers.append(client.connection.getresponse().status)
        client.close()
    assert set(answers) == {200}


def test_a_chunked_body_is_bounded_like_any_other(gunicorn: Start, publish: Publish) -> None:
    publish()
    server = gunicorn(MAX_BODY_BYTES="1000")
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nConnection: close\r\n"
    rows = b"1,2\n" * 200
    for body, status in ((rows, b"200"), (rows * 2, b"413")):
        reply = raw(server.port, head, b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
        assert reply.split(b" ", 2)[1] == status
