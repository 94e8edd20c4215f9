"""Versions that answer with their own number, and live models that are told when to look."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sklearn.dummy import DummyRegressor

from app.store import LiveModels, ModelStore, Saved, save
from tests.store.helpers import ROWS, Recorder


@pytest.fixture
def catalog(root: Path) -> ModelStore:
    return ModelStore(root)


@pytest.fixture
def publish(root: Path) -> Callable[..., Saved]:
    """Save the next version of a model that answers every row with `constant`."""

    def publish(constant: float = 1.0, name: str = "m", promote: bool = True) -> Saved:
        estimator = DummyRegressor(strategy="constant", constant=constant).fit(ROWS, ROWS[:, 0])
        return save(estimator, ROWS, name, root=root, promote=promote)

    return publish


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def live_of(catalog: ModelStore, recorder: Recorder) -> Callable[..., LiveModels]:
    """Make live models that look at the store when they are told to."""

    def make(default: str | None = None, max_loaded: int = 32, allow_mismatch: bool = False) -> LiveModels:
        return LiveModels(
            catalog, default=default, max_loaded=max_loaded, allow_mismatch=allow_mismatch, observer=recorder
        )

    return make
