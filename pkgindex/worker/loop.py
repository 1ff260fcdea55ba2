"""The worker class for gunicorn: `worker_class = "pkgindex.worker.loop.Worker"`.

It builds on the main loop of gunicorn's `gthread` (27.x; `tests/worker` runs the real thing). A connection waits in the
poller from its first byte on. What can be read there is read; requests that the application answers at once are
answered in the loop, and while a long answer is on its way its connection waits for the socket, not for a thread. For
the rest the bytes that were read are given back to gunicorn's parser, and a thread goes on as in `gthread`.
"""

import selectors
import socket
import time
from concurrent.futures import Future
from datetime import timedelta
from functools import partial
from typing import Any

from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER

from pkgindex.worker import DECIDED
from pkgindex.worker.connection import Connection
from pkgindex.worker.heads import Heads, head, is_begun, log_record
from pkgindex.worker.outgoing import Outgoing
from pkgindex.worker.sharing import SharingWorker

RECEIVED = 16_384  # bytes read at once; a longer request is not for the loop
TOGETHER = 64  # requests that share a round trip
BEAT = 1.0  # seconds between signs of life for the arbiter, which waits `timeout` for one, and between upkeeps
HOOKS = ("pre_request", "post_request")


class Worker(SharingWorker):
    """`gthread` that answers in its loop what the application has at once."""

    wsgi: Any

    def __init__(self, *words: Any, **named: Any) -> None:
        super().__init__(*words, **named)
        self._heads = Heads(self.cfg)
        self._sending: set[Connection] = set()
        self._decided: dict[socket.socket, Any] = {}
        self._next_beat = 0.0  # on the monotonic clock
        self._kept_up: Future[None] | None = None
        self._upkeep: Any = None

    def load_wsgi(self) -> None:
        """Load the application, and see whether it answers at once and our loop knows what is spoken."""
        super().load_wsgi()
        cfg = self.cfg
        hooked = any(cfg.settings[name].get() is not cfg.settings[name].default for name in HOOKS)
        plain = not (cfg.is_ssl or hooked or cfg.statsd_host) and cfg.proxy_protocol == "off" and cfg.protocol == "http"
        if plain and "h2" not in cfg.http_protocols and cfg.keepalive:
            self._at_once, self._upkeep = getattr(self.wsgi, "at_once", None), getattr(self.wsgi, "upkeep", None)
        self._application, self.wsgi = self.wsgi, self._call

    def _call(self, environ: dict[str, Any], start_response: Any) -> Any:
        decided = self._decided.pop(environ["gunicorn.socket"], None)
        if decided is not None:
            environ[DECIDED] = decided
        return self._application(environ, start_response)

    def notify(self) -> None:
        """Tell the arbiter that we live, which is a system call, and let a thread do what no request is to wait for."""
        now = time.monotonic()
        if now >= self._next_beat:
            self._next_beat = now + BEAT
            super().notify()
            if self._upkeep and self.alive and (self._kept_up is None or self._kept_up.done()):
                self._kept_up = self.tpool.submit(self._upkeep)

    def on_pending_socket_readable(self, conn: Any, client: Any) -> None:
        """The first bytes of a new connection."""
        if self._at_once is None:
            super().on_pending_socket_readable(conn, client)
        else:
            self._read(conn)

    def on_client_socket_readable(self, conn: Any, client: Any) -> None:
        """Another request over a kept connection."""
        if self._at_once is None:
            super().on_client_socket_readable(conn, client)
        else:
            self._read(conn)

    def _read(self, conn: Connection) -> None:
        # What comes while a request waits for its answer, were it the end, is met in the next turn.
        if conn.is_ready or self._hands_over(conn):
            return
        try:
            data = conn.sock.recv(RECEIVED)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(conn)
            return
        data, conn.early = conn.early + data, b""
        if is_begun(data) and len(data) < RECEIVED:
            conn.early = data  # the rest of the head may take its time without a thread
            return
        crowded = conn.fresh and len(self.keepalived_conns) >= self.max_keepalived
        plain = self.alive and not crowded  # else a thread answers and closes
        environ = self._heads.environ(data, conn.client, conn.server) if plain else None
        if environ is None:
            self._give_to_thread(conn, data)
        else:
            conn.is_ready = True
            self._ready.append((conn, data, environ))

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """One turn: gather what has come in, then answer it."""
        super().wait_for_and_dispatch_events(timeout)
        while self._ready:
            together, self._ready = self._ready[:TOGETHER], self._ready[TOGETHER:]
            began = time.perf_counter()
            replies = self._replies([environ for _, _, environ in together])
            for (conn, data, environ), reply in zip(together, replies, strict=True):
                conn.is_ready = False
                if reply is None:
                    conn.decided = environ.get(DECIDED)
                    self._give_to_thread(conn, data)
                    continue
                self._answer(conn, reply)
                if self.log.access_log_enabled:
                    self.log.access(*log_record(environ, reply), timedelta(seconds=time.perf_counter() - began))

    def _replies(self, environs: list[dict[str, Any]]) -> list[Any]:
        try:
            return list(self._at_once(environs))
        except Exception:
            # A fault of the short way must not become one of the service: threads answer.
            self.log.exception("requests were not answered at once")
            return [None] * len(environs)

    def _answer(self, conn: Connection, reply: Any) -> None:
        conn.active = time.monotonic()
        conn.out = Outgoing(head(reply.status, reply.fields), reply.body)
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False
        if not self._push(conn):
            return
        if conn.out is not None:
            self._leave_queues(conn)
            conn.fresh = False
            self._sending.add(conn)
            self.poller.modify(conn.sock, selectors.EVENT_WRITE, partial(self._on_writable, conn))
        elif conn.fresh:  # the poller watches it as it should: both callbacks read
            self._leave_queues(conn)
            self._await_next(conn)

    def _on_writable(self, conn: Connection, _client: Any) -> None:
        conn.active = time.monotonic()
        if self._push(conn) and conn.out is None:
            self._sending.discard(conn)
            self._await_next(conn)
            self.poller.modify(conn.sock, selectors.EVENT_READ, partial(self.on_client_socket_readable, conn))

    def _push(self, conn: Connection) -> bool:
        """Send what the socket takes; False where the connection is gone. When all is out, `conn.out` is None."""
        assert conn.out is not None  # noqa: S101 - of our own callers
        try:
            if conn.out.push(conn.sock):
                conn.out.close()
                conn.out = None
        except Exception as error:
            if not isinstance(error, OSError):
                self.log.exception("an answer could not be sent")
            self._drop(conn)
            return False
        return True

    def _await_next(self, conn: Connection) -> None:
        """Count it as one that waits for its next request."""
        conn.fresh = False
        conn.set_timeout()
        if not self.alive:
            conn.timeout = min(conn.timeout, time.monotonic() + STOP_KEEPALIVE_LINGER)
        self.keepalived_conns.append(conn)

    def _give_to_thread(self, conn: Connection, data: bytes) -> None:
        self.poller.unregister(conn.sock)
        self._leave_queues(conn)
        conn.fresh = False
        conn.early = data
        self.enqueue_req(conn)

    def handle(self, conn: Any) -> Any:
        """In a thread: go on with what the loop has read."""
        early, conn.early = getattr(conn, "early", b""), b""
        if early:
            conn.data_ready = True
            conn.init()
            conn.parser.unreader.unread(early)
            if conn.decided is not None:
                self._decided[conn.sock] = conn.decided
                conn.decided = None
        try:
            return super().handle(conn)
        finally:
            self._decided.pop(conn.sock, None)  # where no application was called
            conn.active = time.monotonic()

    def murder_keepalived(self, force: bool = False) -> None:
        """Close what has been silent for too long. Connections stay where they are queued while the loop answers them,
        so those that were busy since are queued again first.
        """  # noqa: D205 - one sentence
        now, queue = time.monotonic(), self.keepalived_conns
        if self._at_once and self.alive and not self._sending and not (queue and queue[0].timeout <= now) and not force:
            return  # in nearly every turn
        silent = []
        while self._at_once and self.alive and queue and queue[0].timeout <= now:
            conn = queue.popleft()
            ends = conn.active + self._keepalive
            if ends > now:
                conn.timeout = ends
                queue.append(conn)
            else:
                silent.append(conn)
        queue.extendleft(silent)
        super().murder_keepalived(force)
        for conn in [one for one in self._sending if force or one.active + self._keepalive <= now]:
            self._drop(conn)

    def _drop(self, conn: Connection) -> None:
        """Close a connection of the loop."""
        self._sending.discard(conn)
        self._forget(conn)
        if conn.out is not None:
            # Whoever counts bytes takes back what was not sent, which asks Redis: not in the loop.
            self.tpool.submit(conn.out.close)
            conn.out = None
