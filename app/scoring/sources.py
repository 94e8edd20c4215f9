"""Files to be scored, read chunk by chunk: never more than one chunk of a file is in memory."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import orjson

from app.scoring.chunks import ArrowRows, BadRow, Cells, Chunk, Matrix, Records
from app.scoring.errors import ScoringError
from app.signature import Signature

Part = tuple[Chunk | None, list[BadRow]]
Told = Callable[[float], None]

# A line longer than this is no row.
_LONGEST_LINE = 64 * 1024**2


def read(path: Path, signature: Signature, size: int, told: Told) -> Iterator[Part]:
    """Yield the rows of a file in chunks of `size`, with those that cannot be read apart.

    `told` is called with the share of the file, from 0 to 1, that is read by now.

    Raises
    ------
    ScoringError
        The file cannot be read, or has not the columns that the model takes.
    """
    kind, packed = kind_of(path)
    try:
        if kind in (".csv", ".tsv", ".jsonl", ".ndjson"):
            parts = _json_lines if kind in (".jsonl", ".ndjson") else _delimited
            with path.open("rb") as raw:
                stream: IO[bytes] = gzip.GzipFile(fileobj=raw) if packed else raw  # type: ignore[assignment]
                whole = max(1, path.stat().st_size)
                for part in parts(path, stream, signature, size):
                    yield part
                    told(min(1.0, raw.tell() / whole))
        elif kind == ".npy":
            yield from _array(path, signature, size, told)
        else:
            yield from _parquet(path, signature, size, told)
    except (OSError, EOFError, zlib.error) as fault:
        raise ScoringError(f"it cannot be read: {getattr(fault, 'strerror', None) or fault}") from fault
    except UnicodeDecodeError as fault:
        raise ScoringError(f"it is not UTF-8: {fault.reason}; save it as UTF-8") from fault


def kind_of(path: Path) -> tuple[str, bool]:
    """Return the extension that tells a file's format, and whether it is gzipped; raises ScoringError."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = suffixes[-1:] == [".gz"]
    kind = (suffixes[:-1] if packed else suffixes)[-1:]
    kind = [".parquet"] if kind == [".pq"] else kind
    plain = kind and kind[0] in (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".npy")
    if not plain or (packed and kind[0] in (".parquet", ".npy")):
        raise ScoringError(
            f"{path.name}: files are .csv, .tsv, .jsonl or .ndjson (each also as .gz), .parquet or .npy by their names"
        )
    return kind[0], packed


def _delimited(path: Path, stream: IO[bytes], signature: Signature, size: int) -> Iterator[Part]:
    separator = "\t" if kind_of(path)[0] == ".tsv" else ","
    text = io.TextIOWrapper(stream, "utf-8-sig", newline="")
    csv.field_size_limit(_LONGEST_LINE)
    reader = csv.reader(text, delimiter=separator, strict=True)
    try:
        first = next((line for line in reader if line), None)
        if first is None:
            return
        names, is_header = _names(path, first, signature)
        lines = (line for line in (reader if is_header else itertools.chain([first], reader)) if line)
        number = 0
        while batch := list(itertools.islice(lines, size)):
            numbers = range(number + 1, number + 1 + len(batch))
            number += len(batch)
            width = len(names)
            bad = [
                BadRow(row, f"has {len(line)} cells, and {width} are needed", line)
                for row, line in zip(numbers, batch, strict=True)
                if len(line) != width
            ]
            good = [(row, line) for row, line in zip(numbers, batch, strict=True) if len(line) == width]
            yield Cells(names, [row for row, _ in good], [line for _, line in good]) if good else None, bad
    except csv.Error as fault:
        raise ScoringError(f"line {reader.line_num}: {fault}") from fault
    finally:
        text.detach()


def _names(path: Path, first: list[str], signature: Signature) -> tuple[list[str], bool]:
    """Return the columns' names, and whether the first line holds them."""
    needed = [column.name for column in signature.required]
    given = [cell.strip() for cell in first]
    if set(needed) <= set(given):
        if len(set(given)) != len(given):
            raise ScoringError("the header names a column twice")
        return given, True
    numeric = all(column.kind in ("number", "integer") for column in signature.inputs)
    is_header = bool(set(needed) & set(given)) or (numeric and not any(map(_is_number, given)))
    nameless = all(name == f"x{index}" for index, name in enumerate(signature.names))
    if len(given) == len(signature.names) and (nameless or not is_header):
        return list(signature.names), is_header
    missing = [name for name in needed if name not in given]
    raise ScoringError(
        f"it has no column {', '.join(map(repr, missing[:10]))}; it has {', '.join(map(repr, given[:20]))}"
    )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return cell == ""
    return True


def _json_lines(path: Path, stream: IO[bytes], signature: Signature, size: int) -> Iterator[Part]:
    del path
    lines = (line for line in iter(lambda: stream.readline(_LONGEST_LINE), b"") if line.strip())
    number = 0
    while batch := list(itertools.islice(lines, size)):
        rows, numbers, bad = [], [], []
        for line in batch:
            number += 1
            try:
                rows.append(orjson.loads(line))
                numbers.append(number)
            except orjson.JSONDecodeError as fault:
                bad.append(BadRow(number, f"is not JSON: {fault}", line.decode("utf-8", "replace").strip()))
        yield Records(numbers, rows, signature.names) if rows else None, bad


def _array(path: Path, signature: Signature, size: int, told: Told) -> Iterator[Part]:
    try:
        # Mapped: what is not looked at is not read.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as fault:
        raise ScoringError(f"it is not an array of plain values: {fault}") from fault
    width = len(signature.names)
    if array.ndim not in (1, 2) or (array.shape[1] if array.ndim > 1 else 1) != width:
        raise ScoringError(f"it has shape {array.shape}; the model takes (n, {width})")
    for start in range(0, len(array), size):
        part = np.array(array[start : start + size])
        yield Matrix(range(start + 1, start + 1 + len(part)), part, signature.names), []
        told((start + len(part)) / len(array))


def _parquet(path: Path, signature: Signature, size: int, told: Told) -> Iterator[Part]:
    parquet = import_parquet()
    import pyarrow

    try:
        with parquet.ParquetFile(path) as file:
            missing = [column.name for column in signature.required if column.name not in file.schema_arrow.names]
            if missing:
                raise ScoringError(
                    f"it has no column {', '.join(map(repr, missing[:10]))}; "
                    f"it has {', '.join(map(repr, file.schema_arrow.names[:20]))}"
                )
            number = 0
            for batch in file.iter_batches(size):
                table = pyarrow.Table.from_batches([batch])
                yield ArrowRows(range(number + 1, number + 1 + len(batch)), table), []
                number += len(batch)
                told(number / max(1, file.metadata.num_rows))
    except pyarrow.ArrowException as fault:
        raise ScoringError(f"it is not a readable Parquet file: {str(fault).splitlines()[0]}") from fault


def import_parquet() -> Any:
    """Return pyarrow's module; raises ScoringError where it is not installed."""
    try:
        import pyarrow.parquet
    except ImportError:
        raise ScoringError("Parquet needs pyarrow; install it with: pip install 'model-as-a-service[arrow]'") from None
    return pyarrow.parquet
