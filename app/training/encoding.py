"""Bytes of text in any usual encoding -> UTF-8, with line breaks that are all alike."""

from __future__ import annotations

import codecs
import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from app.training.errors import TrainingError
from app.training.files import Stream, blocks

# UTF-32 first: its mark starts with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)
# Bytes that no text has, in any of the encodings that are guessed.
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r\f\v\x1a\x1b"))
_NOT_WINDOWS = b"\x81\x8d\x8f\x90\x9d"
# Of a text in a Western language, the share of bytes beyond ASCII; of a Cyrillic or Greek one it is most.
_MOST_ACCENTS = 0.3
_SAMPLE = 1 << 20


@contextmanager
def as_utf8(stream: Stream, source: str, encoding: str | None = None) -> Iterator[tuple[Stream, tuple[str, ...]]]:
    r"""Give the text as UTF-8 whose lines all end in ``\n`` or all in ``\r\n``, and what was noted on the way.

    UTF-8 as it is; UTF-16 and UTF-32 by their mark; else what could be Windows-1252 (of which Latin-1 is
    a part) is taken for that, and noted; `encoding` overrules all that.

    Raises
    ------
    TrainingError
        Not text, in no encoding that could be told, or not in `encoding`.
    """
    found, notes = (encoding, ()) if encoding else _find_encoding(stream, source)
    if found is None:
        yield stream, notes
        return
    with tempfile.TemporaryFile() as text:
        _transcode(stream, text, found, source)
        yield text, notes


def _find_encoding(stream: Stream, source: str) -> tuple[str | None, tuple[str, ...]]:
    """Return the encoding to translate from, None where the stream can be taken as it is, and notes."""
    start = stream.read(4)
    for mark, encoding, called in _MARKS:
        if start.startswith(mark):
            return encoding, (f"the file is {called}, as its first bytes say",)
    decoder = codecs.getincrementaldecoder("utf-8")()
    line, begun, passed = 1, 0, b""  # begun: bytes of the line so far that earlier blocks hold
    empty, lone, accented = True, False, False
    for block in blocks(stream):
        if b"\0" in block:
            line += block.count(b"\n", 0, block.index(b"\0"))
            raise TrainingError(
                f"{source}: line {line} holds a NUL byte; this is not text, or UTF-16 (--encoding utf-16-le)"
            )
        try:
            decoder.decode(block)
        except UnicodeDecodeError as fault:
            accented = accented or not block[: max(fault.start - len(passed), 0)].isascii()
            where = _place(line, begun - len(passed), passed + block, fault.start)
            around = (passed + block)[max(0, fault.start - _SAMPLE) : fault.start + _SAMPLE]
            return _guess(stream, source, where, around, accented=accented)
        accented = accented or not block.isascii()
        empty = empty and not block.strip(b"\xef\xbb\xbf \t\r\n")
        lone = lone or block.count(b"\r") != block.count(b"\r\n")
        line += block.count(b"\n")
        begun = len(block) - block.rfind(b"\n") - 1 if b"\n" in block else begun + len(block)
        passed = decoder.getstate()[0]
    if empty:
        raise TrainingError(f"{source}: is empty")
    if passed:
        raise TrainingError(f"{source}: ends within a character; save the file as UTF-8 once more")
    # Old line breaks, of a single CR, are not told from others by all that comes after.
    return ("utf-8" if lone else None), ()


def _guess(stream: Stream, source: str, where: str, around: bytes, *, accented: bool) -> tuple[str, tuple[str, ...]]:
    """Take bytes that are not UTF-8 for Windows-1252, if they could be that."""
    # Where characters before it are UTF-8, it is a fault in a UTF-8 file.
    if accented or not _could_be_windows(around):
        raise TrainingError(
            f"{source}: {where}; save the file as UTF-8, or say what it is with --encoding, such as latin-1"
        )
    for block in blocks(stream):
        if b"\0" in block:
            raise TrainingError(f"{source}: holds NUL bytes; this is not text")
    return "cp1252", (f"{where}: read as Windows-1252; say what it is with --encoding if letters are wrong",)


def _place(line: int, begun: int, seen: bytes, start: int) -> str:
    breaks = seen.count(b"\n", 0, start)
    column = start - seen.rfind(b"\n", 0, start) if breaks else begun + start + 1
    return f"line {line + breaks}, byte {column} (0x{seen[start]:02x}) is not UTF-8"


def _could_be_windows(text: bytes) -> bool:
    if text.translate(None, _CONTROLS + _NOT_WINDOWS) != text:
        return False
    beyond = len(text) - len(text.translate(None, bytes(range(0x80, 0x100))))
    return beyond <= _MOST_ACCENTS * len(text)


def _transcode(stream: Stream, text: Stream, encoding: str, source: str) -> None:
    try:
        decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)(), translate=True)
    except LookupError as fault:
        raise TrainingError(
            f"--encoding: there is no encoding {encoding!r}; there are utf-8, latin-1, cp1252 and more"
        ) from fault
    line = 1
    try:
        for block in blocks(stream):
            part = decoder.decode(block)
            if "\0" in part:
                line += part.count("\n", 0, part.index("\0"))
                raise TrainingError(f"{source}: line {line} holds a NUL character; this is not text")
            line += part.count("\n")
            text.write(part.encode())
        text.write(decoder.decode(b"", final=True).encode())
    except (UnicodeError, ValueError, AttributeError) as fault:
        raise TrainingError(f"{source}: is not {encoding} after line {line}; say what it is with --encoding") from fault
    text.seek(0)
