"""How a file of delimited text is laid out: separator, quoting, header."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass

from app.training.errors import TrainingError
from app.training.files import Stream
from app.training.lines import check_lines

# Commas last: they stand inside numbers and sentences of files that another character separates.
SEPARATORS = ("\t", ";", "|", ",")
# These only where they divide every line alike: they stand inside times, names and words.
_RARE_SEPARATORS = ("^", "~", ":")
_NAMES = {"tab": "\t", "\\t": "\t", "blank": " ", "space": " ", "comma": ",", "semicolon": ";", "pipe": "|"}
_SAMPLE_LINES = 200
_SAMPLE_BYTES = 1 << 20
_EXCELS_HINT = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d+,\d+\s*")
_DECIMAL_DOT = re.compile(r"\s*[+-]?\d+\.\d+\s*")
_THOUSANDS = re.compile(r"\s*[+-]?[1-9]\d{0,2}(,\d{3})+\s*")
_MISSING = {"", "na", "nan", "null", "none", "n/a", "?", "-"}
_WORDS_OF_A_TEXT = 3


@dataclass(frozen=True)
class Wanted:
    """What the user says of a file of text; what is None is found by looking."""

    separator: str | None = None
    encoding: str | None = None
    decimal: str | None = None


@dataclass(frozen=True)
class Layout:
    """The layout of delimited text; `separator` " " stands for any run of blanks, `decimal` is a dot or a comma.

    The first `skipped` lines are no rows; `notes` tell of them and of what could be meant otherwise.
    `target` is a column's name where the layout alone tells: the label of a label-and-text file.
    """

    separator: str
    quoting: int
    has_header: bool
    names: list[str]
    target: str | None = None
    decimal: str = "."
    skipped: int = 0
    notes: tuple[str, ...] = ()


def find_layout(stream: Stream, source: str, wanted: Wanted | None = None) -> Layout:
    """Look at the first lines of text in UTF-8 and say how it is laid out.

    Raises
    ------
    TrainingError
        No separator divides the lines into columns, or they are not equally wide.
    """
    wanted = wanted or Wanted()
    lines = _first_lines(stream)
    separator = None if wanted.separator is None else _named(wanted.separator)
    skipped = 0
    if hint := _EXCELS_HINT.fullmatch(lines[0].strip()):
        separator, skipped = separator or hint[1], 1
    notes: tuple[str, ...] = ()
    if comments := _count_comments(lines[skipped:]):
        skipped += comments
        notes = (f"the first line{'s' * (comments > 1)} ({comments}), beginning with #, left out",)
    lines = lines[skipped:]
    filled = [line for line in lines if line.strip()]
    if not filled:
        raise TrainingError(f"{source}: holds no rows, only comments")
    separator = separator or _find_separator(filled)
    if separator is None or not any(separator in line for line in filled):
        raise TrainingError(
            f"{source}: has only one column, such as {filled[0].rstrip()[:40]!r}; a target and at least one feature "
            "are needed, separated by comma, semicolon, tab, pipe or blanks"
        )
    quoting = check_lines(stream, separator, skipped, source)
    rows = _split(lines, separator, quoting)
    decimal, doubt = (wanted.decimal, ()) if wanted.decimal else _find_decimal(rows, separator)
    notes += doubt
    if decimal == ",":
        rows = [[cell.replace(",", ".") if _DECIMAL_COMMA.fullmatch(cell) else cell for cell in row] for row in rows]
    if _looks_like_header(rows):
        return Layout(separator, quoting, True, rows[0], decimal=decimal, skipped=skipped, notes=notes)
    if len(rows[0]) == 2 and (text := _text_column(rows)) is not None:  # noqa: PLR2004  # label and text
        names = ["text", "label"] if text == 0 else ["label", "text"]
        return Layout(separator, quoting, False, names, "label", skipped=skipped, notes=notes)
    names = [f"column_{number}" for number in range(1, len(rows[0]) + 1)]
    return Layout(separator, quoting, False, names, decimal=decimal, skipped=skipped, notes=notes)


def is_number(cell: str) -> bool:
    """Tell whether a cell of text reads as a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def _first_lines(stream: Stream) -> list[str]:
    """Return the first lines, at least one, also those that are blank; without the line feeds that end them."""
    # The sample may end inside a line, which is then left out.
    stream.seek(0)
    chunk = stream.read(_SAMPLE_BYTES)
    cut = bool(stream.read(1))
    stream.seek(0)
    lines = chunk.decode("utf-8-sig", errors="ignore").split("\n")
    if cut and len(lines) > 1:
        lines.pop()
    return lines[:_SAMPLE_LINES]


