"""nginx as shipped before the service as shipped."""

from __future__ import annotations

import gzip
import json
import os
import signal
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPSConnection
from pathlib import Path

import pytest
from processes import (
    ROOT,
    Answer,
    Client,
    Load,
    Server,
    free_port,
    need,
    post_head,
    raw,
    save_constant,
    start_gunicorn,
    wait_until,
)

from app.store import Saved

Start = Callable[..., Server]
Publish = Callable[..., Saved]

ADMIN_ROUTES = [
    ("GET", "/metrics"),
    ("GET", "//metrics/"),
    ("GET", "/%6detrics"),
    ("POST", "/models/m/promote"),
    ("POST", "/models/m/rollback"),
    ("GET", "/models/m/versions/1/report"),
    ("GET", "/models/m/versions/1/manifest"),
    ("POST", "/models/m/split"),
    ("POST", "/models/m/shadow"),
    ("POST", "/models/m/labels"),
]


def is_problem_of_nginx(answer: Answer, status: int) -> bool:
    """Whether an answer is one of nginx's own errors in the form all errors have."""
    assert answer.status == status, answer
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json
    assert problem["status"] == status
    assert problem["request_id"] == answer.headers["X-Request-Id"]
    return bool(problem["title"] and problem["detail"])


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The service with its own limits and one model, which answers 1."""
    need("nginx")
    folder = tmp_path_factory.mktemp("service")
    save_constant(folder / "store", 1.0)
    server = start_gunicorn(folder / "store", folder)
    try:
        server.wait_for("/readyz")
        yield server
    finally:
        server.stop()


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_the_shipped_file_is_complete_as_it_is() -> None:
    need("nginx")
    if os.geteuid() != 0:
        pytest.skip("only root may write where the shipped file logs")
    done = subprocess.run(["nginx", "-t", "-c", ROOT / "nginx.conf"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr


def test_predictions_pass_on_a_connection_that_stays_open(service: Server, nginx: Start) -> None:
    with nginx(service).client() as client:
        first = client.predict([[0, 1]])
        used = client.connection.sock
        second = client.predict([[0, 1]])
        assert client.connection.sock is used
    assert first.json == second.json == {"y_pred": [1.0]}
    assert first.headers["X-Model-Name"] == "m"


def test_connections_to_the_service_are_used_again(service: Server, nginx: Start) -> None:
    before = connections_to(service.port)
    with nginx(service).client() as client:
        for _ in range(100):
            assert client.predict([[0, 1]]).status == 200
        assert 1 <= len(connections_to(service.port) - before) < 10


def connections_to(port: int) -> set[str]:
    """The local ends of this machine's connections to a port, the closed ones of the last minute too."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    return {row[1] for row in rows if row[2].endswith(f":{port:04X}")}


def test_a_client_of_http_1_0_needs_no_host(service: Server, nginx: Start) -> None:
    assert raw(nginx(service).port, b"GET /healthz HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 ")


def test_a_request_id_passes_and_a_missing_or_wrong_one_is_made(service: Server, nginx: Start) -> None:
    with nginx(service).client() as client:
        assert client.predict([[0, 1]], **{"X-Request-Id": 'mine-"1"'}).headers["X-Request-Id"] == 'mine-"1"'
        made = [client.predict([[0, 1]]).headers["X-Request-Id"] for _ in range(2)]
        assert made[0] != made[1]
        assert min(map(len, made)) == 32
        for wrong in ("x" * 129, "two words"):
            assert client.predict([[0, 1]], **{"X-Request-Id": wrong}).headers["X-Request-Id"] != wrong


def test_replies_have_each_header_once_and_tell_no_version_of_nginx(service: Server, nginx: Start) -> None:
    with nginx(service).client() as client:
        headers = client.predict([[0, 1]]).headers
    names = [name.lower() for name in headers]
    assert len(names) == len(set(names))
    assert headers["Server"] == "nginx"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "Strict-Transport-Security" not in headers


def test_nginx_and_the_app_refuse_the_same_body(gunicorn: Start, publish: Publish, nginx: Start) -> None:
    publish()
    service = gunicorn(MAX_BODY_BYTES="2000")
    proxy = nginx(service, MAX_BODY_BYTES="2000")
    fits = b'{"x": [[0, 1]]' + b" " * 1985 + b"}"
    assert len(fits) == 2000
    for server in (service, proxy):
        with server.client() as client:
            assert client.ask("POST", "/predict", fits).status == 200
        with server.client() as client:
            answer = client.ask("POST", "/predict", fits + b" ")
        assert answer.status == 413
        assert answer.headers["Content-Type"] == "application/problem+json"
    assert is_problem_of_nginx(answer, 413)


