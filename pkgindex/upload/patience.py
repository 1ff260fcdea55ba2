"""Bounds on reading from a client: how long it may say nothing, and how long the whole may take.

gunicorn's threads read a body without any time limit, so a client that stops in the middle would hold one for ever.
"""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
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
    watch = threading.Timer(total, _end_reading, [connection])
    watch.daemon = True
    watch.start()
    connection.settimeout(silence)
    try:
        yield
    finally:
        watch.cancel()
        with suppress(OSError):
            connection.settimeout(before)


def _end_reading(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RD)
