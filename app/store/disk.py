"""Writing to the store so that no reader ever sees half of anything."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_STAGING = ".staging-"
_REMOVED = ".removed-"
_WRITING = ".writing-"
# What is this old (in seconds) whose maker holds it no more was left by a process that was killed.
_STALE_SECONDS = 60.0


def sha256(content: bytes) -> str:
    """Return the SHA-256 of `content` as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def write_file(path: Path, content: bytes) -> None:
    """Write `content` to `path` and wait until it is on the disk."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Put `content` in the place of `path` in one step: a reader sees the old file or the new one.

    Nobody whom `mode` keeps out ever sees it.
    """
    handle, name = tempfile.mkstemp(prefix=_WRITING, dir=path.parent)
    temporary = Path(name)
    os.close(handle)
    try:
        temporary.chmod(mode)
        write_file(temporary, content)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the names in `folder` are on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Make `folder` and what leads to it, and wait until their names are on the disk."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


@contextmanager
def staging_folder(parent: Path) -> Iterator[Path]:
    """Give a folder beside its later place; what is left of it after the block is deleted.

    Folders left by processes that were killed are deleted on the way.
    """
    make_folder(parent)
    sweep(parent)
    folder = Path(tempfile.mkdtemp(prefix=_STAGING, dir=parent))
    folder.chmod(0o755)
    try:
        with lock(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_folder(folder: Path) -> None:
    """Delete `folder`; it is renamed first, so that who lists its parent meanwhile finds a whole one or none."""
    doomed = folder.with_name(f"{_REMOVED}{folder.name}-{time.time_ns()}")
    folder.rename(doomed)
    sync_folder(folder.parent)
    shutil.rmtree(doomed, ignore_errors=True)


def sweep(parent: Path) -> None:
    """Delete what is half made or half deleted in `parent` and nobody is at work on any more."""
    for path in parent.iterdir():
        if not path.name.startswith((_STAGING, _REMOVED, _WRITING)):
            continue
        # Somebody may hold it, or delete it first.
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime < _STALE_SECONDS:
                continue
            with lock(path, wait=False):
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()


@contextmanager
def write_lock(folder: Path) -> Iterator[None]:
    """Hold the only right to change `folder`; waits for whoever has it."""
    make_folder(folder)
    with (folder / ".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def lock(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a lock on `folder` itself; without `wait` raises BlockingIOError where somebody else does."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(handle)
