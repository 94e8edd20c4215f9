"""The Open Inference Protocol: raw tensors and JSON to this service, JSON to MLServer, which reads no raw tensors."""

from __future__ import annotations

import json
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks import servers
from benchmarks.measure import environ_of
from benchmarks.models import Case
from benchmarks.peers import PEERS, Setup, v2_body

LENGTH = "Inference-Header-Content-Length"
PATH = "/v2/models/m/infer"
_WARM_UP_SECONDS = 1
_CHECKED_ROWS = 3


class Sent(NamedTuple):
    """A request as it goes out."""

    headers: Mapping[str, str]
    body: bytes


class Speed(NamedTuple):
    """What one server answered in one round."""

    server: str
    form: str
    model: str
    rows: int
    load: servers.Load

    def __str__(self) -> str:
        """Return it as a line."""
        requests, p50, p99, errors = self.load
        what = f"{self.model:<7} {self.server:<9} {self.form:<7} {self.rows:>5} rows"
        return f"{what} {requests:>9,.0f} req/s  p50 {p50:.2f} ms  p99 {p99:.2f} ms  {errors} errors"


def rounds(case: Case, rows: int, seconds: int, times: int, environments: Path) -> Iterator[Speed]:
    """Load each server in turn, several times; the first answers are compared with scikit-learn's own."""
    for _ in range(times):
        for server, forms in (("ours", ("binary", "json")), ("mlserver", ("json",))):
            with _running(server, case, environments) as url:
                for form in forms:
                    _check(url, case, form)
                    sent = _request(case, rows, form)
                    with tempfile.TemporaryDirectory() as folder:
                        servers.load(url, sent.body, _WARM_UP_SECONDS, Path(folder), headers=sent.headers)
                        load = servers.load(url, sent.body, seconds, Path(folder), headers=sent.headers)
                    yield Speed(server, form, case.name, rows, load)


@contextmanager
def _running(name: str, case: Case, environments: Path) -> Iterator[str]:
    peer = PEERS[name]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        programs = environments / name / "bin" if peer.packages else Path(sys.executable).parent
        setup = Setup(programs, *case.save(folder), servers.free_port(), folder)
        peer.prepare(setup)
        url = f"http://127.0.0.1:{setup.port}{PATH}"
        with servers.running(peer.command(setup), environ_of(peer, setup), folder) as process:
            servers.wait_for_answer(lambda: _ask(url, _request(case, 1, "json")), process, folder)
            yield url


def _request(case: Case, rows: int, form: str) -> Sent:
    if form == "json":
        body = json.dumps(v2_body(case.rows(rows)), separators=(",", ":")).encode()
        return Sent({"Content-Type": "application/json"}, body)
    values = np.ascontiguousarray(case.X[:rows], dtype="<f8")
    parameters = {"binary_data_size": values.nbytes}
    tensor = {"name": "X", "shape": values.shape, "datatype": "FP64", "parameters": parameters}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    return Sent({"Content-Type": "application/octet-stream", LENGTH: str(len(head))}, head + values.tobytes())


def _ask(url: str, sent: Sent) -> list[float]:
    request = urllib.request.Request(url, sent.body, dict(sent.headers))
    with urllib.request.urlopen(request, timeout=10) as reply:
        content, length = reply.read(), reply.headers.get(LENGTH)
    if length is None:
        return [float(value) for value in json.loads(content)["outputs"][0]["data"]]
    output = json.loads(content[: int(length)])["outputs"][0]
    dtype = {"FP64": "<f8", "INT64": "<i8"}[output["datatype"]]
    return [float(value) for value in np.frombuffer(content, dtype, offset=int(length))]


def _check(url: str, case: Case, form: str) -> None:
    answered = _ask(url, _request(case, _CHECKED_ROWS, form))
    expected = case.estimator.predict(case.X[:_CHECKED_ROWS])
    if not np.allclose(answered, expected.astype(float), rtol=1e-4):
        raise RuntimeError(f"{url} answers {answered}, and scikit-learn {expected}")
