"""Models that were fitted elsewhere: a file of somebody's, and a sample of the rows it takes."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import warnings
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from app.errors import StoreError
from app.signature import METHODS
from app.store import bundle
from app.store.containers import Fitted, find_fitted
from app.store.disk import sha256
from app.store.manifest import installed_versions

_LIBRARY = "scikit-learn"
# scikit-learn writes its version into the state of every estimator.
_VERSION = re.compile(rb"_sklearn_version.{1,12}?(\d+\.\d+(?:\.\d+)?(?:\.?(?:dev|post|rc|a|b)\d+)?)", re.DOTALL)
_COMPRESSIONS: Mapping[bytes, Callable[[bytes], bytes]] = {
    b"\x1f\x8b": gzip.decompress,
    b"BZh": bz2.decompress,
    b"\xfd7zXZ": lzma.decompress,
    b"\x5d\x00\x00": lzma.decompress,
    b"\x78": zlib.decompress,
}


@dataclass(frozen=True)
class Foreign:
    """A model that was read from a file.

    Attributes
    ----------
    estimator: the fitted estimator.
    mismatch: how the scikit-learn that fitted it differs from the installed one, if it does.
    """

    estimator: Any
    mismatch: str | None = None


@dataclass(frozen=True)
class Rows:
    """Rows that were read from a file, in the container that the estimator was fitted on, and where they are from."""

    fitted: Fitted
    source: str
    sha256: str


def read_foreign(path: Path, *, code: Path | None = None, allow_mismatch: bool = False) -> Foreign:
    """Load a fitted estimator from a file of joblib's or pickle's, compressed or not. This runs what is in the file.

    Parameters
    ----------
    path
        The file.
    code
        A Python file with the functions and classes that it refers to.
    allow_mismatch
        Whether it may have been fitted with another scikit-learn than the installed one.

    Raises
    ------
    StoreError
        It cannot be read, holds no estimator, refers to code that is not there, or was fitted with
        another scikit-learn.
    """
    content = _read(path)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        estimator = _unpickle(path.name, content, bundle.read(code))
    _check_estimator(path.name, estimator)
    fitted = next((v for note in told if (v := getattr(note.message, "original_sklearn_version", None))), None)
    if fitted is None:
        return Foreign(estimator)
    mismatch = _mismatch(path.name, fitted)
    if not allow_mismatch:
        raise StoreError(f"{mismatch}, or register it as it is with --allow-version-mismatch")
    return Foreign(estimator, mismatch)


def read_rows(path: Path, estimator: Any) -> Rows:
    """Read a sample of rows, and bring it into the container that `estimator` was fitted on.

    Parameters
    ----------
    path
        NPY, NPZ (its ``X``), CSV, TSV, Parquet, JSON (records, lists, strings), JSON lines or lines of text.
    estimator
        The fitted estimator.

    Raises
    ------
    StoreError
        The file cannot be read, or its rows are none that the estimator takes.
    """
    content = _read(path)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    text = content
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
        text = _decompressed(content)
    reader = _READERS.get(suffixes[-1] if suffixes else "")
    if reader is None:
        raise StoreError(
            f"{path.name} cannot be read as a sample; give .npy, .npz, .csv, .tsv, .parquet, .json, .jsonl or .txt"
        )
    try:
        X = reader(text)
    except StoreError:
        raise
    except Exception as fault:  # each reader has its own errors
        told = " ".join(str(fault).split())
        raise StoreError(f"{path.name} cannot be read as {suffixes[-1]}: {told}") from fault
    if len(X) == 0:
        raise StoreError(f"{path.name} has no rows; give at least one row like those the estimator was fitted on")
    return Rows(find_fitted(estimator, X), path.name, sha256(content))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as fault:
        raise StoreError(f"{path} cannot be read: {fault.strerror}") from fault


# The model's file


def _unpickle(name: str, content: bytes, bundled: bundle.Bundle | None) -> Any:
    try:
        return bundle.rebind(content, bundled)
    except Exception as fault:  # unpickling runs what is in the file, which may raise anything
        version = _version_in(content)
        if version is not None and version != installed_versions()[_LIBRARY] and not _is_of_the_author(fault):
            raise StoreError(f"{_mismatch(name, version)}; it cannot even be loaded: {_told(fault)}") from fault
        if isinstance(fault, StoreError):
            raise StoreError(f"{name}: {fault}") from fault
        raise StoreError(
            f"{name} is no model file that can be loaded: {_told(fault)}; write it with joblib.dump"
        ) from fault


def _is_of_the_author(fault: Exception) -> bool:
    """Tell whether what is missing is the author's own code, rather than scikit-learn's of another version."""
    return isinstance(fault, StoreError) and "sklearn" not in str(fault.__cause__ or fault)


def _told(fault: Exception) -> str:
    return f"{type(fault).__name__}: {' '.join(str(fault.__cause__ or fault).split())}"


def _version_in(content: bytes) -> str | None:
    """Find the scikit-learn that wrote a pickle in its bytes, without loading it."""
    found = _VERSION.search(_decompressed(content))
    return found[1].decode() if found else None


def _decompressed(content: bytes) -> bytes:
    for magic, decompress in _COMPRESSIONS.items():
        if content.startswith(magic):
            try:
                return decompress(content)
            except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError):
                return content
    return content


def _mismatch(name: str, fitted: str) -> str:
    installed = installed_versions()[_LIBRARY]
    return (
        f"{name} was fitted with scikit-learn {fitted}, and {installed} is installed: it may answer otherwise here, or "
        f"not at all; fit it again with {installed}, or install the other one (pip install scikit-learn=={fitted})"
    )


def _check_estimator(name: str, estimator: Any) -> None:
    if isinstance(estimator, type):
        raise StoreError(f"{name} holds the class {estimator.__name__}; dump a fitted estimator")
    if not any(hasattr(estimator, method) for method in METHODS):
        inside = ""
        if isinstance(estimator, dict):
            inside = f" with the keys {', '.join(map(repr, list(estimator)[:10]))}"
        raise StoreError(
            f"{name} holds a {type(estimator).__name__}{inside}, which has none of {', '.join(METHODS)}; "
            "dump the fitted estimator itself"
        )


# The sample's file


def _read_npy(content: bytes) -> Any:
    return np.load(io.BytesIO(content), allow_pickle=False)


def _read_npz(content: bytes) -> Any:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        known = [name for name in ("X", "x", "X_test", "x_test", "X_train", "x_train") if name in arrays.files]
        if not known and len(arrays.files) != 1:
            raise StoreError(f"an NPZ sample must have an array 'X'; this one has {', '.join(arrays.files)}")
        return arrays[(known or arrays.files)[0]]


def _read_delimited(separator: str) -> Callable[[bytes], Any]:
    def read(content: bytes) -> Any:
        import pandas as pd

        frame = pd.read_csv(io.BytesIO(content), sep=separator)
        if all(_is_number(str(name)) for name in frame.columns):
            # Numbers in the first line are no names.
            frame = pd.read_csv(io.BytesIO(content), sep=separator, header=None)
        return frame

    return read


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_parquet(content: bytes) -> Any:
    import importlib.util

    import pandas as pd

    if importlib.util.find_spec("pyarrow") is None:
        raise StoreError("reading Parquet needs pyarrow; install it with: pip install 'model-as-a-service[arrow]'")
    return pd.read_parquet(io.BytesIO(content), engine="pyarrow")


def _read_json(content: bytes) -> Any:
    return _from_json(orjson.loads(content))


def _read_json_lines(content: bytes) -> Any:
    return _from_json([orjson.loads(line) for line in content.splitlines() if line.strip()])


def _from_json(rows: Any) -> Any:
    import pandas as pd

    if isinstance(rows, dict) and len(rows) == 1 and isinstance(next(iter(rows.values())), list):
        (rows,) = rows.values()
    if not isinstance(rows, list):
        raise StoreError("a JSON sample must be a list of records, of rows or of texts")
    if all(isinstance(row, str) for row in rows):
        return rows
    return pd.DataFrame(rows)


def _read_lines(content: bytes) -> Any:
    return [line for line in content.decode("utf-8-sig").splitlines() if line.strip()]


_READERS: dict[str, Callable[[bytes], Any]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".csv": _read_delimited(","),
    ".tsv": _read_delimited("\t"),
    ".parquet": _read_parquet,
    ".pq": _read_parquet,
    ".json": _read_json,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".txt": _read_lines,
}
