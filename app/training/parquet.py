"""Parquet -> a Table."""

from __future__ import annotations

import importlib.util

import pandas as pd

from app.training.errors import TrainingError, first_line
from app.training.files import Opened
from app.training.layout import Wanted
from app.training.table import Table


def read_parquet(opened: Opened, wanted: Wanted) -> Table:
    """Read a Parquet file through pyarrow, an optional dependency."""
    source = opened.name
    if importlib.util.find_spec("pyarrow") is None:
        raise TrainingError(f"{source}: reading Parquet needs pyarrow; install it with: pip install pyarrow")
    import pyarrow

    try:
        frame = pd.read_parquet(opened.stream, engine="pyarrow")
    except (pyarrow.ArrowException, OSError, ValueError) as fault:
        raise TrainingError(f"{source}: is not a readable Parquet file ({first_line(fault)})") from fault
    # pandas keeps an index beside the columns; a plain counter carries nothing, a named one is a column.
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    return Table(frame.reset_index(drop=True), source)
