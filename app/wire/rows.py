"""Values that a client sent -> a Batch, or an error that says which of them do not fit.

Every check runs over whole columns at C speed (``set(map(type, …))``, NumPy masks); values are looked
at one by one only to say which of them are wrong.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from operator import itemgetter
from typing import Any

import numpy as np

from app.errors import BadValue, InvalidRows, TooLarge
from app.signature import Array, Batch, Input, Signature
from app.wire.values import Misfit, describe, read_column

MAX_REPORTED = 10
_LISTS = {list}
_OBJECTS = {dict}
_NUMBERS = {int, float}
_NAMES_SHOWN = 20
_LONGEST_NAME = 80


@dataclass(frozen=True, slots=True)
class Place:
    """Where the rows stand in the request's document, so that errors can point into it.

    `pointer` makes a JSON Pointer from a row and a column; None where the body is no JSON.
    """

    pointer: Callable[[int | None, int | str | None], str] | None = None

    def bad(
        self, detail: str, row: int | None = None, column: Input | None = None, index: int | str | None = None
    ) -> BadValue:
        """Describe one bad place, by its pointer as well where there is one."""
        pointer = None if self.pointer is None else self.pointer(row, index)
        return BadValue(detail, pointer, row, None if column is None else column.name)

    def of_scalars(self) -> Place:
        """Return the place of rows that stand in the document as bare values."""
        pointer = self.pointer
        return self if pointer is None else Place(lambda row, _: pointer(row, None))


NOWHERE = Place()


def by_row(*prefix: str) -> Place:
    """Return the place of rows that stand one after another under `prefix`: ``/X/0/2``."""
    return Place(lambda row, column: pointer_to(*prefix, row, column))


def by_column(*prefix: str) -> Place:
    """Return the place of columns that stand side by side under `prefix`: ``/inputs/age/0``."""
    return Place(lambda row, column: pointer_to(*prefix, column, row))


def pointer_to(*parts: str | int | None) -> str:
    """Return the JSON Pointer (RFC 6901) that leads through `parts`; None parts are left out."""
    tokens = [str(part).replace("~", "~0").replace("/", "~1") for part in parts if part is not None]
    return "".join(f"/{token}" for token in tokens)


def check_count(rows: int, max_rows: int) -> None:
    """Refuse no rows, and more rows than the service takes at once."""
    if rows == 0:
        raise InvalidRows("there are no rows; send at least one")
    if rows > max_rows:
        raise TooLarge(f"{rows} rows are more than the {max_rows} taken at once; send them in several requests")


def refuse(found: Sequence[BadValue]) -> InvalidRows:
    """Make the error for the bad places found; its detail tells the first one."""
    first = found[0]
    where = first.pointer or ", ".join(
        [f"row {first.row}"] * (first.row is not None)
        + [f"column {first.column!r}"] * (first.column is not None and repr(first.column) not in first.detail)
    )
    return InvalidRows(f"{where}: {first.detail}" if where else first.detail, errors=found[:MAX_REPORTED])


def from_rows(signature: Signature, rows: Sequence[Any], place: Place = NOWHERE, *, no_booleans: bool = False) -> Batch:
    """Build a batch from rows given by position, each a list with a value for every input.

    A ``vector`` model takes scalars or lists of one; a ``texts`` model takes strings. Where it is known that
    `no_booleans` are among the values, they need not be looked at one by one.
    """
    if signature.container == "texts":
        return _texts(rows, place)
    width = len(signature.inputs)
    if signature.is_plain and (matrix := _plain_matrix(rows, width, no_booleans)) is not None:
        return Batch(len(rows), matrix)
    if width == 1 and not any(isinstance(row, list) for row in rows):
        rows, place = [[value] for value in rows], place.of_scalars()
    _check_shape(rows, width, place)
    if signature.container == "array":
        return _matrix(signature, rows, place)
    columns = {column.name: values for column, values in zip(signature.inputs, zip(*rows, strict=True), strict=True)}
    return _assemble(signature, columns, len(rows), place, by_position=True)


def from_records(signature: Signature, records: Sequence[Mapping[str, Any]], place: Place = NOWHERE) -> Batch:
    """Build a batch from rows given as ``{column: value}`` objects."""
    columns = _plain_columns(signature, records)
    if columns is not None:
        return _from_named(signature, columns, len(records), place)
    found: list[BadValue] = []
    for row, record in enumerate(records):
        if not isinstance(record, dict):
            found.append(place.bad(f"a row must be an object like the others, not {describe(record)}", row))
        elif record.keys() != signature.by_name.keys():
            found += _wrong_names(signature, record.keys(), place, row)
        if len(found) >= MAX_REPORTED:
            break
    if found:
        raise refuse(found)
    columns = {column.name: [record[column.name] for record in records] for column in signature.required}
    return _from_named(signature, columns, len(records), place)


def _plain_columns(signature: Signature, records: Sequence[Any]) -> dict[str, Sequence[Any]] | None:
    """Read objects with every column and nothing else, as nearly all are; None where a closer look is needed."""
    names = signature.names
    if len(names) == 1 or set(map(type, records)) != _OBJECTS or set(map(len, records)) != {len(names)}:
        return None
    try:
        rows = list(map(itemgetter(*names), records))
    except KeyError:
        return None
    return dict(zip(names, zip(*rows, strict=True), strict=True))


def from_columns(signature: Signature, columns: Mapping[str, Sequence[Any] | Array], place: Place = NOWHERE) -> Batch:
    """Build a batch from columns given by name, each a sequence or an array of shape (n,)."""
    check_names(signature, columns.keys(), place)
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        (first, expected), *others = lengths.items()
        name, length = next((name, length) for name, length in others if length != expected)
        raise InvalidRows(f"columns differ in length: {first!r} has {expected} values and {name!r} has {length}")
    return _from_named(signature, columns, next(iter(lengths.values()), 0), place)


def check_names(signature: Signature, given: Iterable[str], place: Place = NOWHERE) -> None:
    """Refuse columns of which one is missing or unknown."""
    found = _wrong_names(signature, given, place, None)
    if found:
        raise refuse(found)


def from_array(signature: Signature, array: Array) -> Batch:
    """Build a batch from an array of shape (n, n_features), or (n,) for models of one column; no copy where it fits."""
    if signature.container == "texts":
        return _texts(array.tolist(), NOWHERE)
    width = len(signature.inputs)
    if array.ndim == 1 and width == 1:
        array = array.reshape(-1, 1)
    if array.ndim != 2 or array.shape[1] != width:  # noqa: PLR2004  # rows and columns
        raise InvalidRows(f"the array has shape {array.shape}; this model takes (n, {width})")
    if signature.is_plain and array.dtype == np.float64 and np.logical_and.reduce(np.isfinite(array), axis=None):
        return Batch(len(array), np.ascontiguousarray(array))
    if signature.container == "array" and array.dtype.kind in "fiu":
        return _matrix(signature, array, NOWHERE)
    columns = {column.name: array[:, index] for index, column in enumerate(signature.inputs)}
    return _assemble(signature, columns, len(array), NOWHERE, by_position=True)


def _texts(rows: Sequence[Any], place: Place) -> Batch:
    texts = [row[0] if isinstance(row, list) and len(row) == 1 else row for row in rows]
    if set(map(type, texts)) - {str}:
        found = [
            place.bad(f"must be a string, not {describe(text)}", row)
            for row, text in enumerate(texts)
            if not isinstance(text, str)
        ]
        raise refuse(found)
    return Batch(len(texts), texts)


def _plain_matrix(rows: Sequence[Any], width: int, no_booleans: bool) -> Array | None:
    """Read rows of finite numbers and nothing else, as nearly all are; None where a closer look is needed."""
    if set(map(type, rows)) != _LISTS or set(map(len, rows)) != {width}:
        return None
    if not no_booleans and not _NUMBERS.issuperset(map(type, chain.from_iterable(rows))):
        return None
    # Packing refuses whatever is no number (but for booleans), and is the fastest way from a list to doubles.
    count = len(rows) * width
    doubles = bytearray(8 * count)
    try:
        struct.pack_into(f"{count}d", doubles, 0, *chain.from_iterable(rows))
    except (struct.error, OverflowError):
        return None
    matrix = np.frombuffer(doubles, dtype=np.float64).reshape(len(rows), width)
    return matrix if np.logical_and.reduce(np.isfinite(matrix), axis=None) else None


def _check_shape(rows: Sequence[Any], width: int, place: Place) -> None:
    if set(map(type, rows)) == {list} and set(map(len, rows)) == {width}:
        return
    found = []
    for row, values in enumerate(rows):
        if not isinstance(values, list):
            found.append(place.bad(f"a row must be a list of {width} values, not {describe(values)}", row))
        elif len(values) != width:
            found.append(place.bad(f"a row must have {width} values, and this one has {len(values)}", row))
    raise refuse(found)


def _matrix(signature: Signature, rows: Sequence[Any] | Array, place: Place) -> Batch:
    """Read rows of one dtype at once; column by column only where that does not work."""
    column = signature.inputs[0]
    flat = rows.ravel() if isinstance(rows, np.ndarray) else list(chain.from_iterable(rows))
    try:
        values = read_column(Input("", column.dtype, nullable=True), flat)
    except Misfit:
        values = None
    shape = (len(rows), len(signature.inputs))
    # A column of booleans with a missing one is an array of objects.
    if values is not None and values.dtype != object:
        matrix = values.reshape(shape)
        if signature.nullable.all() or not np.isnan(matrix[:, ~signature.nullable]).any():
            return Batch(len(rows), np.ascontiguousarray(matrix))
    by_column = rows.T if isinstance(rows, np.ndarray) else zip(*rows, strict=True)
    columns = {column.name: cells for column, cells in zip(signature.inputs, by_column, strict=True)}
    # Columns may fit where the whole does not: one of integers above int64 beside one of negative ones.
    return _assemble(signature, columns, len(rows), place, by_position=True)


def _from_named(signature: Signature, columns: Mapping[str, Any], rows: int, place: Place) -> Batch:
    if signature.container == "texts":
        return _texts(list(columns[signature.inputs[0].name]), place)
    return _assemble(signature, columns, rows, place, by_position=False)


def _assemble(signature: Signature, columns: Mapping[str, Any], rows: int, place: Place, *, by_position: bool) -> Batch:
    """Read every used column and put them together in the signature's container."""
    arrays: dict[str, Array] = {}
    found: list[BadValue] = []
    for index, column in enumerate(signature.inputs):
        if not column.used:
            continue
        try:
            arrays[column.name] = read_column(column, columns[column.name])
        except Misfit as misfit:
            where = index if by_position else column.name
            found += [place.bad(detail, row, column, where) for row, detail in misfit.places]
        if len(found) >= MAX_REPORTED:
            break
    if found:
        raise refuse(sorted(found, key=lambda bad: bad.row or 0))
    return Batch(rows, _contained(signature, arrays, rows))


def _contained(signature: Signature, arrays: dict[str, Array], rows: int) -> Array | dict[str, Array]:
    if signature.container == "frame":
        return arrays
    if signature.container == "vector":
        return next(iter(arrays.values()))
    if signature.container == "array":
        return np.stack(list(arrays.values()), axis=1)
    packed = np.empty((rows, len(arrays)), dtype=object)
    for index, values in enumerate(arrays.values()):
        packed[:, index] = values
    return packed


def _wrong_names(signature: Signature, given: Iterable[str], place: Place, row: int | None) -> list[BadValue]:
    """List the columns that are missing from `given` and those that the model does not know."""
    names = dict.fromkeys(given)
    missing = [column for column in signature.required if column.name not in names][:MAX_REPORTED]
    unknown = list(islice((name for name in names if name not in signature.by_name), MAX_REPORTED))
    known = ", ".join(signature.names[:_NAMES_SHOWN]) + (", …" if len(signature.names) > _NAMES_SHOWN else "")
    # An unknown name first: beside the known ones it shows what was misspelled.
    return [
        place.bad(f"column {name!r:.{_LONGEST_NAME}} is not known; this model takes {known}", row) for name in unknown
    ] + [place.bad(f"column {column.name!r} is missing", row, column) for column in missing]
