"""From a file to a file: read a chunk, ask, write, and say what could not be scored."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from app.scoring import sinks, sources
from app.scoring.asking import Asker, Refused
from app.scoring.chunks import BadRow, Cells, Chunk
from app.scoring.errors import ScoringError
from app.signature import Array, Signature
from app.wire import csv_body, json_body

# Bad rows are set aside as they are told, this often; then chunks are halved until each is found.
_PASSES = 3


@dataclass(frozen=True)
class Scored:
    """How many rows were scored, and how many were not."""

    rows: int
    rejected: int


def score(  # noqa: PLR0913  # what a user may say of it
    source: Path,
    target: Path,
    asker: Asker,
    *,
    only: bool = False,
    skip_bad: bool = False,
    chunk: int = 10_000,
    told: Callable[[int, float], None] = lambda *_: None,
) -> Scored:
    """Score the rows of a file into another, whose name tells its format.

    Parameters
    ----------
    asker
        Who answers.
    only
        Whether to write the answers without the input's columns.
    skip_bad
        Whether rows that the model cannot take go to ``<target>.rejects``, one JSON object each, instead of ending it.
    chunk
        So many rows are read and asked about at once.
    told
        Is called with the rows read so far and the share of the file, from 0 to 1.

    Raises
    ------
    ScoringError
        A file cannot be read or written, or a row cannot be scored; `target` is as it was then.
    """
    if source.resolve() == target.resolve():
        raise ScoringError(f"{target} would be written over itself; name another file")
    rows = 0

    def read_so_far(share: float) -> None:
        told(rows, share)

    with contextlib.ExitStack() as files:
        sink = files.enter_context(sinks.writing(target))
        rejects = _Rejects(files.enter_context(_rejects_file(target)) if skip_bad else None)
        try:
            for part, unread in sources.read(source, asker.signature, chunk, read_so_far):
                rejects.take(unread)
                for scored, answers, bad in _asked(part, asker, skip_bad=skip_bad) if part is not None else ():
                    rejects.take(bad)
                    if scored.numbers:
                        kept = {} if only else _kept(scored, asker.signature, typed=sink.typed)
                        _check_names(kept, answers)
                        sink.write({**kept, **answers}, list(answers))
                        rows += len(scored.numbers)
            if rows == 0:
                raise ScoringError(f"it has no rows to score, and {rejects.count} bad ones")
        except ScoringError as fault:
            raise ScoringError(f"{source.name}: {fault}") from fault
    return Scored(rows, rejects.count)


@contextlib.contextmanager
def _rejects_file(target: Path) -> Iterator[IO[bytes]]:
    """Open ``<target>.rejects``, which stays where there is something in it and nothing failed."""
    path = target.with_name(f"{target.name}.rejects")
    partly = path.with_name(f".{path.name}.{os.getpid()}.partly")
    try:
        with partly.open("wb") as file:
            yield file
        if partly.stat().st_size:
            partly.replace(path)
        else:
            path.unlink(missing_ok=True)
    finally:
        partly.unlink(missing_ok=True)


Asked = tuple[Chunk, dict[str, Array], list[BadRow]]


def _asked(part: Chunk, asker: Asker, *, skip_bad: bool) -> Iterator[Asked]:
    """Yield what could be scored of a chunk, in order, with the bad rows found on the way."""
    bad: list[BadRow] = []
    for _ in range(_PASSES):
        if not part.numbers:
            break
        try:
            yield part, asker.ask(*part.body(asker.signature)), bad
        except Refused as fault:
            if not fault.places or not skip_bad:
                yield from _halved(part, asker, fault, bad, skip_bad=skip_bad)
                return
            bad += [BadRow(part.numbers[row], why, part.row(row)) for row, why in sorted(fault.places.items())]
            part = part.taken([row for row in range(len(part.numbers)) if row not in fault.places])
        else:
            return
    if not part.numbers:
        yield part, {}, bad
    else:
        yield from _halved(part, asker, None, bad, skip_bad=skip_bad)


def _halved(part: Chunk, asker: Asker, fault: Refused | None, bad: list[BadRow], *, skip_bad: bool) -> Iterator[Asked]:
    """Ask for the halves of a chunk that was too large, or that holds bad rows of which it is not known which."""
    rows = len(part.numbers)
    if fault is not None and not fault.too_large and (rows == 1 or fault.places):
        found = fault.places or {0: str(fault)}
        first = min(found)
        if not skip_bad:
            raise _Bad(part.numbers[first], found[first])
        yield part.taken([]), {}, [*bad, BadRow(part.numbers[0], found[first], part.row(0))]
        return
    if rows == 1:
        raise ScoringError(f"row {part.numbers[0]} is larger than the service takes: {fault}")
    yield part.taken([]), {}, bad
    for half in (range(rows // 2), range(rows // 2, rows)):
        yield from _asked(part.taken(half), asker, skip_bad=skip_bad)


class _Bad(ScoringError):
    """A row that cannot be scored, where none may be skipped."""

    def __init__(self, number: int, detail: str) -> None:
        super().__init__(f"row {number}: {detail}; --skip-bad sets such rows aside")


class _Rejects:
    """Takes bad rows: writes them where there is a file for them, else ends the scoring with the first."""

    def __init__(self, stream: IO[bytes] | None) -> None:
        self._stream = stream
        self.count = 0

    def take(self, rows: Sequence[BadRow]) -> None:
        """Write the rows; raises ScoringError where none may be skipped."""
        for row in rows:
            if self._stream is None:
                raise _Bad(row.number, row.detail)
            self._stream.write(json_body.dump({"row": row.number, "error": row.detail, "values": row.values}) + b"\n")
            self.count += 1


def _kept(part: Chunk, signature: Signature, *, typed: bool) -> dict[str, Any]:
    """Return the input's columns; cells of text as the model's numbers where the file to be written has types."""
    columns = dict(part.columns())
    if not typed or not isinstance(part, Cells):
        return columns
    for name in columns.keys() & signature.by_name.keys():
        column = signature.by_name[name]
        values = csv_body.typed(column, columns[name])
        # One type for the whole file, whether or not this chunk has a missing value.
        whole = isinstance(values, np.ndarray) and column.kind == "integer" and column.nullable
        columns[name] = values.astype(np.float64) if whole and isinstance(values, np.ndarray) else values
    return columns


def _check_names(kept: dict[str, Any], answers: dict[str, Array]) -> None:
    twice = sorted(kept.keys() & answers.keys())
    if twice:
        raise ScoringError(f"it has a column {twice[0]!r} already; rename it, or give --only")
