"""CSV, TSV and other delimited text -> a Table."""

from __future__ import annotations

import csv
import io
import re

import pandas as pd

from app.training.errors import TrainingError
from app.training.layout import Layout, find_layout
from app.training.normalise import check_names
from app.training.table import Table

_EXPECTED = re.compile(r"Expected (\d+) fields in line (\d+), saw (\d+)")
_OPEN_QUOTE = re.compile(r"EOF inside string starting at row (\d+)")


def read_delimited(content: bytes, source: str, header: bool | None = None) -> Table:
    """Read text in UTF-8 whose columns are separated by comma, semicolon, tab, pipe or blanks.

    The separator, the quoting and whether there is a header are found by looking; columns without a
    header are called ``column_1``, ``column_2``, …

    Raises
    ------
    TrainingError
        Not text, not UTF-8, no rows, one column only, or lines of different lengths.
    """
    check_encoding(content, source)
    layout = find_layout(content, source, header)
    check_widths(content, layout, source)
    names = [name.strip() for name in layout.names]
    names, counter = _name_counter(names)
    if layout.has_header:
        check_names(names, source)
    frame = _parse(content, layout, names, source)
    notes: tuple[str, ...] = ()
    if counter is not None:
        frame = frame.drop(columns=counter)
        notes = ("the first column has no name and was taken for a row index: left out",)
    return Table(frame, source, named=layout.has_header, target=layout.target, notes=notes)


def check_encoding(content: bytes, source: str) -> None:
    """Refuse bytes that are not UTF-8 text, saying where the first bad one is."""
    if not content.strip():
        raise TrainingError(f"{source}: is empty")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise TrainingError(f"{source}: is UTF-16; save it as UTF-8")
    if b"\0" in content:
        line = content.count(b"\n", 0, content.index(b"\0")) + 1
        raise TrainingError(f"{source}: line {line} holds a NUL byte; this is not text")
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as fault:
        line = content.count(b"\n", 0, fault.start) + 1
        column = fault.start - (content.rfind(b"\n", 0, fault.start) + 1) + 1
        raise TrainingError(
            f"{source}: line {line}, byte {column} (0x{content[fault.start]:02x}) is not UTF-8; save the file as UTF-8"
        ) from fault


def check_widths(content: bytes, layout: Layout, source: str) -> None:
    """Refuse lines with more or fewer fields than the first; lines inside quotes are left to the parser."""
    separator = None if layout.separator == " " else layout.separator.encode()
    width = len(layout.names)
    quoted = False
    for number, line in enumerate(io.BytesIO(content), start=1):
        quotes = 0 if layout.quoting == csv.QUOTE_NONE else line.count(b'"')
        if quotes or quoted:
            quoted ^= bool(quotes % 2)
            continue
        found = len(line.split()) if separator is None else line.count(separator) + 1
        if found != width and line.strip():
            raise TrainingError(f"{source}: {_uneven(number, found, width)}")


def _uneven(line: int, found: int, width: int) -> str:
    return f"line {line} has {found} field{'s' * (found != 1)} where the first line has {width}"


def _name_counter(names: list[str]) -> tuple[list[str], str | None]:
    """Name the unnamed first column that pandas and R write, so that it can be dropped."""
    if not names[0] and all(names[1:]) and len(names) > 2:  # noqa: PLR2004  # index, feature, target
        return ["\0index", *names[1:]], "\0index"
    return names, None


def _parse(content: bytes, layout: Layout, names: list[str], source: str) -> pd.DataFrame:
    try:
        # The stubs know csv's quoting only as literals.
        frame: pd.DataFrame = pd.read_csv(  # type: ignore[call-overload]
            io.BytesIO(content),
            sep=r"\s+" if layout.separator == " " else layout.separator,
            header=0 if layout.has_header else None,
            names=names,
            index_col=False,
            quoting=layout.quoting,
            decimal=layout.decimal,
            encoding="utf-8-sig",
            skipinitialspace=True,
            low_memory=False,
        )
        return frame
    except pd.errors.ParserError as fault:
        raise TrainingError(f"{source}: {_reason(str(fault))}") from fault


def _reason(message: str) -> str:
    if match := _EXPECTED.search(message):
        width, line, found = map(int, match.groups())
        return _uneven(line, found, width)
    if match := _OPEN_QUOTE.search(message):
        return f"line {int(match[1]) + 1} opens a quotation mark that is never closed"
    return f"cannot be parsed ({message.splitlines()[0]})"
