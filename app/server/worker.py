"""A gunicorn worker: one event loop, requests answered inline, long ones in a few threads.

gunicorn's own threaded worker hands every request to another thread, which costs more than most
predictions. Here one thread waits for all sockets, reads, answers and sends; only what is expected to
take long (a large body, a model that was measured to be slow) goes to a thread, so that the rest keeps
its latency. Sockets never block: a slow client holds a connection, not a thread.

``worker_class = "app.server.worker.EventWorker"``.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import time
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from gunicorn.config import PostRequest, PreRequest
from gunicorn.workers.base import Worker

from app import door, wire
from app.paths import Target
from app.server.clients import Clients
from app.server.connection import Connection, Patience
from app.server.hotpath import HotPath
from app.server.http1 import Limits, Refusal, Request
from app.server.jobs import Job, Jobs
from app.server.pace import Pace
from app.server.wsgi import Response, Serialiser, call_app, make_environ, status_line
from app.service import Reply

log = logging.getLogger(__name__)

_SWEEP_SECONDS = 0.25


class EventWorker(Worker):  # type: ignore[misc]  # gunicorn ships no types
    """One event loop for all connections of the process."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.retiring = False
        self.next_sweep = 0.0
        self.serialiser = Serialiser()
        self.pace = Pace()

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Refuse what this worker does not do."""
        if cfg.is_ssl:
            raise SystemExit("error: this worker speaks no TLS; let nginx do that, or set WORKER_CLASS=gthread")

    def init_process(self) -> None:
        """Prepare what belongs to this process alone, then run."""
        self.selector = selectors.DefaultSelector()
        super().init_process()

    def handle_winch(self, sig: int, frame: Any) -> None:
        """Retire: take no new connections, close each with its next reply, and stop once the last one is gone.

        :mod:`app.server.sharing` asks for it, to put a worker in the place that shares the models' memory. A
        connection that idles is left until it has idled long enough, so that no request meets a closed one.
        """
        self.retiring = True

    def handle_quit(self, sig: int, frame: Any) -> None:
        """Stop at once, without waiting for what is in flight."""
        self.alive = False
        self.cfg.worker_int(self)
        os._exit(0)

    # The loop

    def run(self) -> None:
        """Answer until told to stop, then finish what is in flight."""
        self.prepare()
        while self.alive:
            self.turn(_SWEEP_SECONDS)
            if self.retiring:
                self.clients.listen(on=False)
                if not self.clients and not self.jobs:
                    break
            if self.ppid != os.getppid():
                log.info("the master is gone; stopping")
                break
        self.drain()

    def prepare(self) -> None:
        """Read the configuration once, and listen."""
        cfg = self.cfg
        extensions = getattr(self.wsgi, "extensions", {})
        self.service = extensions.get("service")
        self.hot = HotPath(self.service, extensions["metrics"]) if self.service else None
        settings = self.service.settings if self.service else None
        deadline = settings.request_timeout if settings else float(cfg.timeout)
        self.jobs = Jobs(cfg.threads, settings.max_queue if settings else cfg.backlog, deadline, self.end_wait)
        limits = Limits(
            line=cfg.limit_request_line,
            headers=cfg.limit_request_fields,
            header=cfg.limit_request_field_size,
            body=settings.max_body_bytes if settings else Limits().body,
        )
        self.clients = Clients(
            self.selector,
            [listener.sock for listener in self.sockets],
            cfg.worker_connections,
            limits,
            Patience(idle=float(cfg.keepalive)),
        )
        self.hooked = cfg.pre_request is not PreRequest.pre_request or cfg.post_request is not PostRequest.post_request
        os.set_blocking(self.PIPE[0], False)
        self.selector.register(self.PIPE[0], selectors.EVENT_READ, self.wake_up)
        self.clients.listen(on=True)

    def turn(self, timeout: float) -> None:
        """Wait for sockets once, read what has come, answer what is whole."""
        for key, events in self.selector.select(timeout):
            if isinstance(key.data, Connection):
                self.clients.serve(key.data, events)
            else:
                key.data(key.fileobj)
        for job in self.jobs.finished():
            self.finish_job(job)
        self.answer_ready()
        now = time.monotonic()
        if now >= self.next_sweep:
            self.next_sweep = now + _SWEEP_SECONDS
            self.sweep(now)

    def sweep(self, now: float) -> None:
        """End what has taken too long, and tell the master that the loop is alive."""
        self.notify()
        for job in self.jobs.overdue(now):
            detail = f"the answer was not ready within {self.jobs.deadline:g} seconds"
            self.reply_problem(job.connection, HTTPStatus.GATEWAY_TIMEOUT, detail, job.request)
        for connection in self.clients.overdue(now):
            if connection.half_read() and not connection.lingering and not connection.unsent:
                self.reply_problem(connection, HTTPStatus.REQUEST_TIMEOUT, "the request did not come in time")
            else:
                self.clients.drop(connection)
        if self.alive and not self.retiring:
            self.clients.listen_again(now)

    def drain(self) -> None:
        """Take no new connections, finish what is in flight, and close."""
        self.clients.listen(on=False)
        end = time.monotonic() + self.cfg.graceful_timeout
        # What lies in the sockets already was sent before anybody could know.
        self.turn(0)
        self.clients.stop_listening()  # refused at once is better than waiting for nobody
        while time.monotonic() < end:
            self.clients.drop_idle()
            if not self.clients and not self.jobs:
                break
            self.turn(0.05)
        self.clients.drop_all()
        self.jobs.stop()

    def wake_up(self, pipe: int) -> None:
        """Empty the pipe by which signals and threads end the wait."""
        with contextlib.suppress(BlockingIOError):
            os.read(pipe, 4096)

    def end_wait(self) -> None:
        """End the loop's wait, from another thread."""
        # A pipe that is full ends it anyway.
        with contextlib.suppress(BlockingIOError):
            os.write(self.PIPE[1], b"\0")

    # Requests

    def answer_ready(self) -> None:
        """Answer what is whole: each connection's first request, until none is left or all take a thread.

        Predictions that are whole in the same turn of the loop are answered together: those that ask the same
        may share a call of the engine, and nobody waits for company.
        """
        ready = self.clients.ready
        while ready:
            together: list[tuple[Connection, Request, Target]] = []
            for connection in [ready.popleft() for _ in range(len(ready))]:
                asked = self.take_next(connection)
                if asked is not None:
                    together.append(asked)
            if together:
                self.answer_together(together)

    def take_next(self, connection: Connection) -> tuple[Connection, Request, Target] | None:
        """Take a connection's next request; a short prediction is returned, anything else is answered here."""
        if connection.busy or connection.closing or not connection.waiting or connection not in self.clients:
            return None
        request = connection.waiting.popleft()
        if isinstance(request, Refusal):
            self.reply_problem(connection, request.status, request.detail, request, request.headers)
            return None
        target = self.hot.find(request) if self.hot else None
        if not self.is_short(request, target):
            self.start_job(connection, request, target)
        elif target is not None:
            return connection, request, target
        else:
            started = time.perf_counter()
            self.reply(connection, request, self.respond(request, None, connection.client), started)
            self.clients.go_on(connection)
        return None

    def answer_together(self, asked: list[tuple[Connection, Request, Target]]) -> None:
        """Answer short predictions inline."""
        assert self.hot is not None  # noqa: S101  # without it there are no targets
        started = time.perf_counter()
        if self.hooked:
            responses = [self.respond(request, target, connection.client) for connection, request, target in asked]
        else:
            replies = self.hot.answer_all([(target, request) for _, request, target in asked])
            responses = [_as_response(reply) for reply in replies]
            spent = self.fair_seconds(started) / len(asked)
            for _, request, target in asked:
                self.pace.note(request, target, spent)
        for (connection, request, _), response in zip(asked, responses, strict=True):
            self.reply(connection, request, response, started)
            self.clients.go_on(connection)

    def is_short(self, request: Request, target: Target | None) -> bool:
        """Tell whether a request may be answered inline: expected to be short, and with nothing to wait for."""
        if target is None or self.service is None:
            return self.pace.is_short(request, target)
        if not self.service.is_loaded(target.model, target.version):
            return False
        return self.pace.is_short(request, target, self.measured)

    def measured(self, target: Target) -> float:
        """Return what one row took when the model was saved, in seconds."""
        return self.service.row_seconds(target.method, target.model, target.version) if self.service else 0.0

    def fair_seconds(self, started: float) -> float:
        """Return the seconds since `started`, shared among those who had the interpreter in turns meanwhile.

        Otherwise whatever waits beside long requests would look long itself, and never be answered inline again.
        """
        return (time.perf_counter() - started) / (1 + self.jobs.running)

    def respond(self, request: Request, target: Target | None, client: tuple[str, str]) -> Response:
        """Answer a request, in whichever thread; never raises."""
        if self.hooked:
            self.cfg.pre_request(self, request)
        environ: dict[str, Any] | None = None
        started = time.perf_counter()
        try:
            if target is not None and self.hot is not None:
                response = _as_response(self.hot.answer(target, request))
            else:
                environ = make_environ(request, self.server_name(), client)
                response = call_app(self.wsgi, environ)
        except Exception as error:
            asked = f"{request.method} {request.target.decode('latin-1')}"
            dialect = self.dialect_of(request.target)
            response = _as_response(door.error_reply(error, asked, door.request_id(request.header), dialect))
        self.pace.note(request, target, self.fair_seconds(started))
        if self.hooked:
            self.cfg.post_request(self, request, environ or {}, response)
        return response

    def server_name(self) -> tuple[str, str]:
        """Return the host and port that the first listener is bound to; empty for a unix socket."""
        name = self.sockets[0].getsockname()
        return (str(name[0]), str(name[1])) if isinstance(name, tuple) else ("", "")

    def start_job(self, connection: Connection, request: Request, target: Target | None) -> None:
        """Answer a request in a thread; the connection waits for it."""
        if self.jobs.full:
            detail = "more requests are waiting than this service takes on; try again shortly"
            self.reply_problem(connection, HTTPStatus.SERVICE_UNAVAILABLE, detail, request, {"Retry-After": "1"})
            return
        job = self.jobs.start(connection, request, lambda: self.respond(request, target, connection.client))
        self.clients.hold(connection, job.until)

    def finish_job(self, job: Job) -> None:
        """Send what a thread has answered."""
        if job.connection not in self.clients or job.response is None:
            return
        job.connection.busy = False
        self.reply(job.connection, job.request, job.response, job.started)
        self.clients.go_on(job.connection)

    # Replies

    def reply(self, connection: Connection, request: Request, response: Response, started: float) -> None:
        """Send a response, and log it."""
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            log.info("%d requests answered; a fresh worker takes over", self.nr)
            self.alive = False
        keep_alive = request.keep_alive and self.alive and not self.retiring
        data = self.serialiser.serialise(response, request, keep_alive=keep_alive)
        self.clients.send(connection, data, close=not keep_alive)
        if self.log.access_log_enabled:
            environ = make_environ(request, self.server_name(), connection.client)
            self.log.access(response, request, environ, timedelta(seconds=time.perf_counter() - started))

    def reply_problem(
        self,
        connection: Connection,
        status: HTTPStatus,
        detail: str,
        asked: Request | Refusal | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Answer what the app does not see with an error, in the dialect of who has asked, and close."""
        request = asked if isinstance(asked, Request) else None
        request_id = door.request_id(request.header if request else lambda _: "")
        dialect = self.dialect_of(asked.target if asked else b"")
        reply = door.status_reply(status, detail, request_id, {**(headers or {}), "X-Request-Id": request_id}, dialect)
        response = _as_response(reply)
        connection.waiting.clear()
        connection.busy = False
        data = self.serialiser.serialise(response, request, keep_alive=False)
        self.clients.send(connection, data, close=True)

    def dialect_of(self, target: bytes) -> str:
        """Return the dialect in which whoever asks for `target` reads an error."""
        return self.hot.dialect_of(target) if self.hot else wire.OWN


def _as_response(reply: Reply) -> Response:
    headers = [("Content-Type", reply.content_type), ("Content-Length", str(len(reply.body))), *reply.headers.items()]
    return Response(status_line(reply.status), headers, reply.body)
