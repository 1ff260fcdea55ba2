"""Bounds on reading from a client: how long it may say nothing, and how long the whole may take.

gunicorn's threads read a body without any time limit, so a client that stops in the middle would hold one for ever.
"""

import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from math import inf
from typing import Any


@contextmanager
def bounded(environ: Mapping[str, Any], *, silence: float, total: float) -> Iterator[None]:
    """Let reads of the request's body fail after `silence` seconds without a byte, and end after `total` seconds.

    A read that waits too long raises TimeoutError; when the whole takes too long, the body simply ends early. Needs
    the connection, which gunicorn puts into the environment; other servers have time limits of their own.
    """
    connection: socket.socket | None = environ.get("gunicorn.socket")
    if connection is None:
        yield
        return
    before = connection.gettimeout()
    # A limit on each read does not stop a client that drips one byte at a time; ending the connection's reading does.
    with _watch.over(connection, total):
        connection.settimeout(silence)
        try:
            yield
        finally:
            with suppress(OSError):
                connection.settimeout(before)


class Watch:
    """One thread of a process that ends the reading of connections in time: a thread each costs more than a form."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._ends: dict[object, tuple[float, socket.socket]] = {}
        self._awake_at = inf  # when the thread looks next, by time.monotonic(); never while there is no thread
        self._running = False

    @contextmanager
    def over(self, connection: socket.socket, seconds: float) -> Iterator[None]:
        """End the connection's reading after `seconds`, unless the block is left before."""
        end, ticket = time.monotonic() + seconds, object()
        with self._changed:
            if not self._running:
                threading.Thread(target=self._run, name="upload-watch", daemon=True).start()
                self._running = True
            elif end < self._awake_at:
                self._changed.notify()
            self._ends[ticket] = end, connection
        try:
            yield
        finally:
            # Under the lock, so that nothing is ended that others use by then. The thread sleeps on: should it find
            # nothing that is due, it looks for the next end, so most connections come and go without waking it.
            with self._changed:
                del self._ends[ticket]

    def _run(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                for end, connection in self._ends.values():
                    if end <= now:
                        _end_reading(connection)
                self._awake_at = min((end for end, _ in self._ends.values() if end > now), default=inf)
                self._changed.wait(None if self._awake_at == inf else self._awake_at - now)


def _end_reading(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RD)


_watch = Watch()


def _forget_thread() -> None:
    """A forked process has no threads but the one that forked, and perhaps a lock that another held."""
    global _watch  # noqa: PLW0603 - one a process
    _watch = Watch()


os.register_at_fork(after_in_child=_forget_thread)
