"""Page hits answered before Django: what a process has ready is sent for one round trip to Redis and no SQL.

Most of what a hit costs in Django is what surrounds a view: request and response objects, URL resolving, eleven
middlewares. Here the same decisions are made from the environment of WSGI, by the functions that the view uses too:
who asks, whether they may read, what their limits say, which representation they want, whether it is still the newest.
Wherever any of this is not plain (credentials to be looked up, a refusal, an error, a redirect, a session, a page to be
built, an unusual header) Django answers, as it would have done anyway, and with the decision if there already is one.
`tests/simple/test_hits.py` shows that both give the same answers.
"""

import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from time import perf_counter
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port, validate_host
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.security import SecurityMiddleware
from django.utils.http import parse_etags

from pkgindex import metrics
from pkgindex.accounts.identity import sender_at_hand
from pkgindex.accounts.roles import Action, Verdict, Visibility, decide
from pkgindex.catalog.indexes import index_at_hand
from pkgindex.catalog.names import is_normalized
from pkgindex.clientip import resolve
from pkgindex.errors import ServiceError
from pkgindex.reading import page_fields
from pkgindex.simple import pagecache
from pkgindex.simple.lru import Ready
from pkgindex.simple.negotiate import OFFERS, Encoding, choose_encoding, choose_type, full_type
from pkgindex.simple.pagecache import PageKey
from pkgindex.simple.urls import INDEX
from pkgindex.throttles import HELD, as_caller, beside_of
from throttling import delays, headers, plans, take
from throttling.decision import Decision
from throttling.subjects import Caller

PATH = re.compile(rf"\A/{INDEX}?simple/(?:(?P<name>[^/]+)/)?\Z")
UNUSUAL = ("HTTP_COOKIE", "HTTP_IF_MATCH", "HTTP_IF_UNMODIFIED_SINCE", "HTTP_X_FORWARDED_HOST", "SCRIPT_URL")
LONGEST_FIELD = 400  # bytes of an Accept field whose meaning is remembered
SCOPE = "index"

