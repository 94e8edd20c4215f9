"""API keys: who may predict, and who may change what is served.

The keys file holds SHA-256 digests, never keys: ``{"keys": [{"name", "sha256", "scopes", "created"}]}``.
Keys are random and long (see :func:`add_key`), so a plain digest is as good as a slow one. The file is read
again when it changes.
"""

from __future__ import annotations

import hmac
import logging
import re
import secrets
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import orjson

from app.errors import Forbidden, Unauthenticated
from app.settings import SettingsError
from app.store.disk import lock, replace_file, sha256
from app.store.manifest import now

log = logging.getLogger(__name__)

Scope = Literal["predict", "admin"]
SCOPES: tuple[Scope, ...] = ("predict", "admin")

_LOOK_SECONDS = 1.0
_KEY_BYTES = 32
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,64}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class KeyEntry:
    """One key of the file: whose it is, its digest, what it may do, and since when."""

    name: str
    sha256: str
    scopes: tuple[str, ...]
    created: str


class ApiKeys:
    """The keys that are accepted; without a file predicting is open to all and administration closed.

    Raises
    ------
    SettingsError
        The file cannot be read, at the start; a file that breaks later leaves the keys as they were.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        # Looked at before it is read: what replaces the file meanwhile is noticed later.
        self._stamp = self._file_stamp()
        self._entries = read_entries(path) if path else ()
        self._looked = time.monotonic()

    @property
    def is_open(self) -> bool:
        """Whether there is no keys file, so that everybody may predict."""
        return self._path is None

    def require(self, scope: Scope, key: str | None) -> None:
        """Let through who holds a key with `scope`; for ``predict``, everybody where there is no keys file.

        Raises
        ------
        Unauthenticated
            No key, or an unknown one.
        Forbidden
            The key lacks the scope, or there is no keys file to hold an admin's.
        """
        if self._path is None:
            if scope == "admin":
                raise Forbidden(
                    "administration is closed: this service runs without API keys; make one with "
                    "`python scripts/keys.py add NAME --scope admin` and set API_KEYS_FILE"
                )
            return
        if scope not in self._scopes_of(key):
            raise Forbidden(f"this key does not have the scope {scope!r}")

    def require_any(self, key: str | None) -> None:
        """Let through who holds any key, and everybody where there is no keys file; raises Unauthenticated."""
        if self._path is not None:
            self._scopes_of(key)

    def _scopes_of(self, key: str | None) -> tuple[str, ...]:
        if not key:
            raise Unauthenticated("send an API key: 'Authorization: Bearer KEY' or 'X-API-Key: KEY'")
        self._look()
        digest = sha256(key.encode("utf-8", "surrogatepass"))
        # Every entry is compared, each in constant time: how long it takes tells nothing.
        found = [entry for entry in self._entries if hmac.compare_digest(entry.sha256, digest)]
        if not found:
            raise Unauthenticated("this API key is not known")
        return found[0].scopes

    def _look(self) -> None:
        """Read the file again where it was replaced, at most once a second."""
        if self._path is None or time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        stamp = self._file_stamp()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._entries = read_entries(self._path)
        except SettingsError as fault:
            log.error("%s; the keys stay as they were", fault)

    def _file_stamp(self) -> tuple[int, int] | None:
        try:
            stat = self._path.stat() if self._path else None
        except OSError:
            return None
        return (stat.st_mtime_ns, stat.st_ino) if stat else None


def add_key(path: Path, name: str, scopes: Collection[str]) -> str:
    """Make a random key of 256 bits and put its entry into the keys file; returns the key, which is shown once.

    Raises
    ------
    SettingsError
        The file is no keys file, has a key of that name already, or cannot be written; or the name is empty.
    """
    if not _NAME.fullmatch(name):
        raise SettingsError(f"{name!r} cannot be a key's name: use 1 to 64 printable characters")
    key = secrets.token_urlsafe(_KEY_BYTES)
    ordered = tuple(scope for scope in SCOPES if scope in scopes)
    with _changing(path) as entries:
        if any(entry.name == name for entry in entries):
            raise SettingsError(f"{path} has a key named {name!r} already; remove it first, or choose another name")
        entries.append(KeyEntry(name, sha256(key.encode()), ordered, now()))
    return key


def remove_key(path: Path, name: str) -> None:
    """Take a key out of the keys file; raises SettingsError where there is no such key or file."""
    read_entries(path)
    with _changing(path) as entries:
        left = [entry for entry in entries if entry.name != name]
        if len(left) == len(entries):
            known = ", ".join(entry.name for entry in entries) or "none"
            raise SettingsError(f"{path} has no key named {name!r}; it has {known}")
        entries[:] = left


@contextmanager
def _changing(path: Path) -> Iterator[list[KeyEntry]]:
    """Give the entries of a keys file, to be changed, and put them in its place; two at once wait for each other."""
    try:
        with lock(path.absolute().parent):
            entries = list(read_entries(path)) if path.exists() else []
            yield entries
            write_entries(path, tuple(entries))
    except OSError as fault:
        raise SettingsError(f"{path} cannot be written: {fault.strerror or fault}") from fault


def read_entries(path: Path) -> tuple[KeyEntry, ...]:
    """Read a keys file; raises SettingsError where it cannot be read."""
    try:
        return tuple(map(_entry, orjson.loads(path.read_bytes())["keys"]))
    except OSError as fault:
        raise SettingsError(f"the keys file {str(path)!r} cannot be read: {fault.strerror}") from fault
    except (ValueError, KeyError, TypeError) as fault:
        raise SettingsError(f"{str(path)!r} is not a keys file: {fault}") from fault


def _entry(fields: Mapping[str, Any]) -> KeyEntry:
    entry = KeyEntry(fields["name"], fields["sha256"], tuple(fields["scopes"]), fields["created"])
    if not _DIGEST.fullmatch(entry.sha256):
        raise ValueError(f"the sha256 of the key {entry.name!r} is not one")
    if not set(entry.scopes) <= set(SCOPES):
        raise ValueError(f"the key {entry.name!r} has scopes other than {' and '.join(SCOPES)}")
    return entry


def write_entries(path: Path, entries: tuple[KeyEntry, ...]) -> None:
    """Replace a keys file in one step; only its owner may read it."""
    content = orjson.dumps({"keys": [asdict(entry) for entry in entries]}, option=orjson.OPT_INDENT_2)
    replace_file(path, content, mode=0o600)
