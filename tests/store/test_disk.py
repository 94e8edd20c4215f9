"""No reader sees half of anything, and what is killed leaves nothing for good."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from app.store import disk
from tests.store.helpers import names_in


def test_a_replaced_file_has_the_new_content_and_the_mode_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    disk.replace_file(path, b"new", mode=0o600)
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert names_in(tmp_path) == ["file"]


def test_where_replacing_fails_what_was_there_stays_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(IsADirectoryError):
        disk.replace_file(tmp_path / "file", b"new")
    assert names_in(tmp_path) == ["file"]


def test_a_staging_folder_is_gone_after_its_block(tmp_path: Path) -> None:
    with disk.staging_folder(tmp_path / "model") as staged:
        (staged / "file").write_bytes(b"x")
    assert names_in(tmp_path / "model") == []


def test_a_sweep_takes_what_was_left_and_spares_what_is_in_use_or_fresh(tmp_path: Path) -> None:
    for name in (".staging-left", ".removed-3-left", ".staging-held"):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (0, 0))
    (tmp_path / ".writing-left").write_bytes(b"half")
    os.utime(tmp_path / ".writing-left", (0, 0))
    (tmp_path / ".staging-fresh").mkdir()
    (tmp_path / "1").mkdir()
    with disk.lock(tmp_path / ".staging-held"):
        disk.sweep(tmp_path)
    assert names_in(tmp_path) == [".staging-fresh", ".staging-held", "1"]


def test_a_lock_that_is_held_is_not_given_twice(tmp_path: Path) -> None:
    with disk.lock(tmp_path), pytest.raises(BlockingIOError), disk.lock(tmp_path, wait=False):
        pass
