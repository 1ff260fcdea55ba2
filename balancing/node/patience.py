"""Bounds on waiting for somebody who stops or drips: reading a request's body, and a whole exchange with a node."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from typing import Any

SILENCE = 30.0
"""Seconds without a byte."""
LEAST_PACE = 64 * 1024
"""Bytes per second below which, after the time of grace, a body ends early."""
GRACE = 60.0


@contextmanager
def bounded(environ: dict[str, Any], size: int, *, silence: float = SILENCE) -> Iterator[None]:
    """Within it a read raises TimeoutError after `silence` seconds, and a body that takes too long ends early.

    Needs the connection, which gunicorn puts into the environment (its threads would wait for ever); other servers
    have time limits of their own.
    """
    connection: socket.socket | None = environ.get("gunicorn.socket")
    if connection is None:
        yield
        return
    before = connection.gettimeout()
    watch = _watch(GRACE + size / LEAST_PACE, connection, socket.SHUT_RD, threading.Event())
    connection.settimeout(silence)
    try:
        yield
    finally:
        watch.cancel()
        with suppress(OSError):
            connection.settimeout(before)


@contextmanager
def deadline(connection: HTTPConnection, seconds: float) -> Iterator[None]:
    """End the connection when the block lasts longer; a time-out for each read alone lets a node drip for ever.

    Ends with TimeoutError instead of the error that the broken connection causes.
    """
    connection.connect()
    over = threading.Event()
    watch = _watch(seconds, connection.sock, socket.SHUT_RDWR, over)
    try:
        yield
    except Exception as error:
        if over.is_set():
            raise _too_long(seconds) from error
        raise
    finally:
        watch.cancel()
    if over.is_set():  # a head that breaks off reads like one that ends
        raise _too_long(seconds)


def _too_long(seconds: float) -> TimeoutError:
    return TimeoutError(f"The answer took more than {seconds:.0f} seconds.")


def _watch(seconds: float, connection: socket.socket, how: int, over: threading.Event) -> threading.Timer:
    watch = threading.Timer(seconds, _end, [connection, how, over])
    watch.daemon = True
    watch.start()
    return watch


def _end(connection: socket.socket, how: int, over: threading.Event) -> None:
    over.set()
    with suppress(OSError):
        connection.shutdown(how)
