"""CSV, TSV and other delimited text -> a Table."""

from __future__ import annotations

import csv
import warnings
from typing import Any

import pandas as pd
from pandas.api import types

from app.training.encoding import as_utf8
from app.training.errors import TrainingError, first_line
from app.training.files import Opened, Stream
from app.training.layout import Layout, Wanted, find_layout
from app.training.normalise import LARGEST_EXACT, check_names, greatest
from app.training.table import Table
from app.training.written import read_written

_WHOLE = r"[+-]?\d+"
_MIXED = ("mixed", "mixed-integer", "mixed-integer-float")


def read_delimited(opened: Opened, wanted: Wanted) -> Table:
    """Read text whose columns are separated by comma, semicolon, tab, pipe or blanks, or by ^, ~ or :.

    The encoding, the separator, the quoting and whether there is a header are found by looking; columns
    without a header are called ``column_1``, ``column_2``, …

    Raises
    ------
    TrainingError
        Not text, no rows, one column only, or lines of different lengths.
    """
    source = opened.name
    with as_utf8(opened.stream, source, wanted.encoding) as (text, notes):
        layout = find_layout(text, source, wanted)
        names, counter = _name_counter([name.strip() for name in layout.names])
        if layout.has_header:
            check_names(names, source)
        frame = _parse(text, layout, names, source)
    if counter is not None:
        frame = frame.drop(columns=counter)
        notes += ("the first column has no name and was taken for a row index: left out",)
    frame, written = read_written(frame, layout.decimal)
    return Table(frame, source, named=layout.has_header, target=layout.target, notes=notes + layout.notes + written)


def _name_counter(names: list[str]) -> tuple[list[str], str | None]:
    """Name the unnamed first column that pandas and R write, so that it can be dropped."""
    if not names[0] and all(names[1:]) and len(names) > 2:  # noqa: PLR2004  # index, feature, target
        return ["\0index", *names[1:]], "\0index"
    return names, None


def _parse(text: Stream, layout: Layout, names: list[str], source: str) -> pd.DataFrame:
    """Parse piece by piece, which takes little memory; what came out mixed or lost digits is parsed again as text."""
    frame = _read_csv(text, layout, names, source)
    mixed = [str(name) for name in frame if _is_mixed(frame[name])]
    rounded = [str(name) for name in frame if _may_be_rounded(frame[name])]
    if mixed or rounded:
        again = _read_csv(text, layout, names, source, usecols=mixed + rounded, dtype="str")
        whole = [name for name in rounded if again[name].dropna().str.fullmatch(_WHOLE).all()]
        frame = frame.assign(**{name: again[name] for name in mixed + whole})
    return frame


def _is_mixed(column: pd.Series[Any]) -> bool:
    """Tell a column whose parts were parsed as different things; all of it is text then."""
    if types.is_object_dtype(column.dtype):
        return types.infer_dtype(column, skipna=True) in _MIXED
    # Among whole numbers beyond an int64, pandas takes an empty cell for a word.
    return isinstance(column.dtype, pd.StringDtype) and bool((column == "").any())


def _may_be_rounded(column: pd.Series[Any]) -> bool:
    """Tell a column that may be whole numbers, too large for the floats that missing values made of them."""
    if not types.is_float_dtype(column.dtype) or greatest(column) <= LARGEST_EXACT:
        return False
    return bool((column.dropna() % 1 == 0).all())


def _read_csv(text: Stream, layout: Layout, names: list[str], source: str, **options: Any) -> pd.DataFrame:
    text.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pd.errors.DtypeWarning)
            # The stubs know csv's quoting only as literals.
            frame: pd.DataFrame = pd.read_csv(  # type: ignore[call-overload]
                text,
                sep=r"\s+" if layout.separator == " " else layout.separator,
                header=0 if layout.has_header else None,
                names=names,
                index_col=False,
                skiprows=layout.skipped,
                quoting=layout.quoting,
                decimal=layout.decimal,
                encoding="utf-8-sig",
                skipinitialspace=True,
                **options,
            )
            return frame
    except (ValueError, csv.Error, OverflowError) as fault:
        reason = first_line(fault)
        raise TrainingError(f"{source}: cannot be parsed ({reason})") from fault
