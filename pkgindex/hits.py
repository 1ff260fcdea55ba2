"""Hits answered before Django: what a process has ready is sent for one round trip to Redis and no SQL.

Most of what a hit costs in Django is what surrounds a view: request and response objects, URL resolving, eleven
middlewares. Each way decides from the environment of WSGI, by the functions that its view uses too. Wherever anything
is not plain (credentials to be looked up, a refusal, an error, a redirect, a session, a page to be built, an unusual
header) Django answers, as it would have done anyway. `tests/simple/test_hits.py` and `tests/downloads/test_hits.py`
show that both give the same answers.
"""

import logging
from collections.abc import Iterable
from time import perf_counter

from pkgindex import metrics
from pkgindex.downloads import hits as files
from pkgindex.shortway import Application, Environ, Reply, Start, Way
from pkgindex.simple import hits as pages

LINES = {200: "200 OK", 304: "304 Not Modified"}
WAYS: tuple[Way, ...] = (pages.answer, files.answer)

log = logging.getLogger(__name__)


class Hits:
    """WSGI middleware: answers hits, and leaves everything else to `django`."""

    def __init__(self, django: Application) -> None:
        self._django = django

    def __call__(self, environ: Environ, start_response: Start) -> Iterable[bytes]:
        """Serve one request."""
        began = perf_counter()
        reply = _first(environ)
        if reply is None:
            return self._django(environ, start_response)
        metrics.note(reply.scope, reply.status, perf_counter() - began, reply.decisions)
        if reply.charged:
            metrics.download_bytes.inc(reply.charged)
        start_response(LINES[reply.status], reply.fields)
        return reply.body


def _first(environ: Environ) -> Reply | None:
    try:
        for way in WAYS:
            reply = way(environ)
            if reply is not None:
                return reply
    except Exception:
        # A fault of the short way must not become one of the service: the long way is open.
        log.exception("a request was not answered the short way")
    return None
