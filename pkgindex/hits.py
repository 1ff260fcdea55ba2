"""Hits answered before Django: what a process has ready is sent for one round trip to Redis and no SQL.

Most of what a hit costs in Django is what surrounds a view: request and response objects, URL resolving, eleven
middlewares. Each way decides from the environment of WSGI, by the functions that its view uses too. Wherever anything
is not plain (credentials to be looked up, a refusal, an error, a redirect, a session, a page to be built, an unusual
header) Django answers, as it would have done anyway. `tests/simple/test_hits.py` and `tests/downloads/test_hits.py`
show that both give the same answers.

Any WSGI server can call `Hits`. Our own worker (`pkgindex.worker`) asks `at_once` first, for all the requests that have
come in meanwhile, and calls with those that were not answered.
"""

import atexit
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic, perf_counter
from typing import Any

from django.db import close_old_connections

from pkgindex import metrics, nearcache
from pkgindex.downloads import hits as files
from pkgindex.nearcache import Missing
from pkgindex.shortway import Application, Asked, Environ, Reply, Start, Way, again
from pkgindex.simple import hits as pages
from pkgindex.tally import Tally
from pkgindex.throttles import HELD
from pkgindex.worker import DECIDED, LINES
from throttling import delays, plans, store, take
from throttling.decision import Decision
from throttling.lines import Verb

WAYS: tuple[Way, ...] = (pages.asked, files.asked)
GATHERINGS = 6  # round trips for what is missing: a file or a sender tells what else is, and pages come a few at a time

log = logging.getLogger(__name__)


class Hits:
    """WSGI middleware: answers hits, and leaves everything else to `django`."""

    def __init__(self, django: Application) -> None:
        self._django = django
        self._tally = Tally()
        atexit.register(self._tally.flush)
        self._asked = 0.0  # when somebody asked last, on the monotonic clock

    def __call__(self, environ: Environ, start_response: Start) -> Iterable[bytes]:
        """Serve one request; it may wait, for Redis and as long as limits hold it back."""
        began = perf_counter()
        reply = _guarded(environ)
        if reply is None:
            return self._django(environ, start_response)
        metrics.note(reply.scope, reply.status, perf_counter() - began, reply.decisions)
        if reply.charged:
            metrics.download_bytes.inc(reply.charged)
        start_response(LINES[reply.status], reply.fields)
        return reply.body

    def at_once(self, environs: Sequence[Environ]) -> list[Reply | None]:
        """The answers that need nothing but a few round trips for all together; None for the other requests.

        Those are to be called with, in the same environment or with its `DECIDED`, by a thread that may wait.
        """
        began, self._asked = perf_counter(), monotonic()
        # While Redis is away a decision may have to wait for it.
        replies: list[Reply | None] = _at_once(environs) if store.is_well() else [None] * len(environs)
        self._tally.add(replies, perf_counter() - began)
        return replies

    def upkeep(self) -> None:
        """Do what no request is to wait for; for a thread, once a second. After a pause it only counts."""
        self._tally.flush()
        if monotonic() - self._asked >= nearcache.LATELY:
            return
        try:
            with _fresh_connections():
                plans.look_if_due()
                plans.confirm()
                nearcache.renew()
        except Exception:
            # Nobody waits for this thread, so nobody else would tell; without it requests look up what they need.
            log.exception("what is asked for lately could not be renewed; requests do that")


def _guarded(environ: Environ) -> Reply | None:
    try:
        return _waiting(environ)
    except Exception:
        # A fault of the short way must not become one of the service: the long way is open.
        log.exception("a request was not answered the short way")
        return None


def _waiting(environ: Environ) -> Reply | None:
    plans.look_if_due()
    asked, decision = environ.pop(DECIDED, None) or (_looked_up(environ), None)
    if asked is None:
        return None
    question = asked.question
    if decision is None:
        decision = take.decide_all((question,))[0]
    take.follow_up(question, decision)
    charged = question.verb is Verb.TAKE
    decision = delays.hold_back(decision, question.caller, charged=charged)
    if charged:
        environ[HELD] = decision
    return asked.reply(decision, environ)


def _looked_up(environ: Environ) -> Asked | None:
    """What it asks for, by what is found out about its sender and its index where that is not known.

    Whoever shows no credentials could ask for ever new names: for them limits come first, and so Django.
    """
    missing: Missing = []
    asked = _asked(environ, missing)
    if asked is not None or not missing or "HTTP_AUTHORIZATION" not in environ:
        return asked
    with _fresh_connections():
        nearcache.look_up(missing)
    return _asked(environ, [])


@contextmanager
def _fresh_connections() -> Iterator[None]:
    """As Django has them: to the database, before and after each request."""
    close_old_connections()
    try:
        yield
    finally:
        close_old_connections()


def _at_once(environs: Sequence[Environ]) -> list[Reply | None]:
    plans.confirm()
    every = _all_asked(environs)
    plain = [(place, asked) for place, asked in enumerate(every) if asked is not None]
    replies: list[Reply | None] = [None] * len(environs)
    for (place, asked), decision in zip(plain, take.decide_all([asked.question for _, asked in plain]), strict=True):
        replies[place] = _reply(asked, decision, environs[place])
    return replies


def _all_asked(environs: Sequence[Environ]) -> list[Asked | None]:
    """What each asks for, by what this process knows or others have left in Redis."""
    missing: Missing = []
    every = [_asked(environ, missing) for environ in environs]
    sought: set[Any] = set()
    for _ in range(GATHERINGS):
        missing = [one for one in missing if one not in sought]
        if not missing or not nearcache.gather(missing):
            break
        sought |= set(missing)
        missing = []
        every = [asked or _asked(environ, missing) for environ, asked in zip(environs, every, strict=True)]
    return every


def _reply(asked: Asked, decision: Decision, environ: Environ) -> Reply | None:
    """The answer; where there is none yet the decision is kept for whoever calls, since it is charged already."""
    if asked.question.verb is Verb.TAKE:
        environ[DECIDED] = asked, decision
    return asked.reply(decision, environ) if decision.is_smooth and asked.is_settled(decision) else None


def _asked(environ: Environ, missing: Missing) -> Asked | None:
    before = again(environ, missing)
    if before is not None:
        return before
    for way in WAYS:
        asked = way(environ, missing)
        if asked is not None:
            return asked
    return None
