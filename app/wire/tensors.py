"""Tensors as the Open Inference Protocol writes them: a list in the JSON, or raw bytes behind it."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from app.errors import BadValue, InvalidRows, MalformedBody, ServiceError
from app.signature import Array, Input
from app.wire import rows
from app.wire.json_body import jsonable
from app.wire.values import describe

# Little-endian whatever the machine is; BYTES has elements of any length.
_DTYPES = {
    "BOOL": np.dtype("?"),
    "INT8": np.dtype("i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "UINT8": np.dtype("u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
_NAMES = {(dtype.kind, dtype.itemsize): name for name, dtype in _DTYPES.items()}
_JSON_TYPES: dict[str, tuple[set[type], str]] = {
    "b": ({bool}, "true or false"),
    "i": ({int}, "a whole number"),
    "u": ({int}, "a whole number"),
    "f": ({int, float}, "a number"),
    "S": ({str}, "a string"),
}
_LENGTH_BYTES = 4
_MOST_DIMENSIONS = 2


class Shape(NamedTuple):
    """What an input says of its tensor: where it stands in the document, its datatype, and one or two dimensions."""

    where: str
    datatype: str
    dimensions: tuple[int, ...]

    @property
    def size(self) -> int:
        """The number of values."""
        return math.prod(self.dimensions)


def read_shape(tensor: Any, index: int, max_rows: int) -> Shape:
    """Read what the input number `index` says of its tensor.

    Raises
    ------
    InvalidRows
        It has no name, an unknown datatype, or a shape that no rows have.
    TooLarge
        It has more than `max_rows` rows.
    """
    where = f"/inputs/{index}"
    if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str):
        raise InvalidRows(f"{where}: must be an object with 'name', 'shape', 'datatype' and 'data'")
    datatype, dimensions = tensor.get("datatype"), tensor.get("shape")
    if not isinstance(datatype, str) or (datatype not in _DTYPES and datatype != "BYTES"):
        shown = ", ".join([*_DTYPES, "BYTES"])
        raise InvalidRows(f"{where}/datatype: must be one of {shown}, not {describe(datatype)}")
    if not isinstance(dimensions, list) or set(map(type, dimensions)) != {int} or min(dimensions) < 0:
        raise InvalidRows(f"{where}/shape: must be a list of whole numbers from 0")
    if len(dimensions) > _MOST_DIMENSIONS:
        raise InvalidRows(f"{where}/shape: must be [rows] or [rows, columns], not one of {len(dimensions)} dimensions")
    rows.check_count(dimensions[0], max_rows)
    return Shape(where, datatype, tuple(dimensions))


def from_bytes(shape: Shape, body: bytes, start: int, size: int) -> Array | list[str]:
    """Read a tensor from the `size` bytes that begin at `start`; returns it flat.

    Numbers are not copied where they lie as the processor wants them.

    Raises
    ------
    MalformedBody
        There are more or fewer bytes than its shape needs, or they are no UTF-8.
    InvalidRows
        A boolean is neither 0 nor 1.
    """
    if shape.datatype == "BYTES":
        return _texts(shape, body, start, start + size)
    count, dtype = shape.size, _DTYPES[shape.datatype]
    if size != count * dtype.itemsize:
        needed = f"{count} values of {shape.datatype} have {count * dtype.itemsize} bytes"
        raise MalformedBody(f"{shape.where}: {needed}, not {size}")
    if size == 0:
        return np.empty(0, dtype)
    if shape.datatype == "BOOL":
        bits = np.frombuffer(body, np.uint8, count, start)
        if bits.max() > 1:
            raise InvalidRows(f"{shape.where}: a byte of BOOL must be 0 or 1, not {bits.max()}")
        return bits.view(np.bool_)
    values: Array = np.frombuffer(body, dtype, count, start)
    # The JSON before it has any length; compiled engines want numbers where the processor does.
    values = values if values.flags.aligned else values.copy()
    return values if dtype.isnative else values.astype(dtype.newbyteorder("="))


def _texts(shape: Shape, body: bytes, start: int, end: int) -> list[str]:
    texts = []
    cut = MalformedBody(f"{shape.where}: its bytes do not hold {shape.size} elements, each after its length")
    if shape.size * _LENGTH_BYTES > end - start:
        raise cut
    for _ in range(shape.size):
        if start + _LENGTH_BYTES > end:
            raise cut
        (length,) = struct.unpack_from("<I", body, start)
        start += _LENGTH_BYTES
        if start + length > end:
            raise cut
        texts.append(read_text(body[start : start + length], shape.where))
        start += length
    if start != end:
        raise cut
    return texts


def read_text(element: bytes, where: str) -> str:
    """Read an element of BYTES; raises MalformedBody where it is no UTF-8."""
    try:
        return element.decode()
    except UnicodeDecodeError:
        raise MalformedBody(f"{where}: {element[:20]!r} is not UTF-8; texts must be") from None


def from_json(shape: Shape, data: Any) -> Array | list[Any]:
    """Read a tensor from a list, flat or nested; returns it flat, with None for what is missing.

    FP16 and FP32 become arrays of those, as their values are rounded to them.

    Raises
    ------
    InvalidRows
        There are more or fewer values than its shape needs, or values of another type or out of range.
    """
    flat = _flattened(shape, data)
    dtype = _DTYPES.get(shape.datatype)
    kinds, wanted = _JSON_TYPES["S" if dtype is None else dtype.kind]
    strange = set(map(type, flat)) - kinds
    if strange - {type(None)}:
        wrong = next(i for i, value in enumerate(flat) if value is not None and type(value) not in kinds)
        raise _bad_value(shape, data, wrong, flat, wanted)
    if dtype is None or dtype.kind == "b" or shape.datatype == "FP64":
        return flat
    return _rounded(shape, data, flat, dtype) if dtype.kind == "f" else _checked(shape, data, flat, np.iinfo(dtype.str))


def _checked(shape: Shape, data: Any, flat: list[Any], limits: Any) -> list[Any]:
    wrong = next(
        (i for i, value in enumerate(flat) if value is not None and not limits.min <= value <= limits.max), None
    )
    if wrong is not None:
        raise _bad_value(shape, data, wrong, flat, f"from {limits.min} to {limits.max}")
    return flat


def _is_nested(shape: Shape, data: Any) -> bool:
    """Tell whether the rows of a tensor of two dimensions stand in lists of their own."""
    is_list = isinstance(data, list) and len(data) > 0
    return is_list and isinstance(data[0], list) and len(shape.dimensions) == _MOST_DIMENSIONS


def _flattened(shape: Shape, data: Any) -> list[Any]:
    if not isinstance(data, list):
        raise InvalidRows(f"{shape.where}/data: must be a list of {shape.size} values, not {describe(data)}")
    if _is_nested(shape, data):
        count, width = shape.dimensions
        if len(data) != count or set(map(type, data)) != {list} or set(map(len, data)) != {width}:
            raise InvalidRows(f"{shape.where}/data: must be {count} lists of {width} values, as the shape says")
        return list(chain.from_iterable(data))
    if len(data) != shape.size:
        raise InvalidRows(f"{shape.where}/data: must have {shape.size} values, as the shape says, not {len(data)}")
    return data


def _rounded(shape: Shape, data: Any, flat: list[Any], dtype: np.dtype[Any]) -> Array:
    exact = np.array(flat, dtype=np.float64)
    with np.errstate(over="ignore"):
        values = exact.astype(dtype.newbyteorder("="))
    wrong = np.isinf(values)
    if wrong.any():
        raise _bad_value(shape, data, int(wrong.argmax()), flat, f"in the range of {shape.datatype}")
    return values


def _bad_value(shape: Shape, data: list[Any], index: int, flat: Sequence[Any], wanted: str) -> ServiceError:
    place = place_in(shape, data)(index)
    return rows.refuse([BadValue(f"must be {wanted}, not {describe(flat[index])}", place)])


def place_in(shape: Shape, data: Any) -> Callable[[int], str]:
    """Return a function that makes the JSON Pointer to the value number `index` of a tensor in `data`."""
    nested = _is_nested(shape, data)

    def place(index: int) -> str:
        at = divmod(index, shape.dimensions[1]) if nested else (index,)
        return "/".join([shape.where, "data", *map(str, at)])

    return place


def datatype_of(dtype: np.dtype[Any]) -> str:
    """Return the datatype in which answers of a dtype go out; long doubles lose what FP64 does not hold."""
    return "FP64" if dtype.kind == "f" and dtype.itemsize > 8 else _NAMES.get((dtype.kind, dtype.itemsize), "BYTES")  # noqa: PLR2004


def datatype_named(name: str) -> str:
    """Return the datatype in which answers of a dtype go out that is known by its name, as in a signature."""
    try:
        return datatype_of(np.dtype(name))
    except TypeError:  # NumPy does not know its own names of strings
        return "BYTES"


def to_json(values: Array) -> Any:
    """Return an answer as JSON holds it: flat, NaN and infinities as null."""
    return _strings(values) if datatype_of(values.dtype) == "BYTES" else jsonable(values.ravel())


def to_bytes(values: Array) -> bytes:
    """Return an answer as raw bytes, row by row."""
    datatype = datatype_of(values.dtype)
    if datatype == "BYTES":
        encoded = [text.encode("utf-8", "replace") for text in _strings(values)]
        return b"".join(chain.from_iterable((struct.pack("<I", len(text)), text) for text in encoded))
    return values.astype(_DTYPES[datatype], order="C", copy=False).tobytes()


def _strings(values: Array) -> list[str]:
    return ["" if value is None else str(value) for value in values.ravel().tolist()]


def input_datatype(column: Input) -> str:
    """Return the datatype that a column is best sent in."""
    if column.kind == "category" and column.categories:
        return datatype_of(np.array(column.categories).dtype)
    if column.kind in ("number", "integer", "boolean"):
        dtype = np.dtype(column.dtype.lower().replace("boolean", "bool"))
        return datatype_of(dtype)
    return "BYTES"
