"""The service against what it cannot beat: its engine in process, itself without nginx, one worker, one model."""

from __future__ import annotations

import http.client
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.datasets import load_diabetes, make_regression
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression

from app import store
from app.signature import Batch
from benchmarks import servers
from benchmarks.models import cases
from benchmarks.peers import ROOT

BULK_ROWS = 10_000
WORKERS = 4
MODELS = 200
_ROUNDS = 30
_LARGE_ROWS = 22_000
_NPY = "application/x-npy"


class Ratio(NamedTuple):
    """A figure of ours beside its limit, and how many times the one is the other."""

    what: str
    ours: float
    limit: float
    unit: str

    def __str__(self) -> str:
        ours, limit = (f"{value:,.2f} {self.unit}" for value in (self.ours, self.limit))
        return f"{self.what}: {ours} against {limit}, {self.ours / self.limit:.2f}x"


@contextmanager
def serving(models: Path, folder: Path, core: str | None = servers.SERVER_CORE, **environ: str) -> Iterator[Any]:
    """Run the service as its README says, over a store; yields its process and its address, once it answers."""
    port = servers.free_port()
    command = [str(Path(sys.executable).parent / "gunicorn"), "-c", str(ROOT / "gunicorn.conf.py")]
    settings = {"MODEL_STORE": str(models), "WEB_CONCURRENCY": "1", "PORT": str(port), **environ}
    with servers.running(command, settings, folder, core) as process:
        bind = settings.get("BIND", "")

        def ready() -> object:
            return Path(bind.removeprefix("unix:")).stat() if bind else http_get(port, "/readyz")

        servers.wait_for_answer(ready, process, folder)
        yield process, bind or f"127.0.0.1:{port}"


def http_get(port: int, path: str) -> bytes:
    """Ask once; raises OSError for anything but 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        reply = connection.getresponse()
        body = reply.read()
    finally:
        connection.close()
    if reply.status != 200:  # noqa: PLR2004  # OK
        raise OSError(f"{path} answers {reply.status}")
    return body


def bulk() -> Iterator[Ratio]:
    """NPY with 10,000 rows of 30 columns to a forest of 100 trees, against the engine's own time for them."""
    (case,) = cases(("forest",))
    X = np.ascontiguousarray(np.resize(case.X, (BULK_ROWS, case.X.shape[1])))
    body = io.BytesIO()
    np.save(body, X)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        store.save(case.estimator, case.X, "m", root=folder / "store")
        engine = store.load("m", root=folder / "store").engine
        batch = Batch(len(X), X)
        with serving(folder / "store", folder) as (_, address):
            connection = http.client.HTTPConnection(address)

            def ask() -> bytes:
                connection.request("POST", "/predict", body.getvalue(), {"Content-Type": _NPY})
                return connection.getresponse().read()

            if not np.array_equal(np.load(io.BytesIO(ask())), case.estimator.predict(X)):
                raise RuntimeError("the service and scikit-learn disagree")
            # In turns, so that whatever else the machine does slows both.
            own, served = [], []
            for _ in range(_ROUNDS):
                own.append(_seconds(lambda: engine.run(batch, "predict"), servers.SERVER_CORE))
                served.append(_seconds(ask, servers.CLIENT_CORE))
        yield Ratio("a request, to the engine", statistics.median(served) * 1e3, statistics.median(own) * 1e3, "ms")


def _seconds(call: Callable[[], Any], core: str) -> float:
    os.sched_setaffinity(0, {int(core)})
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def nginx(seconds: int) -> Iterator[Ratio]:
    """One row through nginx and a unix socket, all on one core, against the same without nginx."""
    for case in cases(("linear", "forest")):
        body = json.dumps({"X": case.rows(1)}).encode()
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            store.save(case.estimator, case.X, "m", root=folder / "store")
            with serving(folder / "store", folder) as (_, address):
                direct = _rate(address, body, seconds, folder)
            with serving(folder / "store", folder, BIND=f"unix:{folder}/socket") as (_, socket):
                port = servers.free_port()
                command = ["nginx", "-e", "stderr", "-c", str(_nginx_conf(folder, socket, port))]
                command += ["-g", "daemon off;" + (" user root;" if os.geteuid() == 0 else "")]
                with servers.running(command, {}, folder) as process:
                    servers.wait_for_answer(lambda port=port: http_get(port, "/readyz"), process, folder)  # type: ignore[misc]
                    behind = _rate(f"127.0.0.1:{port}", body, seconds, folder)
        yield Ratio(f"{case.name}, behind nginx to without", behind, direct, "req/s")


