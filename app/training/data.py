"""Files and data sets -> a Table."""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from collections.abc import Callable
from pathlib import Path

from app.training.arrays import read_npy, read_npz
from app.training.delimited import read_delimited
from app.training.errors import TrainingError
from app.training.normalise import normalise_frame
from app.training.parquet import read_parquet
from app.training.table import Table

# Given the bytes, the file's name and whether it has a header (None: look), make a Table.
Reader = Callable[[bytes, str, bool | None], Table]

_READERS: dict[str, Reader] = {
    **dict.fromkeys((".csv", ".tsv", ".tab", ".txt", ".data", ".dat", ""), read_delimited),
    **dict.fromkeys((".parquet", ".pq"), read_parquet),
    ".npy": read_npy,
    ".npz": read_npz,
}


def read_table(path: Path, *, header: bool | None = None) -> Table:
    """Read a file of delimited text, Parquet, NPY or NPZ, each also compressed as ``.gz``.

    Parameters
    ----------
    path: the file; its suffix says what it is.
    header: whether delimited text starts with column names; None looks.

    Raises
    ------
    TrainingError
        The file is not there, not what its suffix says, or malformed.
    """
    reader = _reader_for(path)
    try:
        content = path.read_bytes()
    except OSError as fault:
        raise TrainingError(f"{path}: cannot be read: {fault.strerror}") from fault
    digest = hashlib.sha256(content).hexdigest()
    if path.suffix.lower() == ".gz":
        content = _decompress(content, path.name)
    table = reader(content, path.name, header)
    return Table(
        frame=normalise_frame(table.frame, path.name),
        source=path.name,
        sha256=digest,
        named=table.named,
        target=table.target,
        n_held_out=table.n_held_out,
        notes=table.notes,
    )


def _reader_for(path: Path) -> Reader:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
    suffix = suffixes[-1] if suffixes else ""
    if suffix not in _READERS:
        raise TrainingError(
            f"{path.name}: files ending in {suffix} cannot be read; "
            "give CSV, TSV, text, Parquet, NPY or NPZ, each also as .gz"
        )
    return _READERS[suffix]


def _decompress(content: bytes, source: str) -> bytes:
    try:
        with gzip.open(io.BytesIO(content)) as stream:
            return stream.read()
    except (OSError, EOFError, zlib.error) as fault:
        raise TrainingError(f"{source}: is not a whole gzip file ({fault})") from fault
