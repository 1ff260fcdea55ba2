"""What the ways past Django have in common: requests as WSGI hands them over, and answers before they are sent.

A short way makes the same decisions as its view, by the same functions, from what this process knows already and one
question to Redis. First it says what the request asks for, then what is answered to that once limits have decided.
Either is None wherever something is not plain, and Django answers instead: with the decision about limits that was
made, if there is one (`pkgindex.throttles.HELD`), so that one request is charged once.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, NamedTuple, Protocol, TypeVar

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port, validate_host
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.security import SecurityMiddleware

from pkgindex.accounts.roles import Who
from pkgindex.clientip import resolve
from pkgindex.nearcache import Missing
from pkgindex.throttles import as_caller
from pkgindex.worker import FIELDS, SAME
from throttling import plans
from throttling.decision import Decision
from throttling.subjects import Caller
from throttling.take import Question

# What only Django understands: sessions, preconditions other than If-None-Match, other names for the host.
UNUSUAL = frozenset({"HTTP_COOKIE", "HTTP_IF_MATCH", "HTTP_IF_UNMODIFIED_SINCE", "HTTP_X_FORWARDED_HOST", "SCRIPT_URL"})

Environ = dict[str, Any]
Start = Callable[..., Any]
Application = Callable[[Environ, Start], Iterable[bytes]]
Fields = list[tuple[str, str]]


class Reply(NamedTuple):
    """An answer of the short way, and what is counted of it; `charged` is bytes of a file."""

    status: int
    fields: Fields
    body: Iterable[bytes]
    scope: str
    decisions: list[Decision]
    charged: int = 0


class Asked(Protocol):
    """What a request asks for, of which this process has everything but the decision about limits."""

    @property
    def question(self) -> Question:
        """What limits are asked."""

    def is_settled(self, decision: Decision) -> bool:
        """Whether `reply` has nobody left to ask."""

    def reply(self, decision: Decision, environ: Environ) -> Reply | None:
        """The answer; None where Django must answer."""


class Known(Protocol):
    """What a way has found out about a request, and what that was concluded from."""

    def asked(self, environ: Environ, missing: Missing) -> Asked | None:
        """What the same request asks for; None where something has changed, or is not known any more."""


Way = Callable[[Environ, Missing], Asked | None]
V = TypeVar("V")


def of_fields(environ: Environ, find: Callable[[Environ], V]) -> V:
    """What `find` says of header fields and the connection's address: asked once where many requests share them.

    `find` may not look at If-None-Match, the one field that they do not share.
    """
    known = environ.get(FIELDS)
    if known is None:
        return find(environ)
    if find not in known:
        known[find] = find(environ)
    found: V = known[find]
    return found


def remember(environ: Environ, known: Known) -> None:
    """Keep what was found out about a request for the next one with the same bytes."""
    if SAME in environ:
        environ[SAME][Known] = known


def again(environ: Environ, missing: Missing) -> Asked | None:
    """What the request asks for, where one with the same bytes came before and nothing has changed."""
    known: Known | None = environ[SAME].get(Known) if SAME in environ else None
    return known.asked(environ, missing) if known else None


def is_plain(environ: Environ, methods: frozenset[str]) -> bool:
    """True where the request has nothing that only Django can answer, and the limits are known."""
    if environ["REQUEST_METHOD"] not in methods or environ.get("QUERY_STRING"):
        return False
    return of_fields(environ, _is_usual) and plans.is_fresh()


def sender_of(environ: Environ, who: Who) -> Caller:
    """Who sends the request, as limits know them."""
    known = environ.get(FIELDS, {})
    held: tuple[Who, Caller] | None = known.get(sender_of)
    if held is None or held[0] is not who:
        peer, forwarded = environ.get("REMOTE_ADDR", ""), environ.get("HTTP_X_FORWARDED_FOR", "")
        held = known[sender_of] = who, as_caller(who, resolve(peer, forwarded, settings.TRUSTED_PROXIES))
    return held[1]


def framed(fields: dict[str, str], scheme: str) -> Fields:
    """The fields of an answer together with those that Django's own middlewares add to every one."""
    request = HttpRequest()
    request.META = {"wsgi.url_scheme": scheme}
    response = HttpResponse()
    del response["Content-Type"]
    for name, value in fields.items():
        response[name] = value
    for middleware in (XFrameOptionsMiddleware, SecurityMiddleware):
        response = middleware(lambda _: HttpResponse()).process_response(request, response)
    return list(response.items())


def file_body(environ: Environ, window: Any, block_bytes: int) -> Iterable[bytes]:
    """The bytes of a window: by the server's sendfile where it has one."""
    wrapper = environ.get("wsgi.file_wrapper")
    body: Iterable[bytes] = wrapper(window, block_bytes) if wrapper else window
    return body


def _is_usual(environ: Environ) -> bool:
    if settings.FORCE_SCRIPT_NAME or environ.get("SCRIPT_NAME"):
        return False
    if not UNUSUAL.isdisjoint(environ) and any(environ.get(name) for name in UNUSUAL):
        return False
    return _is_host(environ.get("HTTP_HOST", ""), tuple(settings.ALLOWED_HOSTS))


@lru_cache(maxsize=256)  # for servers that share no fields between requests
def _is_host(host: str, allowed: tuple[str, ...]) -> bool:
    domain, _ = split_domain_port(host)
    return bool(domain) and validate_host(domain, allowed)