Environ = dict[str, Any]
Start = Callable[..., Any]
Application = Callable[[Environ, Start], Iterable[bytes]]
Fields = list[tuple[str, str]]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a page that this process has ready; whether it is still the newest is not known yet."""

    page: PageKey
    ready: Ready
    sender: Caller
    fixed: Fields  # what the answer says whoever asks
    known: bool  # whether the client names the page's entity tag


@dataclass(frozen=True, slots=True)
class Hit:
    """What is sent. Without a decision it is a 304, which costs nothing."""

    ready: Ready
    fields: Fields
    decision: Decision | None


class Hits:
    """WSGI middleware: answers page hits, and leaves everything else to `django`."""

    def __init__(self, django: Application) -> None:
        self._django = django

    def __call__(self, environ: Environ, start_response: Start) -> Iterable[bytes]:
        """Serve one request."""
        began = perf_counter()
        try:
            asked = _asked(environ)
            hit = _answer(asked, environ) if asked else None
        except Exception:
            # A fault of the short way must not become one of the service: the long way is open.
            log.exception("a page was not answered the short way")
            hit = None
        if hit is None:
            return self._django(environ, start_response)
        whole = hit.decision is not None
        metrics.note(SCOPE, 200 if whole else 304, perf_counter() - began, [hit.decision] if hit.decision else [])
        start_response("200 OK" if whole else "304 Not Modified", hit.fields)
        return [hit.ready.body] if whole and environ["REQUEST_METHOD"] == "GET" else []


def _asked(environ: Environ) -> Asked | None:
    """What the request asks for; None where Django must answer."""
    place = PATH.match(environ["PATH_INFO"])
    if place is None or not _is_plain(environ) or not plans.is_fresh():
        return None
    name = place["name"] or ""
    index, who = index_at_hand(place["slug"] or ""), sender_at_hand(environ.get("HTTP_AUTHORIZATION", ""))
    wanted = _wanted(environ.get("HTTP_ACCEPT"), environ.get("HTTP_ACCEPT_ENCODING"))
    if index is None or who is None or wanted is None or not is_normalized(name):
        return None
    where = index.project_place(name) if name else index.place
    if decide(who, Action.READ, where) is not Verdict.ALLOW:
        return None
    page = PageKey(index.id, name, OFFERS[wanted[0]])
    ready = pagecache.at_hand(page, wanted[1])
    if ready is None or ready.path is not None:
        return None
    peer, forwarded = environ.get("REMOTE_ADDR", ""), environ.get("HTTP_X_FORWARDED_FOR", "")
    sender = as_caller(who, resolve(peer, forwarded, settings.TRUSTED_PROXIES))
    known = _names(environ.get("HTTP_IF_NONE_MATCH", ""), ready.etag)
    fixed = _fixed(index.visibility, environ["wsgi.url_scheme"], None if known else wanted)
    return Asked(page, ready, sender, fixed, known)


def _answer(asked: Asked, environ: Environ) -> Hit | None:
    """The answer, by one question to Redis: what limits say, and which version is the newest; or None, as above."""
    ask, ready = take.look if asked.known else take.take, asked.ready
    decision = ask(asked.sender, SCOPE, resource=environ["PATH_INFO"], beside=beside_of(asked.page.version_key))
    decision = delays.hold_back(decision, asked.sender, charged=not asked.known)
    version = pagecache.version_at_hand(asked.page, decision.answer.beside)
    own = [("ETag", ready.etag), ("X-PyPI-Last-Serial", str(ready.serial))]
    if decision.allowed and version and version <= ready.version:
        if asked.known:
            return Hit(ready, [*asked.fixed, *own], None)
        own.append(("Content-Length", str(len(ready.body))))
        return Hit(ready, [*asked.fixed, *own, *headers.fields(decision).items()], decision)
    if not asked.known:
        environ[HELD] = decision
    return None


def _is_plain(environ: Environ) -> bool:
    """True where the request has nothing that only Django can answer."""
    if environ["REQUEST_METHOD"] not in {"GET", "HEAD"} or environ.get("QUERY_STRING") or environ.get("SCRIPT_NAME"):
        return False
    if any(environ.get(name) for name in UNUSUAL) or settings.FORCE_SCRIPT_NAME:
        return False
    return _is_host(environ.get("HTTP_HOST", ""), tuple(settings.ALLOWED_HOSTS))


@lru_cache(maxsize=256)
def _is_host(host: str, allowed: tuple[str, ...]) -> bool:
    domain, _ = split_domain_port(host)
    return bool(domain) and validate_host(domain, allowed)


def _wanted(accept: str | None, encodings: str | None) -> tuple[str, Encoding] | None:
    if len(accept or "") > LONGEST_FIELD or len(encodings or "") > LONGEST_FIELD:
        return None
    return _chosen(accept, encodings)


@lru_cache(maxsize=512)
def _chosen(accept: str | None, encodings: str | None) -> tuple[str, Encoding] | None:
    try:
        return choose_type(accept), choose_encoding(encodings)
    except ServiceError:
        return None


def _names(tags: str, etag: str) -> bool:
    """Whether If-None-Match names the tag, by the weak comparison of RFC 9110 section 13.1.2."""
    if not tags:
        return False
    found = parse_etags(tags)
    return found == ["*"] or etag in {tag.removeprefix("W/") for tag in found}


@lru_cache(maxsize=64)
def _fixed(visibility: Visibility, scheme: str, body: tuple[str, Encoding] | None) -> Fields:
    """What every such answer says, as view and middlewares say it; `body` is its type and coding, if it has one."""
    request = HttpRequest()
    request.META = {"wsgi.url_scheme": scheme}
    response = HttpResponse()
    del response["Content-Type"]
    if body is not None:
        content_type, encoding = body
        response["Content-Type"] = full_type(content_type)
        if encoding is not Encoding.IDENTITY:
            response["Content-Encoding"] = encoding.value
    for name, value in page_fields(visibility, "Accept", "Accept-Encoding").items():
        response[name] = value
    for middleware in (XFrameOptionsMiddleware, SecurityMiddleware):
        response = middleware(lambda _: HttpResponse()).process_response(request, response)
    return list(response.items())
