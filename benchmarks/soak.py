"""Load for a long time, with everything that may happen to a service: promotions, bad requests, clients that vanish."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import logging
import socket
import statistics
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from app import store
from app.store import ModelStore
from benchmarks import servers
from benchmarks.limits import serving
from benchmarks.models import cases

log = logging.getLogger(__name__)

HEADING = "   s    MB  descriptors  threads    answers  wrong  promotions  refused  vanished"
_SAMPLE_SECONDS = 10
_PROMOTE_SECONDS = 5
_WORKERS = 2
_KEPT = 3
_HEAD = b"POST /predict HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
_BAD = (
    _HEAD + b'Content-Length: 7\r\n\r\n{"X": [',
    _HEAD + b'Content-Length: 12\r\n\r\n{"X": [[1]]}',
    _HEAD + b'Content-Length: 15\r\n\r\n{"X": ["a", {}]',
    _HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    _HEAD + b"Content-Length: 99999999999\r\n\r\n",
    _HEAD + b"X-Long: " + b"a" * 20_000 + b"\r\n\r\n",
    b"GET /models/nothing HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n",
    b"POST /predict HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
)


class Sample(NamedTuple):
    """How the service was at a moment; the counts are from the start on."""

    seconds: float
    memory: float
    descriptors: int
    threads: int
    answers: int
    wrong: int
    promotions: int
    refused: int
    vanished: int

    def __str__(self) -> str:
        return (
            f"{self.seconds:>4.0f} {self.memory:>5.1f} {self.descriptors:>12} {self.threads:>8} {self.answers:>10} "
            f"{self.wrong:>6} {self.promotions:>11} {self.refused:>8} {self.vanished:>9}"
        )


class _Tally:
    """What the clients have seen."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(("answers", "wrong", "promotions", "refused", "vanished"), 0)
        self._lock = threading.Lock()

    def add(self, what: str, count: int = 1) -> None:
        """Count something."""
        with self._lock:
            self.counts[what] += count


def soak(seconds: int) -> Iterator[Sample]:
    """Yield a sample every ten seconds."""
    linear, forest = cases(("linear", "forest"))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        root = folder / "store"
        for case in (linear, forest):
            store.save(case.estimator, case.X, case.name, root=root)
        tally, stop = _Tally(), threading.Event()
        with serving(root, folder, None, WEB_CONCURRENCY=str(_WORKERS), DEFAULT_MODEL="linear") as (process, address):
            port = int(address.rpartition(":")[2])

            def promote() -> None:
                for case in (linear, forest):
                    store.save(case.estimator, case.X, case.name, root=root)
                    ModelStore(root).prune(case.name, _KEPT)
                tally.add("promotions", 2)
                stop.wait(_PROMOTE_SECONDS)

            clients: list[Callable[[], None]] = [
                lambda: _ask(port, "linear", linear, tally, stop),
                lambda: _ask(port, "forest", forest, tally, stop),
                lambda: _send_nonsense(port, tally),
                lambda: _vanish(port, tally),
                promote,
            ]
            threads = [threading.Thread(target=_until, args=(stop, client, tally)) for client in clients]
            for thread in threads:
                thread.start()
            began = time.monotonic()
            try:
                while (now := time.monotonic() - began) < seconds:
                    yield _sample(now, process.pid, tally)
                    stop.wait(_SAMPLE_SECONDS)
            finally:
                stop.set()
                for thread in threads:
                    thread.join()
            yield _sample(time.monotonic() - began, process.pid, tally)


def growth(samples: list[Sample]) -> float:
    """Return by how many MB per hour the memory grew, from the first third on: until then caches fill."""
    later = samples[len(samples) // 3 :]
    if len(later) < 3:  # noqa: PLR2004  # a line through two points says nothing
        return 0.0
    fitted = statistics.linear_regression([sample.seconds for sample in later], [sample.memory for sample in later])
    return fitted.slope * 3600


def _until(stop: threading.Event, client: Callable[[], None], tally: _Tally) -> None:
    """Let a client ask on and on; what it cannot get over counts as a wrong answer."""
    while not stop.is_set():
        try:
            client()
        except Exception as fault:
            tally.add("wrong")
            log.warning("a client failed: %s: %s", type(fault).__name__, fault)
            stop.wait(1)


def _sample(seconds: float, pid: int, tally: _Tally) -> Sample:
    family = servers.family(pid)
    descriptors = threads = 0
    for member in family:
        with contextlib.suppress(OSError):
            descriptors += sum(1 for _ in Path(f"/proc/{member}/fd").iterdir())
            threads += sum(1 for _ in Path(f"/proc/{member}/task").iterdir())
    return Sample(seconds, servers.proportional_memory(pid, "Pss_Anon"), descriptors, threads, **tally.counts)


def _ask(port: int, name: str, case: Any, tally: _Tally, stop: threading.Event) -> None:
    """Ask over one connection, of one row or of some, and compare each answer with scikit-learn's."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    known = {
        count: (json.dumps({"X": case.rows(count)}), case.estimator.predict(case.X[:count])) for count in (1, 2, 7, 100)
    }
    for count in itertools.islice(itertools.cycle(known), 2000):
        if stop.is_set():
            break
        body, expected = known[count]
        connection.request("POST", f"/models/{name}/predict", body, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        content = reply.read()
        answer = json.loads(content).get("y_pred")
        values = answer if isinstance(answer, list) else [answer]
        right = reply.status == 200 and len(values) == count  # noqa: PLR2004  # OK
        if not right or max(abs(a - b) for a, b in zip(values, expected.tolist(), strict=True)) > 1e-6:  # noqa: PLR2004
            tally.add("wrong")
        tally.add("answers")
    connection.close()


def _send_nonsense(port: int, tally: _Tally) -> None:
    """Send what is no request to predict; each must be refused with a 4xx or 501, and nothing else."""
    for content in _BAD:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as peer, contextlib.suppress(ConnectionError):
            peer.sendall(content)
            peer.shutdown(socket.SHUT_WR)
            reply = b""
            while part := peer.recv(65536):
                reply += part
            if reply and reply[9:10] != b"4" and not reply.startswith(b"HTTP/1.1 501"):
                tally.add("wrong")
        tally.add("refused")
    time.sleep(0.05)


def _vanish(port: int, tally: _Tally) -> None:
    """Connect and go: with half a request, with a whole one unread, politely or with a reset."""
    body = b'{"X": [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]]}'
    whole = _HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    for content in (b"", _HEAD, whole[:-10], whole, whole * 20):
        for reset in (False, True):
            peer = socket.create_connection(("127.0.0.1", port), timeout=30)
            if reset:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.sendall(content)
            peer.close()
            tally.add("vanished")
    time.sleep(0.05)