def test_an_address_that_asks_too_often_gets_429_but_probes_pass(service: Server, nginx: Start) -> None:
    with nginx(service, RATE_LIMIT="1", RATE_BURST="3").client() as client:
        answers = [client.predict([[0, 1]]) for _ in range(10)]
        assert answers[0].status == answers[3].status == 200
        assert is_problem_of_nginx(answers[9], 429)
        assert answers[9].headers["Retry-After"] == "1"
        assert {client.get("/healthz").status for _ in range(20)} == {200}


def test_a_loop_from_one_address_is_within_the_default_limits(service: Server, nginx: Start) -> None:
    with nginx(service).client() as client:
        assert {client.predict([[0, 1]]).status for _ in range(1000)} == {200}


def test_an_address_has_only_so_many_connections(service: Server, nginx: Start) -> None:
    proxy = nginx(service, CONNECTION_LIMIT="1")
    with socket.create_connection(("127.0.0.1", proxy.port)) as slow:
        slow.sendall(post_head(20) + b'{"x"')

        def second() -> Answer:
            with proxy.client() as client:
                return client.predict([[0, 1]])

        answer = wait_until(lambda: found if (found := second()).status != 200 else None, "the first one counts")
        assert is_problem_of_nginx(answer, 429)


def test_a_service_that_is_not_there_is_502(nginx: Start) -> None:
    with nginx(f"127.0.0.1:{free_port()}").client() as client:
        answer = client.predict([[0, 1]], **{"X-Request-Id": "mine"})
    assert is_problem_of_nginx(answer, 502)
    assert answer.json["request_id"] == "mine"
    assert answer.headers["Retry-After"] == "1"


def test_other_servers_clients_get_errors_as_they_know_them(nginx: Start) -> None:
    proxy = nginx(f"127.0.0.1:{free_port()}")
    with proxy.client() as client:
        for path in ("/v2/models/m/infer", "/v2", "/v1/models/m:predict", "/v1/models/m"):
            answer = client.ask("POST", path, b"{}")
            assert (answer.status, answer.headers["Content-Type"]) == (502, "application/json")
            assert list(answer.json) == ["error"]
            assert answer.headers["Retry-After"] == "1"
        for path in ("/invocations", "/models/m/invocations", "/models/m/labels/stable/invocations"):
            answer = client.ask("POST", path, b"{}")
            assert (answer.status, answer.json["error_code"]) == (502, "TEMPORARILY_UNAVAILABLE")
            assert "does not answer" in answer.json["message"]
        # What is inside cannot be asked for.
        assert is_problem_of_nginx(client.get("/nginx-error-code"), 404)


def test_other_servers_clients_are_answered(service: Server, nginx: Start) -> None:
    tensor = {"name": "X", "shape": [1, 2], "datatype": "FP64", "data": [0, 1]}
    with nginx(service).client() as client:
        answer = client.ask("POST", "/v2/models/m/infer", {"inputs": [tensor]})
        assert answer.json["outputs"] == [{"name": "predict", "shape": [1], "datatype": "FP64", "data": [1.0]}]
        body = gzip.compress(b'{"instances": [[0, 1]]}')
        answer = client.ask("POST", "/v1/models/m:predict", body, {"Content-Encoding": "gzip"})
        assert answer.json == {"predictions": [1.0]}


def test_a_service_that_never_answers_is_504(nginx: Start, silent_port: int) -> None:
    with nginx(f"127.0.0.1:{silent_port}", REQUEST_TIMEOUT="1").client() as client:
        assert is_problem_of_nginx(client.predict([[0, 1]]), 504)


