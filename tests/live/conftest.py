"""Servers that end with their test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from processes import Server, need, save_constant, start_gunicorn, start_nginx

from app.store import Saved


@pytest.fixture
def publish(tmp_path: Path) -> Callable[..., Saved]:
    """Save a model that answers every row with its own version's number, and promote it."""
    made = 0

    def publish(promote: bool = True) -> Saved:
        nonlocal made
        made += 1
        saved = save_constant(tmp_path / "store", float(made), promote=promote)
        assert saved.version == made
        return saved

    return publish


@pytest.fixture
def gunicorn(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start the real service with several workers on the store in tmp_path / "store"."""
    started: list[Server] = []

    def start(wait_for: str = "/readyz", status: int = 200, **settings: str) -> Server:
        (tmp_path / "store").mkdir(exist_ok=True)
        started.append(start_gunicorn(tmp_path / "store", tmp_path, **settings))
        started[-1].wait_for(wait_for, status)
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start the real nginx with the shipped configuration."""
    need("nginx")
    started: list[Server] = []

    def start(upstream: str | Server, **values: str) -> Server:
        address = upstream if isinstance(upstream, str) else f"127.0.0.1:{upstream.port}"
        started.append(start_nginx(tmp_path, address, **values))
        return started[-1]

    yield start
    for server in started:
        server.stop()
