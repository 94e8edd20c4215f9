"""CSV bodies (RFC 4180, UTF-8, comma-separated): values mean what the same values mean in JSON."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from app.errors import BadValue, InvalidRows, MalformedBody
from app.signature import Array, Input, Outputs, Signature
from app.wire import rows
from app.wire.body import Answer, Decoded, Form
from app.wire.columns import named_columns
from app.wire.schemas import Body, example_row

MEDIA_TYPE = "text/csv"

_LONGEST_NUMBER = 64
_BOOLEANS = {"true": True, "false": False}


def decode(body: bytes, signature: Signature, max_rows: int) -> Decoded:
    """Read rows; the first line is a header where half of its cells are the inputs' names, in capitals or not.

    An empty cell is a missing value (in a text column that takes no missing values, an empty string).

    Raises
    ------
    MalformedBody
        The bytes are not UTF-8, or quotes do not match.
    InvalidRows, TooLarge
        The rows do not fit the signature, or there are more than `max_rows`.
    """
    try:
        reader = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
        lines = [line for line in reader if line]
    except UnicodeDecodeError as fault:
        raise MalformedBody(f"the body is not UTF-8: byte {fault.start} cannot be read") from None
    except csv.Error as fault:
        raise MalformedBody(f"the body is not CSV: {fault}") from None
    if b"\0" in body:
        raise MalformedBody("the body is not CSV: it holds a NUL character")
    header = lines[0] if lines and _is_header(lines[0], signature) else None
    lines = lines[1:] if header else lines
    names = header or list(signature.names)
    rows.check_count(len(lines), max_rows)
    _check_widths(lines, names, numbered_from=2 if header else 1)
    if len(set(names)) != len(names):
        raise InvalidRows("the header names a column twice")
    columns = {
        name: typed(signature.by_name[name], cells) if name in signature.by_name else cells
        for name, cells in zip(names, zip(*lines, strict=True), strict=True)
    }
    return Decoded(rows.from_columns(signature, columns), Form())


def describe_body(signature: Signature) -> Body:
    """Describe the bodies that :func:`decode` reads, by one with a header and a row."""
    text = io.StringIO()
    # A cell that is empty is a missing value.
    csv.writer(text, lineterminator="\n").writerows([signature.names, example_row(signature)])
    told = text.getvalue()
    return Body({"description": "Rows, with a header or by position."}, None if "\0" in told else told)


def encode(answer: Answer, output: Outputs, form: Form) -> bytes:
    """Write a header and a line for each sample; NaN and infinities are empty cells."""
    columns = named_columns(answer, output)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    cells = [_cells(values) for values in columns.values()]
    writer.writerows(zip(*cells, strict=True))
    return text.getvalue().encode()


def _cells(values: Array) -> list[Any]:
    if values.dtype.kind != "f":
        return list(values.tolist())
    return [repr(value) if np.isfinite(value) else "" for value in values.astype(np.float64).tolist()]


def _is_header(cells: Sequence[str], signature: Signature) -> bool:
    if 2 * sum(cell in signature.by_name for cell in cells) > len(cells):
        return True
    # Names that are nearly right are still names: as a row of texts they would be answered without a word.
    names = {_folded(name) for name in signature.names}
    return 2 * sum(_folded(cell) in names for cell in cells) >= len(cells)


def _folded(name: str) -> str:
    return name.strip().casefold()


def _check_widths(lines: Sequence[Sequence[str]], names: Sequence[str], numbered_from: int) -> None:
    if set(map(len, lines)) == {len(names)}:
        return
    found = [
        BadValue(f"line {row + numbered_from} has {len(cells)} values, and {len(names)} are needed", row=row)
        for row, cells in enumerate(lines)
        if len(cells) != len(names)
    ]
    raise rows.refuse(found)


def typed(column: Input, cells: Sequence[str]) -> Sequence[Any] | Array:
    """Read the cells of a column as JSON would have held them; what cannot be read stays as it is, to be refused."""
    if column.kind in ("number", "integer"):
        return _numbers(cells, whole=column.kind == "integer")
    if column.kind == "boolean":
        return [None if cell == "" else _BOOLEANS.get(cell.strip().lower(), cell) for cell in cells]
    if column.kind == "category" and column.categories and not isinstance(column.categories[0], str):
        by_text = {str(category): category for category in column.categories}
        return [None if cell == "" else by_text.get(cell, cell) for cell in cells]
    if column.nullable:
        return [cell or None for cell in cells]
    return cells


def _numbers(cells: Sequence[str], *, whole: bool) -> Sequence[Any] | Array:
    # Every cell of NumPy's array of strings is as wide as the widest.
    if max(map(len, cells)) > _LONGEST_NUMBER:
        return [_number(cell, whole=whole) for cell in cells]
    texts = np.array(cells)
    # NumPy reads "1_000" as a number, as Python's source does; no CSV means it so.
    if np.strings.find(texts, "_").max() >= 0:
        return cells
    if whole:
        try:
            return texts.astype(np.int64)
        except OverflowError:
            return [_number(cell, whole=True) for cell in cells]
        except ValueError:
            pass
    try:
        return np.where(texts == "", "nan", texts).astype(np.float64)
    except ValueError:
        return [_number(cell, whole=whole) for cell in cells]


def _number(cell: str, *, whole: bool) -> float | str | None:
    if cell == "" or "_" in cell:
        return cell or None
    for read in (int, float) if whole else (float,):
        with contextlib.suppress(ValueError):
            return read(cell)
    return cell
