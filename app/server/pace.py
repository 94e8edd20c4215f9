"""Which requests are answered inline and which in a thread, by what their like took before."""

from __future__ import annotations

from collections.abc import Callable

from app.paths import Target
from app.server.http1 import Request
from app.service import EXPLAIN
from app.store.live import Version
from app.wire.codings import is_coded

# A request that takes longer would be felt by the others that wait for the loop.
LONG_SECONDS = 0.003
# Where nothing was measured yet: bodies up to this size are tried inline.
_SMALL_BODY = 16 * 1024
_MOST_KEPT = 4096
_WEIGHT = 0.2

Like = tuple[str, str | None, Version, int]


class Pace:
    """A moving average of the seconds that requests of one route, model and size of body took."""

    def __init__(self) -> None:
        self._seconds: dict[Like, float] = {}

    def is_short(
        self, request: Request, target: Target | None, measured: Callable[[Target], float] = lambda _: 0.0
    ) -> bool:
        """Tell whether a request is expected to take less than LONG_SECONDS.

        `measured` is asked where none of its like was answered yet: it returns the seconds that one row took
        when the model was saved, 0 where nobody knows.
        """
        if target is None:
            # Flask's other routes only read; what changes something may load a model first.
            return request.method in ("GET", "HEAD", "OPTIONS")
        if target.method == EXPLAIN:
            return False  # the first one builds the explainer, and sampling takes its time
        if is_coded(request.header("content-encoding")):
            return False  # its length tells nothing of what it inflates to
        seconds = self._seconds.get(_like(request, target))
        if seconds is None:
            return len(request.body) <= _SMALL_BODY and measured(target) < LONG_SECONDS
        return seconds < LONG_SECONDS

    def note(self, request: Request, target: Target | None, seconds: float) -> None:
        """Remember how long a request took."""
        if target is None or is_coded(request.header("content-encoding")):
            return
        like = _like(request, target)
        before = self._seconds.get(like)
        if before is None and len(self._seconds) >= _MOST_KEPT:
            self._seconds.clear()
        # The first time is a first time for caches and imports too: it counts little once more is known.
        self._seconds[like] = seconds if before is None else before + _WEIGHT * (seconds - before)


def _like(request: Request, target: Target) -> Like:
    """Name what a request shares with its like: the route, model and version, and the digits of its body's length."""
    version = target.version if target.drawn is None else target.drawn
    return target.route, target.model, version, len(request.body).bit_length()
