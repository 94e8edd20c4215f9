"""Workers share the memory of large models: from the start, and again after a promotion."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from processes import Client, Load, Server, start_gunicorn, wait_until
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from app import store

MEGABYTES = 128


def save_large(root: Path, version: float) -> store.Saved:
    """Save a model that answers its version and takes that many megabytes of memory."""
    X = np.arange(12.0).reshape(6, 2)
    model = DummyRegressor(strategy="constant", constant=version).fit(X, X[:, 0])
    model.ballast_ = np.random.default_rng(0).integers(0, 255, MEGABYTES * 1024 * 1024, dtype=np.uint8)
    return store.save(model, X, "large", root=root)


def every_engine() -> dict[str, tuple[Any, Any]]:
    """Models that are answered by every kind of engine, OpenMP's and BLAS' threads behind some of them."""
    X, y = load_breast_cancer(return_X_y=True)
    columns = [f"c{index}" for index in range(X.shape[1])]
    frame = pd.DataFrame(X, columns=columns)
    frame["word"] = np.where(y > 0, "benign", "other")
    scaled = ColumnTransformer([("numbers", StandardScaler(), columns), ("words", OneHotEncoder(), ["word"])])
    boosting = HistGradientBoostingClassifier(max_iter=20, random_state=0)
    texts = [f"{'good' if label else 'bad'} number {index}" for index, label in enumerate(y)]
    return {
        "linear": (LinearRegression().fit(X, y), X),
        "network": (make_pipeline(StandardScaler(), MLPClassifier((8,), max_iter=300, random_state=0)).fit(X, y), X),
        "small-trees": (RandomForestClassifier(20, random_state=0).fit(X, y), X),
        "large-trees": (RandomForestRegressor(20, random_state=0).fit(X, X[:, 0] + X[:, 1]), X),
        "boosting": (clone(boosting).fit(X, y), X),
        "boosting-of-scikit-learn": (VotingClassifier([("it", boosting)]).fit(X, y), X),
        "table": (make_pipeline(scaled, clone(boosting)).fit(frame, y), frame),
        "neighbours": (KNeighborsClassifier().fit(X, y), X),
        "words": (make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, y), texts),
    }


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_every_engine_answers_after_the_fork(tmp_path: Path, gunicorn: Callable[..., Server]) -> None:
    models = every_engine()
    used = set()
    for name, (estimator, X) in models.items():
        store.save(estimator, X, name, root=tmp_path / "store")
        choice = store.ModelStore(tmp_path / "store").manifest(name, 1).engine["choice"]
        used |= {form for sizes in choice.values() for form in sizes.values()}
    assert {"sklearn", "numpy", "masks", "trees"} <= used
    # The master has loaded and asked all of them; in its forks, threads that it started are no more.
    server = gunicorn(OMP_NUM_THREADS="2", OPENBLAS_NUM_THREADS="2")
    with server.client() as client:
        for name, (estimator, X) in models.items():
            for count in (1, 50, 550):
                rows = X[:count]
                body = {
                    "X": rows if name == "words" else rows.to_numpy().tolist() if name == "table" else rows.tolist()
                }
                answer = client.ask("POST", f"/models/{name}/predict", body)
                assert answer.status == 200, answer.body
                assert answer.json["y_pred"] == pytest.approx(estimator.predict(rows), rel=1e-9, abs=1e-12)


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
