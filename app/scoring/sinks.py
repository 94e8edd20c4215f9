"""Files of scored rows, written chunk by chunk beside their place, and put there at the end: never half of one."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from app.scoring.errors import ScoringError
from app.scoring.sources import import_parquet, kind_of
from app.signature import Array
from app.wire import json_body


class Sink(Protocol):
    """Takes columns of equal length, chunk by chunk; `answers` are the names of those that hold answers.

    `typed` tells whether the file tells numbers from texts.
    """

    typed: bool

    def write(self, columns: Mapping[str, Any], answers: Sequence[str]) -> None:
        """Write one chunk."""
        ...

    def close(self) -> None:
        """Write what is due at the end."""
        ...


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Sink]:
    """Open the sink that a file's name asks for; the file is there once the block ends, and not if it raises.

    Raises
    ------
    ScoringError
        There is no such format, or the file cannot be written.
    """
    kind, packed = kind_of(path)
    partly = path.with_name(f".{path.name}.{os.getpid()}.partly")
    try:
        with partly.open("wb") as file:
            stream: Any = gzip.GzipFile("", "wb", 6, file, mtime=0) if packed else file
            sink = _SINKS[kind](stream)
            yield sink
            sink.close()
            if packed:
                stream.close()
            file.flush()
            os.fsync(file.fileno())
        partly.replace(path)
    except OSError as fault:
        raise ScoringError(f"{path} cannot be written: {fault.strerror or fault}") from fault
    finally:
        partly.unlink(missing_ok=True)


class _Delimited:
    typed = False

    def __init__(self, stream: Any, separator: str) -> None:
        self._text = io.TextIOWrapper(stream, "utf-8", newline="", write_through=True)
        self._writer = csv.writer(self._text, delimiter=separator, lineterminator="\n")
        self._names: list[str] = []

    def write(self, columns: Mapping[str, Any], answers: Sequence[str]) -> None:
        del answers
        if not self._names:
            self._names = list(columns)
            self._writer.writerow(self._names)
        _check_same(self._names, columns)
        self._writer.writerows(zip(*[_cells(columns[name]) for name in self._names], strict=True))

    def close(self) -> None:
        self._text.flush()
        self._text.detach()


def _cells(values: Any) -> list[Any]:
    """Return a column as text that reads back as the same: missing values are empty cells."""
    if isinstance(values, np.ndarray) and values.dtype.kind == "f":
        return [repr(value) if np.isfinite(value) else "" for value in values.astype(np.float64).tolist()]
    plain = values.to_pylist() if hasattr(values, "to_pylist") else list(values)
    return ["" if value is None else value for value in plain]


class _JsonLines:
    typed = True

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, columns: Mapping[str, Any], answers: Sequence[str]) -> None:
        del answers
        plain = [
            json_body.jsonable(values) if isinstance(values, np.ndarray) else values for values in columns.values()
        ]
        lists = [values.to_pylist() if hasattr(values, "to_pylist") else list(values) for values in plain]
        for cells in zip(*lists, strict=True):
            self._stream.write(json_body.dump(dict(zip(columns, cells, strict=True))) + b"\n")

    def close(self) -> None:
        pass


class _Parquet:
    typed = True

    def __init__(self, stream: Any) -> None:
        self._parquet = import_parquet()
        self._stream = stream
        self._writer: Any = None

    def write(self, columns: Mapping[str, Any], answers: Sequence[str]) -> None:
        import pyarrow as pa

        del answers
        try:
            table = pa.table(
                {
                    name: pa.array(values.tolist())
                    if isinstance(values, np.ndarray) and values.dtype.kind in "OU"
                    else values
                    for name, values in columns.items()
                }
            )
            if self._writer is None:
                self._writer = self._parquet.ParquetWriter(self._stream, table.schema)
            self._writer.write_table(table.cast(self._writer.schema))
        except (pa.ArrowException, ValueError) as fault:
            raise ScoringError(
                f"Parquet's columns have one type each: {str(fault).splitlines()[0]}; write .jsonl or .csv"
            ) from fault

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


class _Npy:
    """Answers alone, as one array; its header is written again once the rows are counted."""

    typed = True

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._header: dict[str, Any] | None = None
        self._rows = 0

    def write(self, columns: Mapping[str, Any], answers: Sequence[str]) -> None:
        parts = [np.asarray(columns[name]) for name in answers]
        array = parts[0] if len(parts) == 1 else np.stack(parts, axis=1)
        if array.dtype.kind not in "fiub":
            raise ScoringError(
                "an NPY file holds numbers, and the model answers others; write .csv, .jsonl or .parquet"
            )
        if self._header is None:
            self._header = {"descr": array.dtype.str, "fortran_order": False, "shape": (0, *array.shape[1:])}
            self._write_header(self._header)
        if array.dtype.str != self._header["descr"]:
            raise ScoringError(f"the answers are {array.dtype.name} after other ones; write .csv or .jsonl")
        self._stream.write(np.ascontiguousarray(array).tobytes())
        self._rows += len(array)

    def _write_header(self, header: dict[str, Any]) -> None:
        # NumPy leaves room in it for the rows' number to grow.
        np.lib.format.write_array_header_1_0(self._stream, header)

    def close(self) -> None:
        if self._header is None:
            raise ScoringError("there are no rows to write")
        self._stream.seek(0)
        self._write_header({**self._header, "shape": (self._rows, *self._header["shape"][1:])})
        self._stream.seek(0, io.SEEK_END)


def _check_same(names: Sequence[str], columns: Mapping[str, Array]) -> None:
    if list(columns) != list(names):
        other = sorted(set(columns) ^ set(names))
        raise ScoringError(f"rows differ in their members ({', '.join(other[:5])}); write .jsonl, or give --only")


_SINKS: dict[str, Any] = {
    ".csv": lambda stream: _Delimited(stream, ","),
    ".tsv": lambda stream: _Delimited(stream, "\t"),
    ".jsonl": _JsonLines,
    ".ndjson": _JsonLines,
    ".parquet": _Parquet,
    ".npy": _Npy,
}
