"""The service and its peers, one at a time: start, compare the first answers, load, look at the memory."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import servers
from benchmarks.models import Case
from benchmarks.peers import PEERS, Peer, Setup

HEADING = "model   peer       rows       req/s   p50 ms   p99 ms  errors    MB  start s"
_CHECKED_ROWS = 3
_WARM_UP_SECONDS = 2


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
        setup = Setup(programs, model, sample, peer.port or servers.free_port(), folder)
        peer.prepare(setup)
        url = f"http://127.0.0.1:{setup.port}{peer.path}"
        with servers.running(peer.command(setup), environ_of(peer, setup), folder) as process:
            started = servers.wait_for_answer(lambda: servers.post(url, peer.body(case.rows(1))), process, folder)
            if peer.checked:
                _compare(name, peer, url, case)
            for count in rows:
                body = json.dumps(peer.body(case.rows(count)), separators=(",", ":")).encode()
                servers.load(url, body, _WARM_UP_SECONDS, folder)
                load = servers.load(url, body, seconds, folder)
                yield Figure(name, case.name, count, *load, servers.proportional_memory(process.pid), started)


def environ_of(peer: Peer, setup: Setup) -> dict[str, str]:
    """Return what a peer's environment holds beside this process's own."""
    alone = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return {"MODEL": str(setup.model), "PORT": str(setup.port), **alone, **peer.environ(setup)}


def _compare(name: str, peer: Peer, url: str, case: Case) -> None:
    """Refuse to time wrong answers."""
    answered = peer.answer(servers.post(url, peer.body(case.rows(_CHECKED_ROWS))))
    expected = case.estimator.predict(case.X[:_CHECKED_ROWS])
    if not np.allclose(np.ravel(np.array(answered, dtype=float)), expected.astype(float), rtol=1e-4):
        raise RuntimeError(f"{name} answers {answered}, and scikit-learn {expected}")
