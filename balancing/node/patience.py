"""Bounds on reading a request's body: gunicorn's threads would wait for ever for a sender that stops or drips."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

SILENCE = 30.0
"""Seconds without a byte."""
LEAST_PACE = 64 * 1024
"""Bytes per second below which, after the time of grace, a body ends early."""
GRACE = 60.0


@contextmanager
def bounded(environ: dict[str, Any], size: int) -> Iterator[None]:
    """Within it a silent read raises TimeoutError and a body that takes too long ends early.

    Needs the connection, which gunicorn puts into the environment; other servers have time limits of their own.
    """
    connection: socket.socket | None = environ.get("gunicorn.socket")
    if connection is None:
        yield
        return
    before = connection.gettimeout()
    watch = threading.Timer(GRACE + size / LEAST_PACE, _end_reading, [connection])
    watch.daemon = True
    watch.start()
    connection.settimeout(SILENCE)
    try:
        yield
    finally:
        watch.cancel()
        with suppress(OSError):
            connection.settimeout(before)


def _end_reading(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RD)