def _nginx_conf(folder: Path, socket: str, port: int) -> Path:
    environ = {
        **os.environ,
        "LISTEN": f"127.0.0.1:{port}",
        "UPSTREAM": socket,
        "RUN_DIR": str(folder),
        "LOG_TO": str(folder),
        "INCLUDE": f"{folder}/*.include",
        "RATE_LIMIT": "off",
    }
    rendered = subprocess.run(
        ["sh", str(ROOT / "deploy" / "nginx" / "render.sh")], env=environ, capture_output=True, text=True, check=True
    )
    conf = folder / "nginx.conf"
    # It counts the machine's processors, and has one.
    conf.write_text(rendered.stdout.replace("worker_processes auto", "worker_processes 1"))
    return conf


def _rate(address: str, body: bytes, seconds: int, folder: Path) -> float:
    url = f"http://{address}/predict"
    servers.load(url, body, 2, folder)
    load = servers.load(url, body, seconds, folder)
    if load.errors:
        raise RuntimeError(f"{load.errors} requests failed")
    return load.requests_per_second


def memory() -> Iterator[Ratio]:
    """Memory of four workers with a forest of 200 MB against that of one, at the start and after a promotion."""
    X, y = make_regression(_LARGE_ROWS, 10, noise=10, random_state=0)
    forest = RandomForestRegressor(100, random_state=0, n_jobs=2).fit(X, y)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "store"

        def promote() -> store.Saved:
            return store.save(forest, X[:1000], "m", root=root)

        size = (promote().path / "model.joblib").stat().st_size / 1e6
        one, several = (list(_memory_of(workers, root, promote)) for workers in (1, WORKERS))
        for when, ours, limit in zip(("at the start", "after a promotion"), several, one, strict=True):
            yield Ratio(f"forest of {size:.0f} MB, {WORKERS} workers to one, {when}", ours, limit, "MB")


def _memory_of(workers: int, root: Path, promote: Callable[[], Any]) -> Iterator[float]:
    """Yield what the service takes with its workers all at work: at the start, and after a promotion."""
    folder = root.parent
    with serving(root, folder, None, WEB_CONCURRENCY=str(workers)) as (process, address):
        _wait(lambda: len(servers.family(process.pid)) == workers + 1, "all workers are there")
        yield _at_work(process.pid, address, folder)
        before = set(servers.family(process.pid)[1:])
        promote()
        _wait(
            lambda: len(now := set(servers.family(process.pid)[1:])) == workers and not now & before,
            "all workers are replaced",
        )
        yield _at_work(process.pid, address, folder)


def _at_work(pid: int, address: str, folder: Path) -> float:
    rows = np.random.default_rng(0).normal(size=(20, 10)).tolist()
    for count in (1, len(rows)):
        servers.load(f"http://{address}/predict", json.dumps({"X": rows[:count]}).encode(), 3, folder, connections=64)
    return servers.proportional_memory(pid)


def _wait(condition: Callable[[], bool], what: str, patience: float = 180.0) -> None:
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"waited in vain until {what}")
        time.sleep(0.1)


def many_models(seconds: int) -> Iterator[Ratio]:
    """One row of one model with 199 others in the store, against the same with none."""
    X, y = load_diabetes(return_X_y=True)
    model = LinearRegression().fit(X, y)
    body = json.dumps({"X": X[:1].tolist()}).encode()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for number in range(MODELS):
            store.save(model, X[:100], f"m{number}", root=folder / "all")
        shutil.copytree(folder / "all" / "m0", folder / "one" / "m0")
        rates: dict[str, list[float]] = {"one": [], "all": []}
        # In turns, so that whatever else the machine does slows both.
        for _ in range(3):
            for name, taken in rates.items():
                with serving(folder / name, folder, DEFAULT_MODEL="m0") as (_, address):
                    taken.append(_rate(address, body, seconds, folder))
        ours, limit = (statistics.median(rates[name]) for name in ("all", "one"))
        yield Ratio(f"one of {MODELS} models to the only one", ours, limit, "req/s")
