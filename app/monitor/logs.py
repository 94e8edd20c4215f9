"""Log lines for people or for programs, each with the id of the request it belongs to."""

from __future__ import annotations

import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import orjson

# The id of the request being answered, and the trace that it is a part of (W3C Trace Context), or nothing.
exchange: ContextVar[tuple[str, str]] = ContextVar("exchange", default=("-", ""))

_PLAIN = "%(asctime)s %(levelname)-7s %(name)s [%(request_id)s] %(message)s"
_OWN = frozenset(vars(logging.makeLogRecord({}))) | frozenset(
    {"message", "asctime", "request_id", "traceparent", "taskName"}
)


class JsonFormatter(logging.Formatter):
    """One JSON object on a line: time, level, logger, message, request_id, and whatever ``extra`` holds."""

    def format(self, record: logging.LogRecord) -> str:
        """Write the record as one line of JSON."""
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": record.__dict__.get("request_id", "-"),
        }
        if record.__dict__.get("traceparent"):
            fields["traceparent"] = record.__dict__["traceparent"]
        fields |= {key: value for key, value in vars(record).items() if key not in _OWN and key not in fields}
        if record.exc_info:
            fields["trace"] = self.formatException(record.exc_info)
        return orjson.dumps(fields, default=str).decode()


def configure(level: str, style: str) -> None:
    """Send every logger's lines to standard error, as ``plain`` text or as ``json``."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_stamp)
    handler.setFormatter(JsonFormatter() if style == "json" else logging.Formatter(_PLAIN))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)


def _stamp(record: logging.LogRecord) -> bool:
    request_id, traceparent = exchange.get()
    record.__dict__.setdefault("request_id", request_id)
    record.__dict__.setdefault("traceparent", traceparent)
    return True
