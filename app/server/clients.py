"""The clients of a worker: who is connected, who is watched for what, and who has a request that is whole."""

from __future__ import annotations

import errno
import logging
import selectors
import socket
import time
from collections import deque
from collections.abc import Sequence

from app.server.connection import Connection, Patience
from app.server.http1 import Limits

log = logging.getLogger(__name__)

_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
# Replies that a client does not take: beyond this nothing more is read from it.
_MOST_UNSENT = 1024 * 1024
_PAUSE_SECONDS = 1.0
# Bodies that are not whole yet: as much as so many of the largest are kept for all clients together.
_MOST_LARGE_BODIES = 16


class Clients:
    """The connections of one event loop; every method is for the loop's own thread.

    Parameters
    ----------
    selector
        What the loop waits with. Its keys' data are a connection, or a function of the file that is ready.
    listeners
        The sockets that clients connect to.
    most
        How many may be connected at once.
    limits, patience
        What each may send, and how long it may take.

    Attributes
    ----------
    ready: connections with a request that is whole, in the order in which they came.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        listeners: Sequence[socket.socket],
        most: int,
        limits: Limits,
        patience: Patience,
    ) -> None:
        self.ready: deque[Connection] = deque()
        self._selector = selector
        self._listeners = listeners
        self._most = most
        self._limits = limits
        self._patience = patience
        self._connections: set[Connection] = set()
        self._held = 0
        self._accepting = False
        self._accept_again = 0.0

    def __len__(self) -> int:
        """Return how many are connected."""
        return len(self._connections)

    def __contains__(self, connection: Connection) -> bool:
        """Tell whether a client is still connected."""
        return connection in self._connections

    def listen(self, *, on: bool) -> None:
        """Accept connections, or leave them to the other workers."""
        if on == self._accepting:
            return
        self._accepting = on
        for listener in self._listeners:
            if on:
                listener.setblocking(False)
                self._selector.register(listener, _READ, self._accept)
            else:
                self._selector.unregister(listener)

    def listen_again(self, now: float) -> None:
        """Accept connections again where there is room, and a pause for want of descriptors is over."""
        if not self._accepting:
            self.listen(on=now >= self._accept_again and len(self._connections) < self._most)

    def stop_listening(self) -> None:
        """Refuse connections for good."""
        self.listen(on=False)
        for listener in self._listeners:
            listener.close()

    def _accept(self, listener: socket.socket) -> None:
        """Accept one connection; the next turn takes the next, so that workers share a rush."""
        try:
            sock, address = listener.accept()
        except OSError as fault:
            if fault.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                log.error("no more connections can be accepted for now: %s", fault)
                self._accept_again = time.monotonic() + _PAUSE_SECONDS
                self.listen(on=False)
            return
        sock.setblocking(False)
        inet = sock.family != socket.AF_UNIX
        if inet:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = (str(address[0]), str(address[1])) if inet else ("", "")
        connection = Connection(sock, client, self._limits, self._patience, time.monotonic())
        self._connections.add(connection)
        self._watch(connection)
        if len(self._connections) >= self._most:
            self.listen(on=False)

    def serve(self, connection: Connection, events: int) -> None:
        """Send and receive what a connection can; it is ready where a request is whole."""
        now = time.monotonic()
        try:
            if events & _WRITE:
                connection.flush(now)
                self._settle(connection, now)
            if events & _READ and connection.events and not self._read(connection, now):
                self.drop(connection)
                return
        except OSError:
            self.drop(connection)
            return
        if connection.peer_done and not connection.busy and not connection.waiting:
            # The end of what it says stays readable for ever: what is left to send is all that is waited for.
            connection.closing = True
            self._settle(connection, now)
        elif not connection.busy:
            self.go_on(connection)

    def _read(self, connection: Connection, now: float) -> bool:
        """Read what has come, and give up a body that there is no room for; returns whether there is more to do."""
        before = connection.held
        of_use = connection.read(now)
        self._held += connection.held - before
        if connection.held and self._held > _MOST_LARGE_BODIES * self._limits.body:
            self._held -= connection.held
            connection.give_up()
        return of_use

    def go_on(self, connection: Connection) -> None:
        """Put a connection with more to answer back in the row."""
        if connection.waiting:
            self.ready.append(connection)

    def send(self, connection: Connection, data: bytes, *, close: bool) -> None:
        """Send bytes to a client; `close` ends the connection once it has them."""
        now = time.monotonic()
        connection.closing = connection.closing or close
        try:
            connection.send(data, now)
        except OSError:
            self.drop(connection)
            return
        if not connection.unsent:
            connection.rest(now)
        self._settle(connection, now)

    def hold(self, connection: Connection, until: float) -> None:
        """Read nothing more of a client before one of its requests is answered elsewhere, until then."""
        connection.busy = True
        connection.rest(until)
        self._watch(connection)

    def overdue(self, now: float) -> list[Connection]:
        """Return those whose patience has ended."""
        return [late for late in self._connections if late.until is not None and now >= late.until]

    def drop_idle(self) -> None:
        """Close those to whom nothing is owed."""
        for connection in [idle for idle in self._connections if idle.idle and not idle.lingering]:
            self.drop(connection)

    def drop_all(self) -> None:
        """Close every connection."""
        for connection in list(self._connections):
            self.drop(connection)

    def drop(self, connection: Connection) -> None:
        """Close a connection at once."""
        if connection not in self._connections:
            return
        self._connections.discard(connection)
        self._held -= connection.held
        if connection.events:
            self._selector.unregister(connection)
            connection.events = 0
        connection.close()

    def _settle(self, connection: Connection, now: float) -> None:
        """Watch on, or close where the last reply is out."""
        if connection.closing and not connection.unsent and not connection.lingering and not connection.finish(now):
            self.drop(connection)
        elif connection.fileno() >= 0:
            self._watch(connection)

    def _watch(self, connection: Connection) -> None:
        """Wait for what can happen next on a connection."""
        events = _WRITE if connection.unsent else 0
        if not connection.busy and connection.unsent < _MOST_UNSENT and not connection.peer_done:
            events |= _READ
        if events == connection.events:
            return
        if connection.events == 0:
            self._selector.register(connection, events, connection)
        elif events == 0:
            self._selector.unregister(connection)
        else:
            self._selector.modify(connection, events, connection)
        connection.events = events
