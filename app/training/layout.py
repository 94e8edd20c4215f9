"""How a file of delimited text is laid out: separator, quoting, header."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections import Counter
from dataclasses import dataclass

from app.training.errors import TrainingError

# Commas last: they stand inside numbers and sentences of files that another character separates.
SEPARATORS = ("\t", ";", "|", ",")
_SAMPLE_LINES = 200
_SAMPLE_BYTES = 1 << 20
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d+,\d+\s*")
_DECIMAL_DOT = re.compile(r"\s*[+-]?\d+\.\d+\s*")
_MISSING = {"", "na", "nan", "null", "none", "n/a"}
_WORDS_OF_A_TEXT = 3


@dataclass(frozen=True)
class Layout:
    """The layout of delimited text; `separator` " " stands for any run of blanks, `decimal` is a dot or a comma.

    `target` is a column's name where the layout alone tells: the label of a label-and-text file.
    """

    separator: str
    quoting: int
    has_header: bool
    names: list[str]
    target: str | None = None
    decimal: str = "."


def find_layout(content: bytes, source: str, header: bool | None = None) -> Layout:
    """Look at the first lines of `content` (UTF-8) and say how it is laid out.

    Raises
    ------
    TrainingError
        No separator divides the lines into columns.
    """
    lines = _first_lines(content)
    separator = _find_separator(lines)
    if separator is None:
        raise TrainingError(
            f"{source}: has only one column, such as {lines[0][:40]!r}; a target and at least one feature are needed, "
            "separated by comma, semicolon, tab, pipe or blanks"
        )
    quoting = _find_quoting(content, separator)
    rows = _split(lines, separator, quoting)
    decimal = _find_decimal(rows)
    if decimal == ",":
        rows = [[cell.replace(",", ".") if _DECIMAL_COMMA.fullmatch(cell) else cell for cell in row] for row in rows]
    has_header = _looks_like_header(rows) if header is None else header
    if has_header:
        return Layout(separator, quoting, has_header, rows[0], decimal=decimal)
    if len(rows[0]) == 2 and (text := _text_column(rows)) is not None:  # noqa: PLR2004  # label and text
        return Layout(separator, quoting, has_header, ["text", "label"] if text == 0 else ["label", "text"], "label")
    return Layout(
        separator, quoting, has_header, [f"column_{number}" for number in range(1, len(rows[0]) + 1)], decimal=decimal
    )


def is_number(cell: str) -> bool:
    """Tell whether a cell of text reads as a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def _first_lines(content: bytes) -> list[str]:
    # The sample may end inside a line, which is then left out.
    chunk = content[:_SAMPLE_BYTES]
    lines = chunk.decode("utf-8-sig", errors="ignore").splitlines()
    if len(chunk) < len(content) and len(lines) > 1:
        lines.pop()
    return list(itertools.islice((line for line in lines if line.strip()), _SAMPLE_LINES))


def _find_separator(lines: list[str]) -> str | None:
    """Return the separator that gives most lines the same number of fields, more than one."""
    best, best_share = None, 0.0
    for separator in SEPARATORS:
        for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
            widths = Counter(map(len, _split(lines, separator, quoting)))
            width, times = widths.most_common(1)[0]
            share = times / widths.total()
            if width > 1 and share > best_share:
                best, best_share = separator, share
    cells = lines[-1].split()
    if len(cells) > 1 and all(map(is_number, cells)) and best in (None, ","):
        return " "
    return best


def _find_quoting(content: bytes, separator: str) -> int:
    """Tell quoted fields, which may span lines, from stray marks: only stray ones leave every line equally wide."""
    if not any(line.count(b'"') % 2 for line in io.BytesIO(content)):
        return csv.QUOTE_MINIMAL
    mark = separator.encode()
    widths = {line.count(mark) for line in io.BytesIO(content) if line.strip()}
    return csv.QUOTE_NONE if len(widths) == 1 else csv.QUOTE_MINIMAL


def _find_decimal(rows: list[list[str]]) -> str:
    """Take the comma for the decimal mark where numbers are written with it, and none with a dot."""
    cells = [cell for row in rows for cell in row]
    with_comma = any(map(_DECIMAL_COMMA.fullmatch, cells))
    return "," if with_comma and not any(map(_DECIMAL_DOT.fullmatch, cells)) else "."


def _split(lines: list[str], separator: str, quoting: int) -> list[list[str]]:
    if separator == " ":
        return [line.split() for line in lines]
    try:
        return list(csv.reader(lines, delimiter=separator, quoting=quoting, skipinitialspace=True))  # type: ignore[arg-type]
    except csv.Error:
        return [line.split(separator) for line in lines]


def _looks_like_header(rows: list[list[str]]) -> bool:
    """Tell whether the first row names the columns.

    It does where one of its words stands over numbers. It does not where it is all numbers, nor where
    as many of its cells are values (numbers, or words that recur below) as are not.
    """
    first, rest = rows[0], rows[1:]
    values = words = recurring = 0
    for index, cell in enumerate(first):
        below = {row[index].strip() for row in rest if index < len(row)}
        numbers_below = bool(below) and all(is_number(other) or other.lower() in _MISSING for other in below)
        if is_number(cell) or cell.strip().lower() in _MISSING:
            values += 1
        elif numbers_below and below.difference(_MISSING):
            return True
        elif cell.strip() in below:
            recurring += 1
        else:
            words += 1
    if not recurring:
        return words > 0
    return words > values + recurring


def _text_column(rows: list[list[str]]) -> int | None:
    """Return which of two columns is free text beside a column of labels, if one is."""
    means = [sum(len(row[index].split()) for row in rows if len(row) > index) / len(rows) for index in (0, 1)]
    text = int(means[1] > means[0])
    labels = {row[1 - text] for row in rows if len(row) > 1}
    return text if means[text] > _WORDS_OF_A_TEXT and len(labels) * 2 <= len(rows) else None
