"""Files of somebody's: their bytes, and what those are once decompressed."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

from app.errors import StoreError

_COMPRESSIONS: Mapping[bytes, Callable[[bytes], bytes]] = {
    b"\x1f\x8b": gzip.decompress,
    b"BZh": bz2.decompress,
    b"\xfd7zXZ": lzma.decompress,
    b"\x5d\x00\x00": lzma.decompress,
    b"\x78": zlib.decompress,
}


def read_file(path: Path) -> bytes:
    """Return what is in a file; raises StoreError where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as fault:
        raise StoreError(f"{path} cannot be read: {fault.strerror}") from fault


def decompressed(content: bytes) -> bytes:
    """Return what is in compressed bytes; as they are where they are not compressed, or not whole."""
    for magic, decompress in _COMPRESSIONS.items():
        if content.startswith(magic):
            try:
                return decompress(content)
            except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError):
                return content
    return content
