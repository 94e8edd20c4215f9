"""gunicorn's logger, speaking the application's log format."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from gunicorn.glogging import Logger


class GunicornLogger(Logger):  # type: ignore[misc]  # gunicorn ships no types
    """Sends gunicorn's lines to the root logger; an access line tells what its request asked and got."""

    def setup(self, cfg: Any) -> None:
        """Let the lines propagate to the handlers that :func:`app.monitor.logs.configure` made."""
        super().setup(cfg)
        for logger in (self.error_log, self.access_log):
            logger.handlers.clear()
            logger.propagate = True

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        """Write one line for a request that was answered."""
        if not self.access_log_enabled:
            return
        sent = {name.lower(): value for name, value in resp.headers}
        status = str(resp.status).split(maxsplit=1)[0]
        fields = {
            "request_id": sent.get("x-request-id", "-"),
            "traceparent": environ.get("HTTP_TRACEPARENT", ""),
            "remote": environ.get("HTTP_X_FORWARDED_FOR") or environ.get("REMOTE_ADDR", "-"),
            "method": environ.get("REQUEST_METHOD"),
            "path": environ.get("PATH_INFO"),
            "status": int(status) if status.isdigit() else 0,
            "milliseconds": round(request_time.total_seconds() * 1000, 3),
            "bytes": getattr(resp, "sent", None),
            "model": sent.get("x-model-name"),
            "version": sent.get("x-model-version"),
        }
        line = "%(remote)s %(method)s %(path)r %(status)s %(milliseconds)s ms"
        self.access_log.info(line, fields, extra=fields)
