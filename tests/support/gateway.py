"""Asking an application as a WSGI server does."""

import re
from typing import Any

from django.test import RequestFactory

from pkgindex.hits import Hits
from pkgindex.worker import DECIDED, LINES, SAME


def environ_of(path: str, **more: str) -> dict[str, Any]:
    """The environment of a GET."""
    return RequestFactory()._base_environ(PATH_INFO=path) | {"HTTP_HOST": "testserver"} | more


def ask(application: Any, environ: dict[str, Any]) -> tuple[str, dict[str, str], bytes]:
    """Status, header fields and body; what remains of limits is left out, since asking changes it."""
    status, found, body = _exchange(application, environ)
    return status, {name: re.sub(r";[rt]=\d+", "", value) for name, value in found.items()}, body


def at_once(application: Any) -> Any:
    """The application as our worker's loop asks it; what it does not answer at once is a failure."""

    def ask_at_once(environ: dict[str, Any], start_response: Any) -> Any:
        (reply,) = application.at_once([environ])
        assert reply is not None, "not answered at once"
        start_response(LINES[reply.status], reply.fields)
        return reply.body

    return ask_at_once


def as_worker(application: Any) -> Any:
    """The application as our worker asks it: at once, else by a thread, which gets what was decided alone."""

    def ask_both(environ: dict[str, Any], start_response: Any) -> Any:
        mine = dict(environ)
        (reply,) = application.at_once([mine])
        if reply is None:
            return application(environ | {k: v for k, v in mine.items() if k == DECIDED}, start_response)
        start_response(LINES[reply.status], reply.fields)
        return reply.body

    return ask_both


def left_after(application: Any, environ: dict[str, Any], limit: str) -> int:
    """What is left of the limit of that name, as the answer says."""
    field = _exchange(application, environ)[1]["ratelimit"]
    found = re.search(rf'"{limit}";r=(\d+)', field)
    assert found, field
    return int(found[1])


def _exchange(application: Any, environ: dict[str, Any]) -> tuple[str, dict[str, str], bytes]:
    seen: list[Any] = []
    answer = application(environ, lambda status, fields, *_: seen.extend((status, fields)))
    body = b"".join(answer)
    if hasattr(answer, "close"):
        answer.close()
    return seen[0], {name.lower(): value for name, value in seen[1]}, body


def nobody(*_: object) -> Any:
    """An application that is not to be asked."""
    raise AssertionError("Django was asked")


def worker(django: Any) -> Any:
    """Our worker with that application behind the short way."""
    return at_once(Hits(django)) if django is nobody else as_worker(Hits(django))


def remembering(django: Any) -> Any:
    """Our worker, which knows requests by their bytes."""
    inner = worker(django)

    return lambda environ, start_response: inner(environ | {SAME: found_out(environ)}, start_response)


def found_out(environ: dict[str, Any]) -> dict[Any, Any]:
    """What was found out about requests like this."""
    said = frozenset((name, value) for name, value in environ.items() if isinstance(value, str))
    return known.setdefault(said, {})


known: dict[Any, dict[Any, Any]] = {}  # what was found out about each request
GATES = {"called": Hits, "our worker": worker, "our worker, remembering": remembering}