def _named(separator: str) -> str:
    found = _NAMES.get(separator.lower(), separator)
    if len(found) != 1 or found in '"\n\r\0' or found.isalnum():
        raise TrainingError(f"--separator {separator!r} cannot be one; give one sign, or tab or blank")
    return found


def _count_comments(lines: list[str]) -> int:
    """Return how many of the first lines are comments, after #; a last one that is as wide as the rows is a header."""
    count = next((index for index, line in enumerate(lines) if line.strip() and not line.startswith("#")), 0)
    while count and not lines[count - 1].strip():
        count -= 1
    rows = [line for line in lines[count:] if line.strip()]
    separator = _find_separator(rows) if count and rows else None
    if separator is None:
        return count
    last, first = (len(_split([line], separator, csv.QUOTE_MINIMAL)[0]) for line in (lines[count - 1], rows[0]))
    return count - 1 if last == first else count


def _find_separator(lines: list[str]) -> str | None:
    """Return the separator that gives most lines the same number of fields, more than one."""
    best, best_share = None, 0.0
    for separator in SEPARATORS:
        for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
            share = _share_of_equal(lines, separator, quoting)
            if share > best_share:
                best, best_share = separator, share
    cells = lines[-1].split()
    if len(cells) > 1 and all(map(is_number, cells)) and best in (None, ","):
        return " "
    if best is None and len(lines) > 1:
        alike = (sign for sign in _RARE_SEPARATORS if _share_of_equal(lines, sign, csv.QUOTE_MINIMAL) == 1)
        best = next(alike, None)
    return best


def _share_of_equal(lines: list[str], separator: str, quoting: int) -> float:
    widths = Counter(map(len, _split(lines, separator, quoting)))
    width, times = widths.most_common(1)[0]
    return times / widths.total() if width > 1 else 0.0


def _find_decimal(rows: list[list[str]], separator: str) -> tuple[str, tuple[str, ...]]:
    """Take the comma for the decimal mark where numbers are written with it, and none with a dot; say if in doubt."""
    cells = [cell for row in rows for cell in row]
    with_comma = [cell for cell in cells if _DECIMAL_COMMA.fullmatch(cell)]
    if not with_comma or any(map(_DECIMAL_DOT.fullmatch, cells)):
        return ".", ()
    if not all(map(_THOUSANDS.fullmatch, with_comma)):
        return ",", ()
    # Between commas, 1,234 in quotation marks is a thousand and more.
    if separator == ",":
        return ".", ()
    number = with_comma[0].strip()
    return ",", (f"{number} is read as {number.replace(',', '.')}; with --decimal . it is {number.replace(',', '')}",)


def _split(lines: list[str], separator: str, quoting: int) -> list[list[str]]:
    """Split lines into rows, of which blank lines are none; a quoted field may hold both."""
    if separator == " ":
        rows = [line.split() for line in lines]
    else:
        whole = (f"{line}\n" if line.strip() else "\n" for line in lines)
        try:
            rows = list(csv.reader(whole, delimiter=separator, quoting=quoting, skipinitialspace=True))  # type: ignore[arg-type]
        except csv.Error:
            rows = [line.rstrip("\r").split(separator) for line in lines if line.strip()]
    return [row for row in rows if row]


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
