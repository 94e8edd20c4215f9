"""Forms as files: what a form is built from again, without the estimator, as NumPy's ``.npz`` (never with pickle)."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson

from app.signature import Array

FILE = "engine.npz"
_TREE = "tree"
_ARRAY = "array"
_STRINGS = "strings"


def dump(state: Mapping[str, Any]) -> bytes | None:
    """Write a state, nested dicts and lists of arrays and scalars; None where it holds what a file cannot."""
    arrays: dict[str, Array] = {}
    try:
        tree = orjson.dumps(_packed(state, arrays))
    except TypeError:
        return None
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **{_TREE: np.frombuffer(tree, dtype=np.uint8)}, **arrays)
    return stream.getvalue()


def load(content: bytes) -> dict[str, Any]:
    """Read a state; raises ValueError, KeyError or OSError where the bytes are none."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        state: dict[str, Any] = _unpacked(orjson.loads(arrays[_TREE].tobytes()), arrays)
    return state


def _packed(value: Any, arrays: dict[str, Array]) -> Any:
    if isinstance(value, Mapping):
        return {key: _packed(part, arrays) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_packed(part, arrays) for part in value]
    if not isinstance(value, np.ndarray):
        return value.item() if isinstance(value, np.generic) else value
    if value.dtype == object:
        if not all(type(label) is str for label in value.ravel()):
            raise TypeError("labels of several types")
        return {_STRINGS: value.tolist()}
    name = f"a{len(arrays)}"
    # The memory's order is kept: BLAS adds up in another order for another one.
    arrays[name] = value
    return {_ARRAY: name}


def _unpacked(value: Any, arrays: Mapping[str, Array]) -> Any:
    if isinstance(value, list):
        return [_unpacked(part, arrays) for part in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {_ARRAY}:
        return arrays[value[_ARRAY]]
    if value.keys() == {_STRINGS}:
        return np.array(value[_STRINGS], dtype=object)
    return {key: _unpacked(part, arrays) for key, part in value.items()}
