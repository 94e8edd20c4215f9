"""Workers share the memory of large models: from the start, and again after a promotion."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from processes import Client, Load, Server, start_gunicorn, wait_until
from sklearn.dummy import DummyRegressor

from app import store

MEGABYTES = 128


def save_large(root: Path, version: float) -> store.Saved:
    """Save a model that answers its version and takes that many megabytes of memory."""
    X = np.arange(12.0).reshape(6, 2)
    model = DummyRegressor(strategy="constant", constant=version).fit(X, X[:, 0])
    model.ballast_ = np.random.default_rng(0).integers(0, 255, MEGABYTES * 1024 * 1024, dtype=np.uint8)
    return store.save(model, X, "large", root=root)


def private_megabytes(pid: int) -> float:
    """Memory that a process has for itself."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    save_large(tmp_path / "store", 1)
    server = start_gunicorn(tmp_path / "store", tmp_path, WEB_CONCURRENCY="4", WORKER_CLASS="event")
    server.wait_for("/readyz")
    yield server
    server.stop()


def ask(client: Client) -> tuple[int, float]:
    answer = client.predict([[1.0, 2.0]])
    assert answer.status == 200, answer.body
    return answer.version, answer.json["y_pred"][0]


def test_no_worker_has_a_copy_of_its_own(
    server: Server, tmp_path: Path, record_testsuite_property: Callable[[str, object], None]
) -> None:
    wait_until(lambda: len(server.children()) == 4, "all workers are there")
    with Load(server.port, ask, clients=8):
        first = {pid: private_megabytes(pid) for pid in server.children()}
    with Load(server.port, ask, clients=8) as load:
        save_large(tmp_path / "store", 2)
        wait_until(
            lambda: len(server.children()) == 4 and not first.keys() & set(server.children()), "all are replaced", 120
        )
    second = {pid: private_megabytes(pid) for pid in server.children()}
    record_testsuite_property("private megabytes of the workers", [first, second])
    assert not load.faults
    assert set(load.answers) == {(1, 1.0), (2, 2.0)}
    assert max([*first.values(), *second.values()]) < MEGABYTES
