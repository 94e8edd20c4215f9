"""Log lines carry the request's id, as text or as JSON."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from app.monitor import logs


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What is written to the configured handler."""
    root, written = logging.getLogger(), io.StringIO()
    before, level = root.handlers[:], root.level
    yield written
    root.handlers[:] = before
    root.setLevel(level)


def configured(style: str, written: io.StringIO) -> logging.Logger:
    logs.configure("INFO", style)
    handler = logging.getLogger().handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(written)
    return logging.getLogger("app.test")


def test_a_plain_line_shows_the_request(lines: io.StringIO) -> None:
    token = logs.exchange.set(("r-1", ""))
    configured("plain", lines).info("hello %s", "you")
    logs.exchange.reset(token)
    assert lines.getvalue().rstrip().endswith("INFO    app.test [r-1] hello you")


def test_a_json_line_holds_every_field(lines: io.StringIO) -> None:
    token = logs.exchange.set(("-", "00-4bf9-00f0-01"))
    logger = configured("json", lines)
    try:
        raise ValueError("broken")
    except ValueError:
        logger.exception("failed", extra={"model": "iris", "milliseconds": 1.5})
    logs.exchange.reset(token)
    line = json.loads(lines.getvalue())
    assert (line["level"], line["logger"], line["message"]) == ("ERROR", "app.test", "failed")
    assert (line["request_id"], line["traceparent"]) == ("-", "00-4bf9-00f0-01")
    assert (line["model"], line["milliseconds"]) == ("iris", 1.5)
    assert "ValueError: broken" in line["trace"]


def test_lines_below_the_level_are_left_out(lines: io.StringIO) -> None:
    configured("plain", lines).debug("hidden")
    assert lines.getvalue() == ""
