"""Rows of a file, as many as are asked about at once: each kind knows the body that a request with them has.

The bodies are those of the service, so that a value means in a file what it means in a request.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np

from app.signature import Array, Signature
from app.wire import arrow_body, csv_body, json_body, npy_body


@dataclass(frozen=True)
class BadRow:
    """A row that is not scored: its number in the file, from 1, what is wrong, and the row itself."""

    number: int
    detail: str
    values: Any


class Chunk(Protocol):
    """Some rows of a file; `numbers` are theirs in the file, from 1."""

    @property
    def numbers(self) -> Sequence[int]:
        """The rows' numbers in the file."""
        ...

    def taken(self, indices: Sequence[int]) -> Self:
        """Return the chunk of some of the rows."""
        ...

    def body(self, signature: Signature) -> tuple[bytes, str]:
        """Return a request's body with the columns that the model takes, and its media type."""
        ...

    def columns(self) -> Mapping[str, Any]:
        """Return all columns by name, as lists or arrays."""
        ...

    def row(self, index: int) -> Any:
        """Return one row as JSON can hold it."""
        ...


@dataclass(frozen=True)
class Cells:
    """Lines of a CSV or TSV file; the cells stay the text they are."""

    names: Sequence[str]
    numbers: Sequence[int]
    lines: Sequence[Sequence[str]]

    def taken(self, indices: Sequence[int]) -> Cells:
        """Return the chunk of some of the rows."""
        return Cells(self.names, [self.numbers[i] for i in indices], [self.lines[i] for i in indices])

    def body(self, signature: Signature) -> tuple[bytes, str]:
        """Return the columns that the model takes, as CSV."""
        place = {name: index for index, name in enumerate(self.names)}
        taken = [name for name in signature.names if name in place]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(taken)
        for line in self.lines:
            cells = [line[place[name]] for name in taken]
            # A line of one empty cell would be read as no line.
            text.write('""\n') if cells == [""] else writer.writerow(cells)
        return text.getvalue().encode(), csv_body.MEDIA_TYPE

    def columns(self) -> Mapping[str, Any]:
        """Return the cells by column."""
        return dict(zip(self.names, map(list, zip(*self.lines, strict=True)), strict=True)) if self.lines else {}

    def row(self, index: int) -> Any:
        """Return one row's cells by name."""
        return dict(zip(self.names, self.lines[index], strict=True))


@dataclass(frozen=True)
class Records:
    """Values of JSON lines: objects, lists or texts."""

    numbers: Sequence[int]
    values: Sequence[Any]
    names: Sequence[str]

    def taken(self, indices: Sequence[int]) -> Records:
        """Return the chunk of some of the rows."""
        return Records([self.numbers[i] for i in indices], [self.values[i] for i in indices], self.names)

    def body(self, signature: Signature) -> tuple[bytes, str]:
        """Return the rows, objects without the members that the model does not know, as JSON."""
        known = signature.by_name
        rows = [
            {name: cell for name, cell in value.items() if name in known} if isinstance(value, dict) else value
            for value in self.values
        ]
        return json_body.dump({"instances": rows}), json_body.MEDIA_TYPE

    def columns(self) -> Mapping[str, Any]:
        """Return the members by name; a list's values stand under the model's names."""
        rows = [self._named(value) for value in self.values]
        names = dict.fromkeys(name for row in rows for name in row)
        return {name: [row.get(name) for row in rows] for name in names}

    def _named(self, value: Any) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        cells = value if isinstance(value, list) else [value]
        return dict(zip(self.names, cells, strict=False))

    def row(self, index: int) -> Any:
        """Return one row."""
        return self.values[index]


@dataclass(frozen=True)
class Matrix:
    """Rows of an NPY file."""

    numbers: Sequence[int]
    array: Array
    names: Sequence[str]

    def taken(self, indices: Sequence[int]) -> Matrix:
        """Return the chunk of some of the rows."""
        return Matrix([self.numbers[i] for i in indices], self.array[np.asarray(indices, dtype=np.intp)], self.names)

    def body(self, signature: Signature) -> tuple[bytes, str]:
        """Return the rows as NPY."""
        del signature
        stream = io.BytesIO()
        np.save(stream, self.array, allow_pickle=False)
        return stream.getvalue(), npy_body.MEDIA_TYPE

    def columns(self) -> Mapping[str, Any]:
        """Return the columns under the model's names."""
        return dict(zip(self.names, self.array.reshape(len(self.array), -1).T, strict=True))

    def row(self, index: int) -> Any:
        """Return one row."""
        return self.array[index].tolist()


@dataclass(frozen=True)
class ArrowRows:
    """Rows of a Parquet file, as an Arrow table."""

    numbers: Sequence[int]
    table: Any

    def taken(self, indices: Sequence[int]) -> ArrowRows:
        """Return the chunk of some of the rows."""
        place = np.asarray(indices, dtype=np.int64)
        return ArrowRows([self.numbers[i] for i in indices], self.table.take(place))

    def body(self, signature: Signature) -> tuple[bytes, str]:
        """Return the columns that the model takes, as an Arrow stream."""
        import pyarrow.ipc

        table = self.table.select([name for name in self.table.column_names if name in signature.by_name])
        stream = io.BytesIO()
        with pyarrow.ipc.new_stream(stream, table.schema) as writer:
            writer.write_table(table)
        return stream.getvalue(), arrow_body.MEDIA_TYPE

    def columns(self) -> Mapping[str, Any]:
        """Return Arrow's own columns."""
        return dict(zip(self.table.column_names, self.table.columns, strict=True))

    def row(self, index: int) -> Any:
        """Return one row by column."""
        return self.table.slice(index, 1).to_pylist()[0]
