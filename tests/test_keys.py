"""API keys: who may predict, and who may change what is served."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app import keys
from app.errors import Forbidden, Unauthenticated
from app.keys import ApiKeys, add_key, read_entries, remove_key
from app.settings import SettingsError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def test_without_a_file_predicting_is_open_and_administration_closed() -> None:
    open_to_all = ApiKeys(None)
    open_to_all.require("predict", None)
    open_to_all.require_any(None)
    with pytest.raises(Forbidden, match=r"keys\.py add NAME --scope admin"):
        open_to_all.require("admin", "anything")


def test_a_key_opens_its_scopes_and_no_others(path: Path) -> None:
    predicts, administers = add_key(path, "ci", ["predict"]), add_key(path, "ops", ["admin"])
    accepted = ApiKeys(path)
    accepted.require("predict", predicts)
    accepted.require("admin", administers)
    for key in (predicts, administers):
        accepted.require_any(key)
    with pytest.raises(Forbidden, match="does not have the scope 'admin'"):
        accepted.require("admin", predicts)
    with pytest.raises(Forbidden, match="does not have the scope 'predict'"):
        accepted.require("predict", administers)


@pytest.mark.parametrize("key", [None, "", "wrong", "\udcff", "é"])
def test_no_key_and_a_wrong_key_open_nothing(path: Path, key: str | None) -> None:
    add_key(path, "ci", ["predict"])
    accepted = ApiKeys(path)
    with pytest.raises(Unauthenticated):
        accepted.require("predict", key)
    with pytest.raises(Unauthenticated):
        accepted.require_any(key)


def test_a_file_without_keys_closes_everything(path: Path) -> None:
    key = add_key(path, "ci", ["predict"])
    remove_key(path, "ci")
    with pytest.raises(Unauthenticated):
        ApiKeys(path).require("predict", key)


def test_a_digest_is_no_key(path: Path) -> None:
    add_key(path, "ci", ["predict"])
    with pytest.raises(Unauthenticated):
        ApiKeys(path).require("predict", read_entries(path)[0].sha256)


def test_a_running_service_takes_changes_and_survives_damage(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keys, "_LOOK_SECONDS", 0.0)
    first = add_key(path, "first", ["predict"])
    accepted = ApiKeys(path)
    second = add_key(path, "second", ["predict"])
    accepted.require("predict", second)
    remove_key(path, "first")
    with pytest.raises(Unauthenticated):
        accepted.require("predict", first)
    path.write_text("{")
    accepted.require("predict", second)
    assert "the keys stay as they were" in caplog.text


def test_keys_made_at_once_are_all_kept(path: Path) -> None:
    started = threading.Barrier(8)

    def make(index: int) -> str:
        started.wait()
        return add_key(path, f"key {index}", ["predict"])

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(make, range(8)))
    accepted = ApiKeys(path)
    for key in made:
        accepted.require("predict", key)


def _edited(change: Callable[[dict[str, object]], object]) -> str:
    entry: dict[str, object] = {
        "name": "a",
        "sha256": "0" * 64,
        "scopes": ["predict"],
        "created": "2026-11-22T00:00:00Z",
    }
    change(entry)
    return json.dumps({"keys": [entry]})


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"keys": [1]}',
        _edited(lambda entry: entry.pop("scopes")),
        _edited(lambda entry: entry.update(sha256="é" * 64)),
        _edited(lambda entry: entry.update(sha256=5)),
        _edited(lambda entry: entry.update(scopes=["root"])),
    ],
)
def test_what_is_no_keys_file_stops_the_start(path: Path, content: str) -> None:
    path.write_text(content)
    with pytest.raises(SettingsError, match="is not a keys file"):
        ApiKeys(path)


def test_a_file_that_is_not_there_is_told(path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        ApiKeys(path)
    with pytest.raises(SettingsError, match="cannot be written"):
        add_key(path / "below", "ci", ["predict"])
