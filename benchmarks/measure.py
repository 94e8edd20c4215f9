"""One server at a time: start it, compare its first answers, load it, look at its memory, stop it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.models import Case
from benchmarks.peers import PEERS, Peer, Setup

SERVER_CORE, CLIENT_CORE = "0", "1"
HEADING = "model   peer       rows       req/s   p50 ms   p99 ms  errors    MB  start s"
_PATIENCE = 120.0
_CHECKED_ROWS = 3
_WARM_UP_SECONDS = 2
_SCRIPT = """
local file = io.open(%(body)s); wrk.body = file:read("*a"); wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
done = function(summary, latency)
  local errors = summary.errors
  io.write(string.format("RESULT %%d %%d %%f %%f %%d\\n", summary.requests, summary.duration, latency:percentile(50),
    latency:percentile(99), errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""


@dataclass(frozen=True)
class Figure:
    """What was measured of one server, model and number of rows.

    Latencies are in milliseconds, memory in MB, the start (from exec to the first answer) in seconds.
    """

    peer: str
    model: str
    rows: int
    requests_per_second: float
    p50: float
    p99: float
    errors: int
    memory: float
    start: float

    def as_line(self) -> str:
        """Return the figure as a line under HEADING."""
        speed = f"{self.model:<7} {self.peer:<9} {self.rows:>5} {self.requests_per_second:>11,.0f}"
        return f"{speed} {self.p50:>8.2f} {self.p99:>8.2f} {self.errors:>7} {self.memory:>5.0f} {self.start:>8.2f}"

    def as_dict(self) -> dict[str, Any]:
        """Return the figure as JSON holds it."""
        return asdict(self)


def measure(name: str, case: Case, rows: list[int], seconds: int, environments: Path) -> Iterator[Figure]:
    """Measure one server with one model; one figure for each number of rows."""
    peer = PEERS[name]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        model, sample = case.save(folder)
        programs = environments / name / "bin" if peer.packages else Path(sys.executable).parent
        setup = Setup(programs, model, sample, peer.port or _free_port(), folder)
        peer.prepare(setup)
        with _running(peer, setup) as process:
            started = _wait_for_answer(peer, setup, case, process)
            if peer.checked:
                _compare(name, peer, setup, case)
            for count in rows:
                body = folder / "body.json"
                body.write_text(json.dumps(peer.body(case.rows(count)), separators=(",", ":")))
                _load(setup, peer, body, _WARM_UP_SECONDS)
                per_second, p50, p99, errors = _load(setup, peer, body, seconds)
                memory = _proportional_memory(process.pid)
                yield Figure(name, case.name, count, per_second, p50, p99, errors, memory, started)


@contextmanager
def _running(peer: Peer, setup: Setup) -> Iterator[subprocess.Popen[bytes]]:
    environ = os.environ | {
        "MODEL": str(setup.model),
        "PORT": str(setup.port),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        **peer.environ(setup),
    }
    with (setup.folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["taskset", "-c", SERVER_CORE, *peer.command(setup)],
            env=environ,
            cwd=setup.folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        for how in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, how)
                process.wait(20)
                break
            except subprocess.TimeoutExpired:
                continue
            except ProcessLookupError:
                break


def _ask(peer: Peer, setup: Setup, rows: list[Any]) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{setup.port}{peer.path}",
        json.dumps(peer.body(rows)).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as reply:
        return json.loads(reply.read())


def _wait_for_answer(peer: Peer, setup: Setup, case: Case, process: subprocess.Popen[bytes]) -> float:
    """Return the seconds from the start to the first answer."""
    began = time.monotonic()
    while True:
        try:
            _ask(peer, setup, case.rows(1))
        except (OSError, urllib.error.URLError):
            if process.poll() is not None or time.monotonic() - began > _PATIENCE:
                raise RuntimeError((setup.folder / "log").read_text()[-2000:]) from None
            time.sleep(0.01)
        else:
            return time.monotonic() - began


def _compare(name: str, peer: Peer, setup: Setup, case: Case) -> None:
    """Refuse to time wrong answers."""
    answered = peer.answer(_ask(peer, setup, case.rows(_CHECKED_ROWS)))
    expected = case.estimator.predict(case.X[:_CHECKED_ROWS])
    if not np.allclose(np.ravel(np.array(answered, dtype=float)), expected.astype(float), rtol=1e-4):
        raise RuntimeError(f"{name} answers {answered}, and scikit-learn {expected}")


def _load(setup: Setup, peer: Peer, body: Path, seconds: int) -> tuple[float, float, float, int]:
    script = setup.folder / "post.lua"
    script.write_text(_SCRIPT % {"body": json.dumps(str(body))})
    url = f"http://127.0.0.1:{setup.port}{peer.path}"
    command = ["taskset", "-c", CLIENT_CORE, "wrk", "-t1", "-c16", f"-d{seconds}s", "-s", str(script), url]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"RESULT (\d+) (\d+) (\S+) (\S+) (\d+)", printed)
    if found is None:
        raise RuntimeError(f"wrk printed {printed!r}")
    requests, microseconds, p50, p99, errors = found.groups()
    return int(requests) / int(microseconds) * 1e6, float(p50) / 1000, float(p99) / 1000, int(errors)


def _proportional_memory(pid: int) -> float:
    """Return the memory of a process and all below it in MB; what several share counts once."""
    kilobytes, waiting = 0, [pid]
    while waiting:
        folder = Path(f"/proc/{waiting.pop()}")
        try:
            lines = (folder / "smaps_rollup").read_text().splitlines()
            kilobytes += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
            for task in (folder / "task").iterdir():
                waiting += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return kilobytes / 1024


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
