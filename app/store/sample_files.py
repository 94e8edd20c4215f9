"""Files with a sample of rows, in whatever format their author has."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from app.errors import StoreError
from app.store.containers import Fitted, find_fitted
from app.store.disk import sha256
from app.store.files import decompressed, read_file


@dataclass(frozen=True)
class Rows:
    """Rows that were read from a file, in the container that the estimator was fitted on, and where they are from."""

    fitted: Fitted
    source: str
    sha256: str


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
    content = read_file(path)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    text = content
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
        text = decompressed(content)
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
