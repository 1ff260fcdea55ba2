"""The short way of a page: one that this process has ready, for a sender and of an index that it knows."""

import io
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from django.utils.http import parse_etags

from pkgindex.accounts.identity import sender_at_hand
from pkgindex.accounts.roles import Action, Verdict, Visibility, Who, decide
from pkgindex.answers import plain
from pkgindex.catalog.following import ABSENT
from pkgindex.catalog.indexes import DEFAULT, index_at_hand
from pkgindex.catalog.policy import IndexView
from pkgindex.errors import ServiceError
from pkgindex.nearcache import Missing
from pkgindex.reading import page_fields
from pkgindex.sending import BLOCK_BYTES, Window
from pkgindex.shortway import Environ, Fields, Reply, file_body, framed, is_plain, of_fields, remember, sender_of
from pkgindex.simple import pagecache
from pkgindex.simple.lru import Ready
from pkgindex.simple.negotiate import OFFERS, Encoding, choose_encoding, choose_type, full_type
from pkgindex.simple.pagecache import PageKey
from pkgindex.simple.urls import INDEX
from pkgindex.simple.views import no_project
from pkgindex.throttles import beside_of
from pkgindex.worker import TAGS
from throttling import headers, plans
from throttling.decision import Decision
from throttling.lines import Verb
from throttling.take import Question

PATH = re.compile(rf"\A/{INDEX}?simple/(?:(?P<name>[^/]+)/)?\Z")
METHODS = frozenset({"GET", "HEAD"})
LONGEST_FIELD = 400  # bytes of an Accept field whose meaning is remembered
SCOPE = "index"


class Page(NamedTuple):
    """A request for a page that this process has ready; whether it is still the newest is not known yet."""

    page: PageKey
    ready: Ready
    question: Question  # what limits say, and beside it which version is the newest
    fixed: Fields  # what the answer says whoever asks
    known: bool  # whether the client names the page's entity tag

    def is_settled(self, decision: Decision) -> bool:
        """Whether the newest version came with the decision."""
        return decision.answer.beside is not None

    def reply(self, decision: Decision, environ: Environ) -> Reply | None:
        """The page, or a 304; None where there is a newer one or limits refuse."""
        ready = self.ready
        version = pagecache.version_at_hand(self.page, decision.answer.beside)
        if not (decision.allowed and version and version <= ready.version):
            return None
        own = [("ETag", ready.etag), ("X-PyPI-Last-Serial", str(ready.serial))]
        if self.known:
            return Reply(304, [*self.fixed, *own], (), SCOPE, [])
        own.append(("Content-Length", str(ready.size)))
        try:
            body = _body(environ, ready)
        except FileNotFoundError:  # a newer page has taken its place since
            return None
        return Reply(200, [*self.fixed, *own, *headers.fields(decision).items()], body, SCOPE, [decision])


class Absent(NamedTuple):
    """A request for a project that there was not a while ago, as installers ask an index of their own for public ones.

    Whether it has come to be since is not known yet.
    """

    page: PageKey
    question: Question

    def is_settled(self, decision: Decision) -> bool:
        """Whether that came with the decision."""
        return decision.answer.beside is not None

    def reply(self, decision: Decision, environ: Environ) -> Reply | None:
        """404; None where there is something now, SQL has to be asked, or limits refuse."""
        if not decision.allowed or pagecache.version_at_hand(self.page, decision.answer.beside) != ABSENT:
            return None
        refusal = plain(no_project(self.page.name))
        body = refusal.content
        fields = [*_refused(environ["wsgi.url_scheme"]), ("Content-Length", str(len(body)))]
        if environ["REQUEST_METHOD"] == "HEAD":
            body = b""
        return Reply(404, [*fields, *headers.fields(decision).items()], [body], SCOPE, [decision])


class Known(NamedTuple):
    """What was found out about a request for a page; it holds for the same request as long as these are the same.

    Not the page's bytes, which a process must be able to let go of.
    """

    who: Who
    slug: str
    view: IndexView
    page: PageKey
    encoding: Encoding
    is_known: bool
    question: Question
    fixed: Fields

    def asked(self, environ: Environ, missing: Missing) -> Page | None:
        """See `pkgindex.shortway.Known`."""
        if self.view is not index_at_hand(self.slug, missing) or not plans.is_fresh():
            return None
        if self.who is not sender_at_hand(environ.get("HTTP_AUTHORIZATION", ""), missing):
            return None
        ready = pagecache.at_hand(self.page, self.encoding, missing)
        if ready is None or _names(environ.get(TAGS, ""), ready.etag) is not self.is_known:
            return None
        return Page(self.page, ready, self.question, self.fixed, self.is_known)


def asked(environ: Environ, missing: Missing) -> Page | Absent | None:
    """What the request asks for; None where Django must answer, unless what is `missing` helps."""
    path = environ["PATH_INFO"]
    place = PATH.match(path)
    if place is None or not is_plain(environ, METHODS):
        return None
    name = place["name"] or ""
    who = sender_at_hand(environ.get("HTTP_AUTHORIZATION", ""), missing)
    slug = place["slug"] or DEFAULT
    index = index_at_hand(slug, missing)
    wanted = of_fields(environ, _wanted)
    if index is None or who is None or wanted is None:
        return None
    where = index.project_place(name) if name else index.place
    if decide(who, Action.READ, where) is not Verdict.ALLOW:
        return None
    page = PageKey(index.id, name, OFFERS[wanted[0]])
    ready = pagecache.at_hand(page, wanted[1], missing)
    if ready is None:  # nor is anything ready under a name that is not normalised
        if not pagecache.was_absent(page):
            return None
        question = Question(sender_of(environ, who), SCOPE, resource=path, beside=beside_of(page.version_keys))
        return Absent(page, question)
    known = _names(environ.get(TAGS, ""), ready.etag)
    fixed = _fixed(index.visibility, environ["wsgi.url_scheme"], None if known else wanted)
    verb, beside = Verb.TEST if known else Verb.TAKE, beside_of(page.version_keys)
    question = Question(sender_of(environ, who), SCOPE, resource=path, beside=beside, verb=verb)
    remember(environ, Known(who, slug, index, page, wanted[1], known, question, fixed))
    return Page(page, ready, question, fixed, known)


def _body(environ: Environ, ready: Ready) -> Iterable[bytes]:
    if environ["REQUEST_METHOD"] == "HEAD":
        return ()
    if ready.path is None:
        return [ready.body]
    return file_body(environ, Window(io.FileIO(ready.path), 0, ready.size), BLOCK_BYTES)


def _wanted(environ: Environ) -> tuple[str, Encoding] | None:
    accept, encodings = environ.get("HTTP_ACCEPT"), environ.get("HTTP_ACCEPT_ENCODING")
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
    if not tags or tags == etag:  # nearly always
        return bool(tags)
    found = parse_etags(tags)
    return found == ["*"] or etag in {tag.removeprefix("W/") for tag in found}


@lru_cache(maxsize=2)
def _refused(scheme: str) -> Fields:
    return framed(dict(plain(no_project("")).items()), scheme)


@lru_cache(maxsize=64)
def _fixed(visibility: Visibility, scheme: str, body: tuple[str, Encoding] | None) -> Fields:
    """What every such answer says, as view and middlewares say it; `body` is its type and coding, if it has one."""
    fields = {}
    if body is not None:
        content_type, encoding = body
        fields["Content-Type"] = full_type(content_type)
        if encoding is not Encoding.IDENTITY:
            fields["Content-Encoding"] = encoding.value
    return framed(fields | page_fields(visibility, "Accept", "Accept-Encoding"), scheme)
