"""Versions on their way from one store to another: one archive each, checked before anything of it is put in place.

An archive is a gzipped tar (POSIX ustar) of plain files: ``manifest.json`` first, then the files that it lists.
It is read block by block and not by :mod:`tarfile`, which follows links, makes devices and reads headers of
any length; here whatever is no plain file with a place in the manifest ends the reading.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from app.errors import StoreError
from app.store import disk, upkeep
from app.store.catalog import ModelStore
from app.store.loading import read_attachments, read_verified
from app.store.manifest import FILE as MANIFEST_FILE
from app.store.manifest import MODEL_FILE, FileEntry, Manifest, now
from app.store.saving import Saved

# All files of a version together; whoever means to move larger ones copies folders.
MAX_BYTES = 8 * 1024**3
_MAX_MANIFEST_BYTES = 32 * 1024**2
_MAX_FILES = 1000
_DIGEST = re.compile(r"[0-9a-f]{64}")
_BLOCK = tarfile.BLOCKSIZE
_CHUNK = 1024**2
# What tar may write behind the last file: zeros up to the end of a record.
_MOST_PADDING = 2 * tarfile.RECORDSIZE
_KINDS = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a named pipe",
    tarfile.DIRTYPE: "a folder",
}
_REMEDY = "make the archive with `python scripts/models.py export`"


def export_version(catalog: ModelStore, name: str, version: int, stream: BinaryIO) -> Manifest:
    """Write a version as an archive, the same bytes whenever and wherever; its files' digests are checked first.

    Raises
    ------
    StoreError
        There is no such version, a file of it is not the one that was saved, or the stream takes no more.
    """
    manifest = catalog.manifest(name, version)
    folder = catalog.path(name, version)
    files = read_verified(folder, manifest) | read_attachments(folder, manifest)
    try:
        with gzip.GzipFile("", "wb", 6, stream, mtime=0) as packed:
            _write_file(packed, MANIFEST_FILE, (folder / MANIFEST_FILE).read_bytes())
            for path in sorted(files):
                _write_file(packed, path, files[path])
            packed.write(bytes(2 * _BLOCK))
    except OSError as fault:
        raise StoreError(f"the archive cannot be written: {fault.strerror or fault}") from fault
    except ValueError as fault:  # a name or a size that ustar has no room for
        raise StoreError(f"{name} version {version} does not fit into an archive: {fault}") from fault
    return manifest


def _write_file(packed: gzip.GzipFile, path: str, content: bytes) -> None:
    header = tarfile.TarInfo(path)
    header.size, header.mode = len(content), 0o644
    packed.write(header.tobuf(tarfile.USTAR_FORMAT))
    packed.write(content)
    packed.write(bytes(-len(content) % _BLOCK))


def import_version(
    catalog: ModelStore,
    stream: BinaryIO,
    *,
    name: str | None = None,
    promote: bool = True,
    allow_mismatch: bool = False,
) -> Saved:
    """Make the next version of a model from an archive, under the manifest's name or another.

    Nothing is unpickled but by promoting, which loads the version as a service will.

    Raises
    ------
    StoreError
        It is no archive of a version, or not whole, or a digest disagrees: nothing is left behind then. Or the
        version must not be served: then it is in the store, and not promoted.
    """
    try:
        with gzip.GzipFile(fileobj=stream, mode="rb") as unpacked:
            version, name = _take_in(catalog, unpacked, name)
    except (gzip.BadGzipFile, EOFError, zlib.error) as fault:
        raise StoreError(f"this is not a whole gzip file: {fault}; {_REMEDY}") from fault
    except OSError as fault:
        raise StoreError(f"the archive cannot be taken in: {fault.strerror or fault}") from fault
    if promote:
        try:
            upkeep.promote(catalog, name, version, allow_mismatch=allow_mismatch)
        except StoreError as fault:
            raise StoreError(f"imported, but not promoted: {fault}") from fault
    return Saved(name, version, catalog.path(name, version), promote)


def _take_in(catalog: ModelStore, unpacked: gzip.GzipFile, name: str | None) -> tuple[int, str]:
    first = _next_header(unpacked)
    if first is None or first.name != MANIFEST_FILE:
        raise StoreError(f"the archive does not begin with {MANIFEST_FILE}; {_REMEDY}")
    if not 0 < first.size <= _MAX_MANIFEST_BYTES:
        raise StoreError(f"{MANIFEST_FILE} has {first.size} bytes; at most {_MAX_MANIFEST_BYTES} are read")
    manifest = Manifest.from_json(b"".join(_content(unpacked, first)))
    _check_manifest(manifest)
    name = manifest.name if name is None else name
    folder = catalog.folder(name)
    with disk.staging_folder(folder) as staged:
        _write_files(unpacked, manifest, staged)
        came = {"name": manifest.name, "version": manifest.version, "at": now()}

        def renumbered(number: int) -> Manifest:
            return replace(manifest, name=name, version=number, data={**manifest.data, "imported": came})

        return catalog.publish(staged, name, renumbered, promote=False), name


def _check_manifest(manifest: Manifest) -> None:
    """Refuse a manifest whose files could not all be written inside of one folder, or are too large."""
    files = manifest.every_file
    entries_fit = all(entry.bytes >= 0 and _DIGEST.fullmatch(entry.sha256) for entry in files.values())
    if not entries_fit or manifest.files.keys() & manifest.attachments.keys():
        raise StoreError(f"{MANIFEST_FILE} is damaged; {_REMEDY}")
    if (manifest.is_pickled and MODEL_FILE not in manifest.files) or len(files) > _MAX_FILES:
        raise StoreError(
            f"{MANIFEST_FILE} must list {MODEL_FILE} and at most {_MAX_FILES} files; it lists {len(files)}"
        )
    for path in files:
        parts = PurePosixPath(path).parts
        plain = path == "/".join(parts) and not path.startswith("/") and path.isprintable()
        if not plain or ".." in parts or path == MANIFEST_FILE:
            raise StoreError(f"{MANIFEST_FILE} lists {path!r}, which is no place inside of the version's folder")
        if any("/".join(parts[:depth]) in files for depth in range(1, len(parts))):
            raise StoreError(f"{MANIFEST_FILE} lists {path!r} below a file")
    total = sum(entry.bytes for entry in files.values())
    if total > MAX_BYTES:
        raise StoreError(f"the files have {total} bytes together; at most {MAX_BYTES} are imported")


@dataclass(frozen=True)
class _Header:
    """What a tar header says of a plain file."""

    name: str
    size: int


def _write_files(unpacked: gzip.GzipFile, manifest: Manifest, staged: Path) -> None:
    """Write the files to `staged`, each of the manifest's size and digest, and wait until they are on the disk."""
    missing = manifest.every_file
    while missing:
        header = _next_header(unpacked)
        if header is None:
            raise StoreError(f"the archive lacks {', '.join(map(repr, sorted(missing)[:5]))}")
        entry = missing.pop(header.name, None)
        if entry is None:
            twice = header.name in manifest.every_file or header.name == MANIFEST_FILE
            how = "is in the archive twice" if twice else f"is not in {MANIFEST_FILE}"
            raise StoreError(f"{header.name!r} {how}; {_REMEDY}")
        if header.size != entry.bytes:
            raise StoreError(f"{header.name} has {header.size} bytes, and {MANIFEST_FILE} says {entry.bytes}")
        target = staged / header.name
        target.parent.mkdir(parents=True, exist_ok=True)
        _write_checked(unpacked, header, entry, target)
        disk.sync_folder(target.parent)
    rest = unpacked.read(_MOST_PADDING + 1)
    if len(rest) > _MOST_PADDING or rest.strip(b"\0"):
        raise StoreError(f"the archive goes on after the files that {MANIFEST_FILE} lists; {_REMEDY}")