@pytest.mark.parametrize(
    ("status", "request_bytes"),
    [
        (400, b"NONSENSE\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: two words\r\n\r\n"),
        (405, b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (414, b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"),
        (431, b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + b"a" * 9000 + b"\r\n\r\n"),
    ],
    ids=["no HTTP", "bad host", "TRACE", "long line", "long header"],
)
def test_requests_that_nginx_refuses_are_problems(nginx: Start, status: int, request_bytes: bytes) -> None:
    head, body = raw(nginx("127.0.0.1:9").port, request_bytes).split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nContent-Type: application/problem+json\r\n" in head
    assert json.loads(body)["status"] == status


def test_the_apps_own_errors_pass_as_they_are(service: Server, nginx: Start) -> None:
    with nginx(service).client() as proxied, service.client() as direct:
        for path, rows in (("/predict", [[0]]), ("/models/none/predict", [[0, 1]]), ("/nowhere", [[0, 1]])):
            told = [client.predict(rows, path, **{"X-Request-Id": "same"}) for client in (proxied, direct)]
            assert told[0].status == told[1].status >= 400
            assert told[0].body == told[1].body


@pytest.mark.parametrize(("method", "path"), ADMIN_ROUTES)
def test_admin_routes_are_closed_to_foreign_addresses(nginx: Start, method: str, path: str) -> None:
    with nginx("127.0.0.1:9", ADMIN_ADDRESSES="none").client() as client:
        answer = client.ask(method, path)
    assert is_problem_of_nginx(answer, 403)


@pytest.mark.parametrize("change", ["load", "unload"])
def test_the_repository_is_closed_to_them_too_and_says_so_in_its_protocol(nginx: Start, change: str) -> None:
    with nginx("127.0.0.1:9", ADMIN_ADDRESSES="none").client() as client:
        answer = client.ask("POST", f"/v2/repository/models/m/{change}")
    assert (answer.status, answer.headers["Content-Type"]) == (403, "application/json")
    assert "open to certain addresses only" in answer.json["error"]


def test_admin_routes_are_open_to_this_machine_and_ask_for_the_key(service: Server, nginx: Start) -> None:
    with nginx(service).client() as client:
        assert client.get("/metrics").status == 200
        answer = client.ask("POST", "/models/m/rollback")
    assert answer.status in (401, 403)
    assert "addresses" not in answer.json["detail"]


def test_a_killed_worker_costs_no_prediction(service: Server, nginx: Start) -> None:
    proxy = nginx(service)

    def ask(client: Client) -> int:
        return client.predict([[0.0, 1.0]] * 50).status

    with Load(proxy.port, ask, clients=6) as load:
        for _ in range(4):
            victim, *_ = wait_until(lambda: pids if len(pids := service.children()) == 2 else [], "two workers run")
            answered = len(load.answers)
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda victim=victim: victim not in service.children(), "the worker is gone")
            wait_until(lambda answered=answered: load.faults or len(load.answers) > answered + 50, "more are answered")
    assert not load.faults
    assert set(load.answers) == {200}


def test_slow_clients_keep_no_worker_busy(service: Server, nginx: Start) -> None:
    proxy = nginx(service)
    with ExitStack() as stack:
        for sent in (b"POST /predict HTTP/1.1\r\nHost: a\r\nX-Sl", post_head(1000) + b"{"):
            for _ in range(40):
                peer = stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port)))
                peer.sendall(sent)
        with proxy.client() as client:
            assert {client.predict([[0, 1]]).status for _ in range(50)} == {200}


def test_tls_by_the_example(service: Server, nginx: Start, tmp_path: Path) -> None:
    need("openssl")
    port = free_port()
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*make, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    example = (ROOT / "deploy/nginx/tls.conf").read_text(encoding="utf-8")
    example = example.replace("listen 8443", f"listen 127.0.0.1:{port}")
    example = example.replace("/etc/nginx/tls/fullchain.pem", str(certificate))
    example = example.replace("/etc/nginx/tls/privkey.pem", str(key))
    (tmp_path / "tls.conf").write_text(example, encoding="utf-8")
    proxy = nginx(service, INCLUDE=str(tmp_path / "tls.conf"))

    connection = HTTPSConnection("localhost", port, context=ssl.create_default_context(cafile=str(certificate)))
    connection.request("POST", "/predict", '{"x": [[0, 1]]}', {"Content-Type": "application/json"})
    reply = connection.getresponse()
    assert reply.status == 200
    assert json.loads(reply.read()) == {"y_pred": [1.0]}
    assert reply.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert connection.sock.version() == "TLSv1.3"
    connection.close()

    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.load_verify_locations(certificate)
    old.set_ciphers("AES128-SHA")
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        HTTPSConnection("localhost", port, context=old).connect()
    assert raw(port, b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 308 ")
    with proxy.client() as client:
        assert client.predict([[0, 1]]).status == 200


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("RATE_LIMIT", "many"),
        ("UPSTREAM", "a; evil"),
        ("MAX_BODY_BYTES", "16m"),
        ("REQUEST_TIMEOUT", "x"),
        ("RUN_DIR", "a|b"),
    ],
)
def test_a_value_that_cannot_be_is_refused_in_one_line(variable: str, value: str) -> None:
    environ = {"PATH": os.environ["PATH"], variable: value}
    command = ["sh", "deploy/nginx/render.sh"]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert done.stderr.startswith(f"error: {variable} ")
    assert done.stderr.count("\n") == 1
    assert not done.stdout
