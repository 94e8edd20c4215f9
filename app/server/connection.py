"""One client's connection: what it sent, what it is still owed, and until when it may take its time."""

from __future__ import annotations

import socket
from collections import deque
from dataclasses import dataclass

from app.server.http1 import Limits, Refusal, Request, RequestReader

_CHUNK = 64 * 1024
# Large bodies come in fewer parts.
_BODY_CHUNK = 512 * 1024
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds that a client may take: for a head, between two parts of a body or of a reply, and between requests."""

    head: float = 10.0
    part: float = 30.0
    idle: float = 75.0
    linger: float = 2.0


class Connection:
    """A non-blocking socket with the requests that were read from it and the bytes that it did not take yet.

    Attributes
    ----------
    waiting: requests in the order in which they came, not answered yet; a Refusal ends them.
    busy: whether one of its requests is being answered in another thread.
    until: the moment (``time.monotonic()``) at which patience ends; None while the client waits for us.
    closing: whether it is closed once everything was sent.
    lingering: whether the last reply is out and only the client's end is awaited.
    """

    __slots__ = (
        "_out",
        "_patience",
        "_reader",
        "_sock",
        "busy",
        "client",
        "closing",
        "events",
        "lingering",
        "peer_done",
        "until",
        "waiting",
    )

    def __init__(
        self, sock: socket.socket, client: tuple[str, str], limits: Limits, patience: Patience, now: float
    ) -> None:
        self._sock = sock
        self._reader = RequestReader(limits)
        self._patience = patience
        self._out = bytearray()
        self.client = client
        self.waiting: deque[Request | Refusal] = deque()
        self.events = 0
        self.busy = False
        self.closing = False
        self.lingering = False
        self.peer_done = False
        self.until: float | None = now + patience.head

    def fileno(self) -> int:
        """Return the socket's descriptor; -1 once it is closed."""
        return self._sock.fileno()

    @property
    def idle(self) -> bool:
        """Whether nothing is owed to the client and no part of a request was read."""
        return not (self.busy or self.waiting or self._out or self._reader.started)

    @property
    def held(self) -> int:
        """How many bytes of a body that is not whole yet are kept."""
        return self._reader.held

    @property
    def unsent(self) -> int:
        """How many bytes the client has not taken yet."""
        return len(self._out)

    def read(self, now: float) -> bool:
        """Read what has come; returns whether the connection is still of use.

        Raises OSError where it broke.
        """
        try:
            data = self._sock.recv(_BODY_CHUNK if self._reader.in_body else _CHUNK)
        except BlockingIOError:
            return True
        if not data:
            self.peer_done = True
            return bool(self.waiting or self.busy or self._out) and not self.lingering
        if self.lingering or self.closing:
            return True  # what comes after the last reply is read so that the reply is not lost, and dropped
        in_head = self._reader.started and not self._reader.in_body
        try:
            self.waiting.extend(self._reader.feed(data))
        except Refusal as refusal:
            self.waiting.extend(self._reader.taken())
            self.waiting.append(refusal)
            return True
        if self._reader.wants_continue and not self.waiting:
            self._reader.wants_continue = False
            self.send(_CONTINUE, now)
        # Time for a head runs from its first byte: sending it slowly wins nothing.
        if not (in_head and self._reader.started and not self._reader.in_body):
            self.rest(now)
        return True

    def give_up(self) -> None:
        """Refuse the request that is being read, for want of room."""
        self.waiting.append(self._reader.give_up())

    def rest(self, now: float) -> None:
        """Set how long the client may take for what comes next."""
        if self.busy or self.waiting:
            self.until = None
        elif self._out:
            self.until = now + self._patience.part
        elif not self._reader.started:
            self.until = now + self._patience.idle
        else:
            self.until = now + (self._patience.part if self._reader.in_body else self._patience.head)

    def send(self, data: bytes, now: float) -> None:
        """Send what the client takes, and keep the rest; raises OSError where the connection broke."""
        if not self._out:
            try:
                sent = self._sock.send(data)
            except BlockingIOError:
                sent = 0
            if sent == len(data):
                return
            data = data[sent:]
        self._out += data
        self.until = now + self._patience.part

    def flush(self, now: float) -> None:
        """Send on what was kept; raises OSError where the connection broke."""
        try:
            sent = self._sock.send(self._out)
        except BlockingIOError:
            return
        del self._out[:sent]
        self.rest(now)

    def finish(self, now: float) -> bool:
        """Begin to close after the last reply; returns whether there is something to wait for.

        Closing with unread bytes in the socket would reset it and could take the reply from the client.
        """
        if self.lingering or self.peer_done:
            return False
        self.lingering = True
        self.until = now + self._patience.linger
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            return False
        return True

    def half_read(self) -> bool:
        """Tell whether a part of a request was read, so that the client is owed a 408 where it stops there."""
        return self._reader.started

    def close(self) -> None:
        """Close the socket, and let go of what was read."""
        self._sock.close()
        self._reader.close()
