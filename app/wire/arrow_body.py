"""Arrow IPC stream bodies; needs the optional group ``arrow``."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np

from app.errors import InvalidRows, MalformedBody, NotAcceptable, UnsupportedMediaType
from app.signature import Array, Outputs, Signature
from app.wire import rows
from app.wire.body import Answer, Decoded, Form
from app.wire.columns import named_columns

MEDIA_TYPE = "application/vnd.apache.arrow.stream"

# Slots in the tables of Arrow's Message.fbs: Message.header_type and .header, RecordBatch.compression,
# DictionaryBatch.data.
_HEADER_TYPE, _HEADER, _COMPRESSION, _DICTIONARY_DATA = 1, 2, 3, 1
_DICTIONARY_BATCH, _RECORD_BATCH = 2, 3


def decode(body: bytes, signature: Signature, max_rows: int) -> Decoded:
    """Read the stream's columns by name; numbers without missing values are not copied.

    Raises
    ------
    UnsupportedMediaType
        The package pyarrow is not installed.
    MalformedBody
        No Arrow stream, a compressed one, or one whose buffers contradict its schema.
    InvalidRows, TooLarge
        The columns do not fit the signature, or there are more than `max_rows` rows.
    """
    pa = _pyarrow()
    _refuse_compressed(pa, body)
    try:
        with pa.ipc.open_stream(body) as reader:
            table = reader.read_all()
        # Offsets in a forged stream could point outside of its buffers.
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as fault:
        raise MalformedBody(f"the body is not an Arrow IPC stream: {str(fault).splitlines()[0]:.200}") from None
    if len(set(table.column_names)) != table.num_columns:
        raise InvalidRows("the schema names a column twice")
    rows.check_count(table.num_rows, max_rows)
    # Before a value is read: a column of nulls costs its sender nothing.
    rows.check_names(signature, table.column_names)
    columns = {name: _column(pa, name, table.column(name)) for name in table.column_names}
    return Decoded(rows.from_columns(signature, columns), Form())


def encode(answer: Answer, output: Outputs, form: Form) -> bytes:
    """Write a column for each of the answer's; raises NotAcceptable where values have no common type."""
    pa = _pyarrow()
    columns = named_columns(answer, output)
    try:
        arrays = {
            name: pa.array(values.tolist() if values.dtype.kind in "OU" else values) for name, values in columns.items()
        }
    except pa.ArrowException as fault:
        raise NotAcceptable(f"the answer cannot be an Arrow table: {fault}; accept application/json") from None
    table = pa.table(arrays)
    stream = io.BytesIO()
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    return stream.getvalue()


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.ipc
    except ImportError:
        raise UnsupportedMediaType(
            f"{MEDIA_TYPE} needs the package pyarrow, which this service runs without; "
            "its operator can add it with: pip install 'model-as-a-service[arrow]'"
        ) from None
    return pyarrow


def _column(pa: Any, name: str, column: Any) -> list[Any] | Array:
    try:
        values = _values(pa, column)
    except (pa.ArrowException, ValueError, OverflowError, KeyError) as fault:
        told = " ".join(str(fault).split())
        raise InvalidRows(f"column {name!r} of the type {column.type} holds what cannot be read: {told:.200}") from None
    if values is None:
        raise InvalidRows(f"column {name!r} has the type {column.type}; send numbers, strings, booleans or dates")
    return values


def _values(pa: Any, column: Any) -> list[Any] | Array | None:
    """Return a column's values as Python's own, or as an array of numbers; None where its type is not read."""
    kind, types = column.type, pa.types
    if types.is_dictionary(kind):
        return _words(pa, column.combine_chunks())
    if types.is_integer(kind) or types.is_floating(kind):
        values: list[Any] | Array = column.to_pylist() if column.null_count else column.to_numpy()
        return values
    if types.is_date(kind):
        column = column.cast(pa.timestamp("us"))
    elif types.is_timestamp(kind):
        # Nanoseconds lose their last digits; what is too far away to be counted in microseconds is refused.
        column = column.cast(pa.timestamp("us", tz=kind.tz), safe=kind.unit != "ns")
    elif types.is_decimal(kind):
        column = column.cast(pa.float64())
    elif types.is_string_view(kind):
        _refuse_shared(column)
    elif not (types.is_string(kind) or types.is_large_string(kind) or types.is_boolean(kind) or types.is_null(kind)):
        return None
    return list(column.to_pylist())


def _refuse_shared(column: Any) -> None:
    """Refuse views of which many show the same long string: each would become one of its own."""
    for chunk in column.chunks:
        # A view has 16 bytes, and its length in the first four.
        lengths = np.frombuffer(chunk.buffers()[1], np.int32)[4 * chunk.offset :: 4][: len(chunk)]
        if lengths.sum(dtype=np.int64) > chunk.get_total_buffer_size():
            raise ValueError("its views share their strings; write them as plain strings")


def _words(pa: Any, column: Any) -> list[Any] | None:
    """Read a dictionary's values once: however often one is named, it is held once."""
    words = _values(pa, pa.chunked_array([column.dictionary]))
    if words is None:
        return None
    words = words.tolist() if isinstance(words, np.ndarray) else words
    return [None if index is None else words[index] for index in column.indices.to_pylist()]


def _refuse_compressed(pa: Any, body: bytes) -> None:
    """Refuse streams with compressed buffers: what they inflate to is bounded by nothing but their own word."""
    try:
        for message in pa.ipc.MessageReader.open_stream(body):
            if _is_compressed(message.metadata.to_pybytes()):
                raise MalformedBody("the stream's buffers are compressed; write it without compression")
    except (pa.ArrowException, OSError, ValueError, struct.error) as fault:
        raise MalformedBody(f"the body is not an Arrow IPC stream: {str(fault).splitlines()[0]:.200}") from None


def _is_compressed(metadata: bytes) -> bool:
    """Tell whether a Message's record batch names a codec, read straight from the FlatBuffer."""
    (root,) = struct.unpack_from("<I", metadata, 0)
    header_type = _slot(metadata, root, _HEADER_TYPE)
    batch = _table(metadata, _slot(metadata, root, _HEADER))
    kind = metadata[header_type] if header_type else 0
    if kind == _DICTIONARY_BATCH and batch:
        batch = _table(metadata, _slot(metadata, batch, _DICTIONARY_DATA))
    return kind in (_DICTIONARY_BATCH, _RECORD_BATCH) and bool(batch and _slot(metadata, batch, _COMPRESSION))


def _slot(buffer: bytes, table: int, index: int) -> int:
    """Return where field `index` of a FlatBuffer table stands, 0 where it is absent."""
    (back,) = struct.unpack_from("<i", buffer, table)
    vtable = table - back
    (size,) = struct.unpack_from("<H", buffer, vtable)
    entry = 4 + 2 * index
    if entry >= size:
        return 0
    (offset,) = struct.unpack_from("<H", buffer, vtable + entry)
    return table + offset if offset else 0


def _table(buffer: bytes, position: int) -> int:
    """Follow the offset at `position` to the table it names; 0 stays 0."""
    return position + struct.unpack_from("<I", buffer, position)[0] if position else 0
