"""NPY bodies (NumPy's own file format, versions 1 to 3), never with pickled objects inside."""

from __future__ import annotations

import io
import math
import sys

import numpy as np
from numpy.lib import format as npy

from app.errors import MalformedBody, NotAcceptable
from app.signature import Array, Outputs, Signature
from app.wire import rows
from app.wire.body import Answer, Decoded, Form

MEDIA_TYPE = "application/x-npy"

# Booleans, numbers and strings. Dates have no one meaning as a number, and as text they say their own.
_KINDS = "biufcU"
_READ_HEADER = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def takes(signature: Signature) -> bool:
    """Tell whether one array holds all columns that a model takes."""
    kinds = {"number" if column.kind == "integer" else column.kind for column in signature.inputs}
    return len(kinds) == 1 and "datetime" not in kinds


def decode(body: bytes, signature: Signature, max_rows: int) -> Decoded:
    """Read an array of shape (n, n_features), or (n,) for models of one column; numbers are not copied where they fit.

    Raises
    ------
    MalformedBody
        No NPY, an array of Python objects, or fewer bytes than its header promises.
    InvalidRows, TooLarge
        The array does not fit the signature, or has more than `max_rows` rows.
    """
    array = read_array(body)
    if array.ndim == 0:
        array = array.reshape(1)
    rows.check_count(len(array), max_rows)
    return Decoded(rows.from_array(signature, array), Form())


def read_array(body: bytes) -> Array:
    """Read the array in `body` as a view of its bytes; the header is believed only as far as the bytes reach."""
    stream = io.BytesIO(body)
    try:
        version = npy.read_magic(stream)
        if version not in _READ_HEADER:
            raise ValueError(f"its format version is {version[0]}.{version[1]}, and 1.0 and 2.0 are read")
        shape, column_major, dtype = _READ_HEADER[version](stream)
    except Exception as fault:  # NumPy reads the header as Python's source, and lets through all that this raises
        # What NumPy says of a header that is code names addresses in memory: only its first words are told.
        told = " ".join(str(fault).split()).partition("<")[0] or type(fault).__name__
        raise MalformedBody(f"the body is not NPY: {told:.200}") from None
    if dtype.kind not in _KINDS or dtype.itemsize == 0:
        raise MalformedBody(f"the array's dtype is {dtype}; send plain numbers, booleans or strings")
    shape = tuple(map(int, shape))
    count = math.prod(shape)
    if min(shape, default=0) < 0 or count * dtype.itemsize != len(body) - stream.tell():
        raise MalformedBody(
            f"the header promises {shape} values of {dtype}, {count * dtype.itemsize} bytes, "
            f"and {len(body) - stream.tell()} follow"
        )
    # NumPy takes no buffer without a byte.
    content: Array = np.frombuffer(body, dtype, count, stream.tell()) if count else np.empty(0, dtype)
    if dtype.kind == "U" and _has_strange_characters(content):
        raise MalformedBody("the array's strings hold what is no Unicode character")
    try:
        array = content.reshape(shape[::-1]).T if column_major else content.reshape(shape)
    except ValueError as fault:
        raise MalformedBody(f"the header's shape is none that an array can have: {fault}") from None
    return array if dtype.isnative else array.astype(dtype.newbyteorder("="))


def _has_strange_characters(strings: Array) -> bool:
    """Tell whether there are code points beyond Unicode, or halves of a surrogate pair."""
    points = strings.view(np.dtype("u4").newbyteorder(strings.dtype.byteorder))
    return bool(((points > sys.maxunicode) | ((points >= 0xD800) & (points <= 0xDFFF))).any())  # noqa: PLR2004  # UTF-16's


def encode(answer: Answer, output: Outputs, form: Form) -> bytes:
    """Write the answer as one array of its own dtype; strings become fixed-width.

    Raises
    ------
    NotAcceptable
        The answer is several arrays, or its values have no common type.
    """
    if isinstance(answer, list):
        raise NotAcceptable("the answer has an array for each output, and NPY holds one; accept application/json")
    if answer.dtype.kind == "O":
        kinds = set(map(type, answer.ravel().tolist()))
        if len(kinds) != 1 or not kinds <= {str, bool, int, float}:
            raise NotAcceptable("the answer's values have no common type, which NPY needs; accept application/json")
        answer = np.array(answer.tolist())
    stream = io.BytesIO()
    np.save(stream, answer, allow_pickle=False)
    return stream.getvalue()
