"""API keys: who may predict, and who may change what is served.

The keys file holds SHA-256 digests, never keys: ``{"keys": [{"name", "sha256", "scopes", "created"}]}``.
Keys are random and long (see :func:`new_key`), so a plain digest is as good as a slow one. The file is read
again when it changes.
"""

from __future__ import annotations

import hmac
import logging
import secrets
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import orjson

from app.errors import Forbidden, Unauthenticated
from app.settings import SettingsError
from app.store.disk import replace_file, sha256
from app.store.manifest import now

log = logging.getLogger(__name__)

Scope = Literal["predict", "admin"]
SCOPES: tuple[Scope, ...] = ("predict", "admin")

_LOOK_SECONDS = 1.0
_KEY_BYTES = 32


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
        self._entries = read_entries(path) if path else ()
        self._stamp = self._file_stamp()
        self._looked = time.monotonic()

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


def new_key(name: str, scopes: tuple[Scope, ...]) -> tuple[str, KeyEntry]:
    """Make a random key of 256 bits; returns the key, which is shown once, and its entry for the file."""
    key = secrets.token_urlsafe(_KEY_BYTES)
    return key, KeyEntry(name, sha256(key.encode()), tuple(scopes), now())


def read_entries(path: Path) -> tuple[KeyEntry, ...]:
    """Read a keys file; raises SettingsError where it cannot be read."""
    try:
        entries = orjson.loads(path.read_bytes())["keys"]
        return tuple(
            KeyEntry(entry["name"], entry["sha256"], tuple(entry["scopes"]), entry["created"]) for entry in entries
        )
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise SettingsError(f"API_KEYS_FILE names {str(path)!r}, which is not a keys file: {fault}") from fault


def write_entries(path: Path, entries: tuple[KeyEntry, ...]) -> None:
    """Replace a keys file in one step; only its owner may read it."""
    replace_file(path, orjson.dumps({"keys": [asdict(entry) for entry in entries]}, option=orjson.OPT_INDENT_2))
    path.chmod(0o600)
