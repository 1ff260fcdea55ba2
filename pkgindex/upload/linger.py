"""Answering before the body was read, so that the client gets the answer.

A client that is busy sending looks for the answer only afterwards. If the server closed the connection with bytes
unread, the client's kernel would report a reset and the answer would be lost: twine and uv would say "connection
reset" instead of our sentence. So the answer is written at once, and then the rest of the body is read and thrown
away, within bounds: what nginx calls a lingering close.
"""

import logging
from contextlib import suppress
from typing import Any

from django.http import HttpRequest, HttpResponse

from pkgindex.upload.patience import bounded

LINGER_SILENCE = 2.0  # seconds without a byte
LINGER_SECONDS = 10.0  # altogether; a thread of the server is held for so long
LINGER_BYTES = 1 << 30
PIECE = 64 << 10  # bytes

log = logging.getLogger(__name__)


class LingeringResponse(HttpResponse):
    """A whole answer, after which the request's unread body is discarded.

    The server calls `close` once everything is written, so a client that sends only headers has its answer by then.
    """

    def __init__(self, request: HttpRequest, content: str | bytes, **options: Any) -> None:
        super().__init__(content, **options)
        self._request = request

    def close(self) -> None:
        """End the request for Django, which gives the database connection back, and only then wait for the client."""
        super().close()
        with suppress(OSError, ValueError):  # a client that is gone, or a body that was broken: nothing to wait for
            _discard(self._request)


def _discard(request: HttpRequest) -> None:
    environ = request.META
    # A chunked body has no Content-Length for Django to count; where the server marks its end, it is read directly.
    source = environ["wsgi.input"] if environ.get("wsgi.input_terminated") else request
    left = LINGER_BYTES
    with bounded(environ, silence=LINGER_SILENCE, total=LINGER_SECONDS):
        while left > 0:
            piece = source.read(min(PIECE, left))
            if not piece:
                return
            left -= len(piece)
    log.info("A refused upload went on for more than %d bytes; its connection is cut", LINGER_BYTES)
