"""Whether every line of delimited text has as many fields as the first, and what quotation marks mean in it."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field

from app.training.errors import TrainingError
from app.training.files import Stream

# A longer field is one that was never closed.
_LONGEST_FIELD = 1 << 27
_QUOTE = b'"'


def check_lines(stream: Stream, separator: str, skipped: int, source: str) -> int:
    """Read every line, and return how ``csv`` names the quoting: marks around fields, or characters like others.

    They are characters where some line has an odd number of them, and without any meaning of theirs every
    line is equally wide: a field that spans lines would leave lines of other widths.

    Raises
    ------
    TrainingError
        A line has more or fewer fields than the first, or a quotation mark is never closed.
    """
    stream.seek(0)
    for _ in range(skipped):
        stream.readline()
    found = _Lines(stream, separator, skipped)
    limit = csv.field_size_limit(_LONGEST_FIELD)
    try:
        found.read()
    except csv.Error:
        found.never_closed = True
    finally:
        csv.field_size_limit(limit)
        stream.seek(0)
    if found.odd and not found.plain.uneven:
        return csv.QUOTE_NONE
    if found.never_closed:
        raise TrainingError(f"{source}: line {found.opened} opens a quotation mark that is never closed")
    if found.quoted.uneven:
        raise TrainingError(f"{source}: {found.quoted.uneven}")
    return csv.QUOTE_MINIMAL


@dataclass
class _Widths:
    """The number of fields of the first record, and the first that has another."""

    width: int = 0
    uneven: str = ""

    def add(self, line: int, found: int) -> None:
        self.width = self.width or found
        if found != self.width and not self.uneven:
            self.uneven = f"line {line} has {found} field{'s' * (found != 1)} where the first line has {self.width}"


@dataclass
class _Lines:
    """What was found in the lines that were read: their widths with quotation marks and without."""

    stream: Stream
    separator: str
    number: int
    plain: _Widths = field(default_factory=_Widths)
    quoted: _Widths = field(default_factory=_Widths)
    odd: bool = False
    opened: int = 0
    never_closed: bool = False

    def read(self) -> None:
        """Read them all; the parser proper is asked only for records with quotation marks."""
        mark = self.separator.encode()
        blanks = b" \t\r\n" if mark != b"\t" else b" \r\n"
        for line in self.stream:
            self.number += 1
            if _QUOTE in line:
                self._read_quoted(line)
            elif line.strip(blanks):
                found = len(line.split()) if mark == b" " else line.count(mark) + 1
                self.plain.add(self.number, found)
                self.quoted.add(self.number, found)

    def _read_quoted(self, first: bytes) -> None:
        self.opened = self.number
        if self.separator == " ":
            return  # runs of blanks, which the parser proper does not know
        lines = self._decoded(first)
        record = next(csv.reader(lines, delimiter=self.separator, skipinitialspace=True))
        self.quoted.add(self.opened, len(record))

    def _decoded(self, first: bytes) -> Iterator[str]:
        """Yield the line and, as long as the parser asks for more, those after it."""
        line = first
        while line:
            self.odd |= bool(line.count(_QUOTE) % 2)
            self.plain.add(self.number, line.count(self.separator.encode()) + 1)
            yield line.decode("utf-8", errors="replace")
            line = self.stream.readline()
            self.number += 1
        self.never_closed = True
