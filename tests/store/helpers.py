"""What tests of the store share: rows, an observer, and ways to harm a version."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from app.store import Saved

ROWS = np.arange(12.0).reshape(6, 2)


class Recorder:
    """Remembers what it was told of the models."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.answering: dict[str, set[int]] = {}

    def model_loaded(self, name: str, version: int) -> None:
        self.events.append(("loaded", name, version))

    def model_refused(self, name: str, version: int) -> None:
        self.events.append(("refused", name, version))

    def engine_fell_back(self, name: str, form: str) -> None:
        self.events.append(("fell back", name, form))

    def model_serving(self, name: str, version: int) -> None:
        self.events.append(("serving", name, version))

    def model_gone(self, name: str) -> None:
        self.events.append(("gone", name))

    def model_answering(self, name: str, versions: Collection[int]) -> None:
        self.answering[name] = set(versions)

    def model_split(self, name: str, version: int, share: float) -> None:
        self.events.append(("split", name, version, share))


def break_version(saved: Saved) -> None:
    """Change one byte of a version's model."""
    path = saved.path / "model.joblib"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def pretend_other_sklearn(saved: Saved, version: str = "1.2.3") -> None:
    """Let a version's manifest say that another scikit-learn fitted it."""
    path = saved.path / "manifest.json"
    manifest = path.read_text()
    assert '"scikit-learn": "' in manifest
    start = manifest.index('"scikit-learn": "') + len('"scikit-learn": "')
    path.write_text(manifest[:start] + version + manifest[manifest.index('"', start) :])


def names_in(folder: Path) -> list[str]:
    """List what is in a folder, hidden things too."""
    return sorted(path.name for path in folder.iterdir())