def _write_checked(unpacked: gzip.GzipFile, header: _Header, entry: FileEntry, target: Path) -> None:
    digest = hashlib.sha256()
    with target.open("xb") as file:
        for chunk in _content(unpacked, header):
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    if digest.hexdigest() != entry.sha256:
        raise StoreError(
            f"{header.name} is not the file that was saved: its SHA-256 is {digest.hexdigest()}, "
            f"{MANIFEST_FILE} says {entry.sha256}"
        )


def _next_header(unpacked: gzip.GzipFile) -> _Header | None:
    """Read the header of the next file; None at the end; raises StoreError where it is of no plain file."""
    block = unpacked.read(_BLOCK)
    if not block.strip(b"\0"):
        return None
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as fault:
        raise StoreError(f"this is not a tar archive of a version: {fault}; {_REMEDY}") from fault
    if header.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
        kind = _KINDS.get(header.type, "an extended header")
        raise StoreError(f"{header.name!r} is {kind}; a version holds plain files only; {_REMEDY}")
    return _Header(header.name, header.size)


def _content(unpacked: gzip.GzipFile, header: _Header) -> Iterator[bytes]:
    """Yield a file's content chunk by chunk, and pass over what fills its last block."""
    left = header.size
    while left:
        chunk = unpacked.read(min(left, _CHUNK))
        if not chunk:
            raise StoreError(f"the archive ends inside of {header.name}")
        left -= len(chunk)
        yield chunk
    unpacked.read(-header.size % _BLOCK)
