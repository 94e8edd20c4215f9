"""Files -> a Table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from app.memory import return_free_memory
from app.training.arrays import read_npy, read_npz
from app.training.delimited import read_delimited
from app.training.errors import TrainingError
from app.training.files import Opened, open_file, refuse_other_formats
from app.training.layout import Wanted
from app.training.normalise import normalise_frame
from app.training.parquet import read_parquet
from app.training.table import Table

# Given an open file and what the user says of it, make a Table.
Reader = Callable[[Opened, Wanted], Table]

_READERS: dict[str, Reader] = {
    **dict.fromkeys((".csv", ".tsv", ".tab", ".txt", ".data", ".dat", ""), read_delimited),
    **dict.fromkeys((".parquet", ".pq"), read_parquet),
    ".npy": read_npy,
    ".npz": read_npz,
}


def read_table(path: Path, wanted: Wanted | None = None) -> Table:
    """Read a file of delimited text, Parquet, NPY or NPZ, each also compressed as ``.gz``.

    Its suffix says what it is; of text, the encoding and the layout are found by looking, unless `wanted` says.

    Raises
    ------
    TrainingError
        The file is not there, not what its suffix says, or malformed.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
    suffix = suffixes[-1] if suffixes else ""
    with open_file(path) as opened:
        refuse_other_formats(opened, *(other for other, reader in _READERS.items() if reader is _READERS.get(suffix)))
        if suffix not in _READERS:
            raise TrainingError(
                f"{path.name}: files ending in {suffix} cannot be read; "
                "give CSV, TSV, text, Parquet, NPY or NPZ, each also as .gz"
            )
        try:
            table = _READERS[suffix](opened, wanted or Wanted())
        except MemoryError as fault:
            raise TrainingError(f"{path.name}: does not fit into memory") from fault
        except OSError as fault:
            raise TrainingError(f"{path.name}: cannot be read: {fault.strerror or fault}") from fault
    table = replace(table, frame=normalise_frame(table.frame, path.name), sha256=opened.sha256)
    return_free_memory()
    return table
