"""Real servers for the live tests: gunicorn and nginx as they are shipped, and a client to ask them."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from sklearn.dummy import DummyRegressor

from app.store import Saved, save

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 30.0
T = TypeVar("T")


def wait_until(condition: Callable[[], T], what: object, patience: float = PATIENCE) -> T:
    """Return the first true value of `condition`; fail the test with `what` where none comes."""
    end = time.monotonic() + patience
    while True:
        if value := condition():
            return value
        if time.monotonic() > end:
            pytest.fail(f"waited in vain until {what}")
        time.sleep(0.02)


def need(tool: str, *, there: bool | None = None) -> None:
    """Skip the test where `tool` is missing; fail it where LIVE_REQUIRE names the tool."""
    if shutil.which(tool) is not None if there is None else there:
        return
    if tool in os.environ.get("LIVE_REQUIRE", "").split(","):
        pytest.fail(f"LIVE_REQUIRE names {tool}, which is not here")
    pytest.skip(f"needs {tool}, which is not here")


def install_client(client: str) -> Path:
    """Have make set up a client's environment, and return its Python; skip the test where that cannot be done."""
    need("make")
    made = subprocess.run(
        ["make", "--no-print-directory", f".clients/{client}/.installed"], cwd=ROOT, capture_output=True, check=False
    )
    need(f"client-{client}", there=made.returncode == 0)
    return ROOT / ".clients" / client / "bin" / "python"


def save_constant(store: Path, value: float, *, promote: bool = True) -> Saved:
    """Save the next version of the model `m`, which takes two numbers and answers `value`."""
    rows = np.arange(12.0).reshape(6, 2)
    estimator = DummyRegressor(strategy="constant", constant=value).fit(rows, rows[:, 0])
    return save(estimator, rows, "m", root=store, promote=promote)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def version(self) -> int:
        return int(self.headers["X-Model-Version"])


class Client:
    """One keep-alive connection."""

    def __init__(self, port: int, timeout: float = PATIENCE) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        sent = {} if body is None else {"Content-Type": "application/json"}
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        self.connection.request(method, path, data, {**sent, **(headers or {})})
        reply = self.connection.getresponse()
        found = http.client.HTTPMessage()
        for name, value in reply.getheaders():
            found[name] = value
        return Answer(reply.status, found, reply.read())  # type: ignore[arg-type]  # looks names up in any case

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, headers=headers)

    def predict(self, rows: Any, path: str = "/predict", **headers: str) -> Answer:
        return self.ask("POST", path, {"x": rows}, headers)

    def close(self) -> None:
        self.connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def post_head(length: int, path: str = "/predict") -> bytes:
    """The head of a request to predict whose JSON body has `length` bytes."""
    lines = (
        f"POST {path} HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        f"Content-Length: {length}",
    )
    return "\r\n".join((*lines, "", "")).encode()


def raw(port: int, *chunks: bytes, timeout: float = PATIENCE) -> bytes:
    """Send bytes as they are and return all that comes back until the other side closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as peer:
        for chunk in chunks:
            peer.sendall(chunk)
        received = b""
        while chunk := peer.recv(65536):
            received += chunk
        return received


@dataclass
class Server:
    """A process that listens on a port, with its output in a file."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    socket: Path | None = None
    kind: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> Client:
        return Client(self.port)

    def children(self) -> list[int]:
        listing = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text(encoding="ascii")
        return [int(pid) for pid in listing.split()]

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def answers(self, path: str, status: int) -> bool:
        assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.output()}"
        try:
            with Client(self.port, timeout=5) as client:
                return client.get(path).status == status
        except OSError:
            return False

    def wait_for(self, path: str, status: int = 200) -> None:
        wait_until(lambda: self.answers(path, status), f"{path} answers {status}; its log:\n{self.output()}")

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


def start_gunicorn(store: Path, folder: Path, config: str = "gunicorn.conf.py", **settings: str) -> Server:
    """Start the service as README says, on a free port, with `settings` in its environment."""
    port = free_port()
    log = folder / f"gunicorn-{port}.log"
    environ = {
        **{name: value for name, value in os.environ.items() if name not in ("PORT", "BIND", "AIP_HTTP_PORT")},
        "PORT": str(port),
        "MODEL_STORE": str(store),
        "WEB_CONCURRENCY": "2",
        **settings,
    }
    command = [sys.executable, "-m", "gunicorn", "-c", config]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=output, stderr=output)
    return Server(process, port, log)


def start_nginx(folder: Path, upstream: str, **values: str) -> Server:
    """Start nginx from the shipped nginx.conf with only ports, paths and `values` replaced."""
    port = free_port()
    run = folder / f"nginx-{port}"
    run.mkdir()
    environ = {
        "PATH": os.environ["PATH"],
        "LISTEN": f"127.0.0.1:{port}",
        "UPSTREAM": upstream,
        "RUN_DIR": str(run),
        "LOG_TO": str(run),
        "INCLUDE": f"{run}/*.include",
        **values,
    }
    conf = run / "nginx.conf"
    rendered = subprocess.run(
        ["sh", "deploy/nginx/render.sh"], cwd=ROOT, env=environ, capture_output=True, text=True, check=True
    )
    conf.write_text(rendered.stdout, encoding="utf-8")
    # Started by root nginx gives its workers to nobody, who cannot enter a test's folder.
    options = "daemon off;" + (" user root;" if os.geteuid() == 0 else "")
    log = run / "stderr.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["nginx", "-e", "stderr", "-c", str(conf), "-g", options], stdout=output, stderr=output
        )
    server = Server(process, port, log)
    wait_until(lambda: listens(port) or process.poll() is not None, "nginx listens")
    assert process.poll() is None, server.output()
    return server


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@dataclass
class Load:
    """Clients that ask on and on, each on a connection of its own, until the block ends.

    ``answers`` holds what `ask` made of each answer; ``faults`` what went wrong.
    """

    port: int
    ask: Callable[[Client], Any]
    clients: int = 4
    answers: list[Any] = field(default_factory=list)
    faults: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(self.clients)]

    def _run(self) -> None:
        with Client(self.port) as client:
            try:
                while not self._stop.is_set():
                    self.answers.append(self.ask(client))
            except BaseException as fault:  # the test reports it
                self.faults.append(fault)

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        wait_until(lambda: self.faults or len(self.answers) > self.clients, "the first answers are there")
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
