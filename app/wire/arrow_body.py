"""Arrow IPC stream bodies; needs the optional group ``arrow``."""

from __future__ import annotations

import io
import struct
from typing import Any

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
    columns = {name: _values(pa, name, table.column(name)) for name in table.column_names}
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


def _values(pa: Any, name: str, column: Any) -> list[Any] | Array:
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        if column.null_count:
            return list(column.to_pylist())
        values: Array = column.to_numpy()
        return values
    if pa.types.is_date(kind):
        column = column.cast(pa.timestamp("us"))
    elif pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("us", tz=kind.tz), safe=False)
    elif pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    elif pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        raise InvalidRows(f"column {name!r} has the type {kind}; send numbers, strings, booleans or dates")
    return list(column.to_pylist())


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
