"""Real models in real stores, asked through the real app."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression

from app import create_app, store
from app.settings import Settings

ClientMaker = Callable[..., FlaskClient]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The root of an empty store."""
    return tmp_path / "models"


@pytest.fixture
def client_of(root: Path) -> Iterator[ClientMaker]:
    """Make a client of an app over the store; keyword arguments are settings."""
    started = []

    def make(**settings: Any) -> FlaskClient:
        app = create_app(Settings(**{"model_store": root, "request_timeout": 20.0} | settings))
        started.append(app.extensions["service"].models)
        return app.test_client()

    yield make
    for models in started:
        models.stop()


@pytest.fixture
def serve(root: Path, client_of: ClientMaker) -> ClientMaker:
    """Save an estimator and make a client that asks it."""

    def make(estimator: Any, X: Any, name: str = "model", **settings: Any) -> FlaskClient:
        store.save(estimator, X, name, root=root)
        return client_of(**settings)

    return make


@pytest.fixture(scope="session")
def iris() -> tuple[Any, Any]:
    """A classifier fitted on iris, and its rows."""
    X, y = load_iris(return_X_y=True)
    return LogisticRegression(max_iter=500).fit(X, y), X


@pytest.fixture(scope="session")
def diabetes() -> tuple[Any, Any]:
    """A regressor fitted on diabetes, and its rows."""
    X, y = load_diabetes(return_X_y=True)
    return LinearRegression().fit(X, y), X


@pytest.fixture(scope="session")
def wait_for() -> Callable[[Callable[[], bool]], None]:
    """Wait until a condition holds, and fail where it does not within ten seconds."""

    def wait(condition: Callable[[], bool], seconds: float = 10.0) -> None:
        deadline, pause = time.monotonic() + seconds, threading.Event()
        while not condition():
            assert time.monotonic() < deadline, "the condition did not come true in time"
            pause.wait(0.02)

    return wait
