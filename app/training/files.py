"""A file on disk -> a stream that can be read from its start again: unpacked, and what its name says."""

from __future__ import annotations

import gzip
import hashlib
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from app.training.errors import TrainingError

Stream = IO[bytes]

BLOCK = 1 << 20
_HEAD = 4096
# A table packs to a tenth or so; what unpacks to more than this many times its size is a bomb.
_MOST_UNPACKED = 200
_ALWAYS_UNPACKED = 64 << 20

_SAVE_AS_CSV = "save it as CSV"
# How a file starts, what it is then, and what to do about it.
_STARTS = (
    (b"\x93NUMPY", "a NumPy array", "rename it to .npy"),
    (b"PAR1", "a Parquet file", "rename it to .parquet"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook", _SAVE_AS_CSV),
    (b"\x89HDF", "an HDF5 file", _SAVE_AS_CSV),
    (b"ARROW1", "an Arrow file", "save it as Parquet"),
    (b"SQLite format 3\0", "an SQLite database", "save its table as CSV"),
    (b"%PDF", "a PDF document", "save its table as CSV"),
    (b"BZh", "compressed with bzip2", "unpack it, or pack it with gzip"),
    (b"\xfd7zXZ\0", "compressed with xz", "unpack it, or pack it with gzip"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it, or pack it with gzip"),
    (b"\x89PNG", "a picture", "a table is needed"),
    (b"\xff\xd8\xff", "a picture", "a table is needed"),
    (b"version https://git-lfs", "a pointer of Git LFS", "fetch the file itself: git lfs pull"),
    *(
        (bytes([0x80, protocol]), "a pickle, which could run code when it is read", "save it as CSV or Parquet")
        for protocol in (2, 3, 4, 5)
    ),
)
_TEXT_STARTS = (
    ((b"<!doctype html", b"<html", b"<?xml"), "a web page or XML", _SAVE_AS_CSV),
    ((b'{"', b"[{", b'{\n "', b'{\n\t"'), "JSON", _SAVE_AS_CSV),
)
_ZIP = b"PK\x03\x04"
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Opened:
    """A file that was opened: its bytes, unpacked; its name; the hex digest of what is on disk."""

    stream: Stream
    name: str
    sha256: str


@contextmanager
def open_file(path: Path) -> Iterator[Opened]:
    """Open a file, and unpack it where it is compressed with gzip.

    Raises
    ------
    TrainingError
        It cannot be read, is no file, or is not a whole gzip file.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise TrainingError(f"{path}: is a folder; give a file in it")
        if not stat.S_ISREG(mode):
            raise TrainingError(f"{path}: is a pipe or a device; copy what it gives into a file")
        # Once it is open it may be moved or deleted without harm.
        stream: Stream = path.open("rb")
    except (OSError, ValueError) as fault:
        raise TrainingError(f"{path}: cannot be read: {getattr(fault, 'strerror', None) or fault}") from fault
    with stream:
        try:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]  # any file will do
            packed = _start(stream).startswith(_GZIP) or path.suffix.lower() == ".gz"
        except OSError as fault:
            raise TrainingError(f"{path}: cannot be read: {fault.strerror}") from fault
        if not packed:
            yield Opened(stream, path.name, digest)
            return
        with tempfile.TemporaryFile() as unpacked:
            _unpack(stream, unpacked, path.name)
            yield Opened(unpacked, path.name, digest)


def refuse_other_formats(opened: Opened, *suffixes: str) -> None:
    """Refuse a file that is known by its start to be of another format than its name's `suffixes` say."""
    start = _start(opened.stream)
    found = next(((what, remedy) for mark, what, remedy in _STARTS if start.startswith(mark)), None)
    if start.startswith(_ZIP) and ".npz" not in suffixes:
        found = _in_archive(opened)
    begins = start.removeprefix(b"\xef\xbb\xbf").lstrip()[:32].lower()
    found = found or next(((what, remedy) for marks, what, remedy in _TEXT_STARTS if begins.startswith(marks)), None)
    if found is not None and found[1] not in [f"rename it to {suffix}" for suffix in suffixes]:
        raise TrainingError(f"{opened.name}: is {found[0]}; {found[1]}")


def check_archive(opened: Opened) -> None:
    """Refuse a zip archive that would unpack to far more than a table does."""
    try:
        with zipfile.ZipFile(opened.stream) as archive:
            packed = sum(member.compress_size for member in archive.infolist())
            size = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return  # its reader tells what is wrong with it
    finally:
        opened.stream.seek(0)
    _check_unpacked(size, packed, opened.name)


def blocks(stream: Stream) -> Iterator[bytes]:
    """Yield the stream from its start, in blocks that end within no line break."""
    stream.seek(0)
    while block := stream.read(BLOCK):
        yield block + stream.read(1) if block.endswith(b"\r") else block
    stream.seek(0)


def _start(stream: Stream) -> bytes:
    stream.seek(0)
    start = stream.read(_HEAD)
    stream.seek(0)
    return start


def _unpack(stream: Stream, unpacked: Stream, name: str) -> None:
    packed = stream.seek(0, 2)
    stream.seek(0)
    try:
        with gzip.open(stream) as source:
            while block := source.read(BLOCK):
                unpacked.write(block)
                _check_unpacked(unpacked.tell(), packed, name)
    except (OSError, EOFError, zlib.error) as fault:
        raise TrainingError(f"{name}: is not a whole gzip file ({fault})") from fault
    unpacked.seek(0)


def _check_unpacked(size: int, packed: int, name: str) -> None:
    if size > max(_ALWAYS_UNPACKED, _MOST_UNPACKED * packed):
        raise TrainingError(
            f"{name}: unpacks to more than {_MOST_UNPACKED} times its size, as no table does; unpack it if it is one"
        )


def _in_archive(opened: Opened) -> tuple[str, str]:
    try:
        with zipfile.ZipFile(opened.stream) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return "a part of a zip archive", "give the whole of what is in it"
    finally:
        opened.stream.seek(0)
    if any(name.startswith("xl/") for name in names):
        return "an Excel workbook", _SAVE_AS_CSV
    if "content.xml" in names:
        return "an OpenDocument file", _SAVE_AS_CSV
    if any(name.endswith(".npy") for name in names):
        return "an NPZ archive", "rename it to .npz"
    return "a zip archive", "unpack it, and give the table in it"
