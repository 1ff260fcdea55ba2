"""The short way of a page hit: the same answer as Django, one round trip, no SQL; what is unusual stays with Django."""

import re

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pkgindex.accounts import services as accounts
from pkgindex.accounts.models import Token, User
from pkgindex.audit.record import SYSTEM
from pkgindex.catalog.indexes import forget_index
from pkgindex.catalog.models import Index
from pkgindex.hits import Hits
from pkgindex.simple import files, pagecache
from pkgindex.simple.pagecache import PageKey
from pkgindex.simple.serialize import Format
from tests.support.catalogue import add_wheel
from tests.support.gateway import ask, environ_of, left_after, nobody
from tests.support.plans import limit_everybody
from throttling.models import Plan

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/simple/acme/"
JSON = "application/vnd.pypi.simple.v1+json"
UV = f"{JSON}, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01"
PIP = f"{JSON}, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"


@pytest.fixture
def django() -> WSGIHandler:
    """Django without the short way."""
    return WSGIHandler()


@pytest.fixture
def limited(db) -> Plan:
    """Wide limits for everybody."""
    return limit_everybody(burst="1000/second", day="100000/day calendar")


@pytest.fixture
def token(people) -> str:
    """The reader's token, as a header."""
    return f"Bearer {accounts.issue(SYSTEM, None, people.reader, 'ci', ['read'])[1]}"


REQUESTS = {
    "pip": {"HTTP_ACCEPT": PIP, "HTTP_ACCEPT_ENCODING": "gzip, deflate"},
    "uv": {"HTTP_ACCEPT": UV, "HTTP_ACCEPT_ENCODING": "gzip, br, zstd"},
    "curl": {"HTTP_ACCEPT": "*/*"},
    "nothing said": {},
    "HTML": {"HTTP_ACCEPT": "application/vnd.pypi.simple.v1+html", "HTTP_ACCEPT_ENCODING": "identity"},
    "a picture": {"HTTP_ACCEPT": "image/png"},
    "HEAD": {"REQUEST_METHOD": "HEAD", "HTTP_ACCEPT": PIP},
    "https": {"wsgi.url_scheme": "https"},
    "another tag": {"HTTP_IF_NONE_MATCH": '"other"'},
    "a broken tag": {"HTTP_IF_NONE_MATCH": "other"},
    "long fields": {"HTTP_ACCEPT": "text/html" + " " * 300, "HTTP_USER_AGENT": "x" * 2_000},
    "a port": {"HTTP_HOST": "testserver:8000"},
}


@pytest.mark.parametrize("path", ["/simple/acme/", "/simple/", "/i/open/simple/acme/", "/i/open/simple/"])
@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize("limits", [False, True])
def test_same_answer_as_django(django, public, request, request_, path, limits, gate):
    """Status, every header field and every byte."""
    if limits:
        request.getfixturevalue("limited")
    environ = environ_of(path, **REQUESTS[request_])
    there = ask(django, dict(environ))

    assert ask(gate(nobody), dict(environ)) == there
    assert there[0] == "200 OK"


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_same_304_as_django(django, public, limited, form, method, gate):
    """However the client writes that it has the page; RFC 9110 section 13.1.2."""
    etag = ask(django, environ_of(PAGE))[1]["etag"]
    environ = environ_of(PAGE, HTTP_IF_NONE_MATCH=form.format(etag), REQUEST_METHOD=method)
    there = ask(django, dict(environ))
    # Django's middleware says 0; it would have to be the page's length, RFC 9110 section 8.6, and may be left out.
    there[1].pop("content-length")

    assert ask(gate(nobody), dict(environ)) == there
    assert (there[0], there[2]) == ("304 Not Modified", b"")


def test_private_index_by_token(django, index, token, gate):
    """With a token that the process knows; a stranger to the short way is Django's, who says why."""
    add_wheel(index)
    environ = environ_of(PAGE, HTTP_AUTHORIZATION=token)
    there = ask(django, dict(environ))

    assert ask(gate(nobody), dict(environ)) == there
    assert "Authorization" in there[1]["vary"]


UNUSUAL = {
    "another method": {"REQUEST_METHOD": "POST"},
    "a query": {"QUERY_STRING": "format=json"},
    "a session": {"HTTP_COOKIE": "sessionid=x"},
    "a precondition": {"HTTP_IF_MATCH": '"x"'},
    "an unknown host": {"HTTP_HOST": "elsewhere.example"},
    "no host": {"HTTP_HOST": ""},
    "a host that cannot be": {"HTTP_HOST": "a b"},
    "a wrong token": {"HTTP_AUTHORIZATION": "Bearer pkgi_wrong"},
    "a password": {"HTTP_AUTHORIZATION": "Basic cmVhZGVyOnJlYWRlci1wYXNzd29yZA=="},
    "other versions alone": {"HTTP_ACCEPT": "application/vnd.pypi.simple.v9+json"},
    "another spelling": {"PATH_INFO": "/simple/Acme/"},
    "no slash": {"PATH_INFO": "/simple/acme"},
    "a newline": {"PATH_INFO": "/simple/acme/\n"},
    "a project nobody asked for": {"PATH_INFO": "/simple/none/"},
    "an unknown index": {"PATH_INFO": "/i/none/simple/acme/"},
    "a mount point": {"SCRIPT_NAME": "/pypi"},
    "other letters": {"PATH_INFO": "/simple/\u00e4/"},
}


@pytest.mark.parametrize("request_", UNUSUAL)
def test_unusual_requests_are_djangos(django, public, limited, request_, settings, gate):
    """The short way gives way, and what Django says is what is answered."""
    settings.ALLOWED_HOSTS = ["testserver"]
    User.objects.create_user("reader", password="reader-password")
    ask(django, environ_of(PAGE))
    environ = environ_of(PAGE) | UNUSUAL[request_]
    asked = []

    def watched(environ, start):
        asked.append(1)
        return django(environ, start)

    answer = ask(gate(watched), dict(environ))

    assert asked
    assert (answer[0], answer[2]) == (ask(django, dict(environ))[0], ask(django, dict(environ))[2])


def test_changed_page_is_built_and_charged_once(django, public, limited, gate):
    """A page that this process has in an older state is never sent, and its request is one request."""
    ask(django, environ_of(PAGE, HTTP_ACCEPT=JSON))
    seen = []

    def start(_status, fields, *_):
        seen.append(int(re.search(r'"day";r=(\d+)', dict(fields)["RateLimit"])[1]))

    for version in ("2.0", "3.0"):
        add_wheel(public, version=version)
        assert version.encode() in b"".join(gate(django)(environ_of(PAGE, HTTP_ACCEPT=JSON), start))
        list(gate(nobody)(environ_of(PAGE, HTTP_ACCEPT=JSON), start))

    assert seen == list(range(seen[0], seen[0] - 4, -1))


def test_page_that_the_client_has_is_charged_when_it_changed(django, public, limited, gate):
    """A conditional request that is answered in full costs one request; one that is not, nothing."""
    etag = ask(django, environ_of(PAGE))[1]["etag"]
    left = []

    def start(_status, fields, *_):
        left.append(re.search(r'"day";r=(\d+)', dict(fields).get("RateLimit", '"day";r=0'))[1])

    application = gate(django)
    list(application(environ_of(PAGE), start))
    list(application(environ_of(PAGE, HTTP_IF_NONE_MATCH=etag), start))
    add_wheel(public, version="2.0")
    list(application(environ_of(PAGE, HTTP_IF_NONE_MATCH=etag), start))

    assert [int(number) for number in left] == [int(left[0]), 0, int(left[0]) - 1]


def test_refusal_is_charged_and_told_once(django, public, gate):
    """What is above a limit is refused as Django refuses it, and one request is one refusal."""
    limit_everybody(few="3/hour fixed")
    application = gate(django)
    ask(django, environ_of(PAGE))

    statuses = [ask(application, environ_of(PAGE))[0][:3] for _ in range(4)]
    there, here = ask(django, environ_of(PAGE)), ask(application, environ_of(PAGE))

    assert statuses == ["200", "200", "429", "429"]
    for answer in (there, here):
        answer[1].pop("retry-after", None)
    assert (here[0][:3], set(here[1])) == (there[0][:3], set(there[1]))


@pytest.mark.parametrize("limits", [False, True])
@pytest.mark.parametrize("unchanged", [False, True])
def test_costs_one_round_trip_and_no_sql(django, public, request, round_trips, limits, unchanged, gate):
    """With limits and without, with a body and without."""
    if limits:
        request.getfixturevalue("limited")
    etag = ask(django, environ_of(PAGE))[1]["etag"]
    environ = environ_of(PAGE, **({"HTTP_IF_NONE_MATCH": etag} if unchanged else {}))
    ask(gate(nobody), dict(environ))

    with CaptureQueriesContext(connection) as queries:
        trips = round_trips(lambda: ask(gate(nobody), dict(environ)))

    assert (trips, len(queries)) == (1, 0)


def test_revoked_token(django, index, token, gate):
    """What a process has forgotten is not let in by the short way either."""
    add_wheel(index)
    environ = environ_of(PAGE, HTTP_AUTHORIZATION=token)
    ask(django, dict(environ))
    assert ask(gate(nobody), dict(environ))[0] == "200 OK"
    row = Token.objects.get()

    accounts.revoke(SYSTEM, None, row)

    assert ask(gate(django), dict(environ))[0].startswith("401")


def test_index_that_was_closed(django, public, gate):
    """A change of visibility that this process has heard of holds for the short way."""
    ask(django, environ_of(PAGE))
    Index.objects.update(visibility="private")
    forget_index(public.pk, public.slug)
    ask(django, environ_of(PAGE))

    assert ask(gate(django), environ_of(PAGE))[0].startswith("401")


def test_without_redis_django_answers(django, public, redis_server, gate):
    """A lost Redis costs the short way."""
    ask(django, environ_of(PAGE))
    redis_server.stop()
    try:
        assert ask(gate(django), environ_of(PAGE))[0] == "200 OK"
    finally:
        redis_server.start()


def test_fault_of_the_short_way_costs_speed_alone(django, public, monkeypatch, caplog):
    """Whatever goes wrong there, Django answers and the log says it."""
    monkeypatch.setattr("pkgindex.hits.WAYS", (lambda _: 1 / 0,))

    assert ask(Hits(django), environ_of(PAGE))[0] == "200 OK"
    assert "short way" in caplog.text


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("unchanged", [False, True])
def test_large_pages_are_files(django, public, limited, monkeypatch, round_trips, method, unchanged, gate):
    """They are sent from their file, with the same answer, for the same price."""
    monkeypatch.setattr(pagecache, "LARGE", 100)
    etag = ask(django, environ_of(PAGE))[1]["etag"]
    environ = environ_of(PAGE, REQUEST_METHOD=method, **({"HTTP_IF_NONE_MATCH": etag} if unchanged else {}))
    there = ask(django, dict(environ))
    if unchanged:
        there[1].pop("content-length")

    with CaptureQueriesContext(connection) as queries:
        trips = round_trips(lambda: ask(gate(nobody), dict(environ)))

    assert ask(gate(nobody), dict(environ)) == there
    assert (trips, len(queries)) == (1, 0)
    assert bool(there[2]) is (method == "GET" and not unchanged)


def test_large_page_whose_file_is_gone(django, public, limited, monkeypatch, gate):
    """It is built again by Django, and its request is one request."""
    monkeypatch.setattr(pagecache, "LARGE", 100)
    before = left_after(django, environ_of(PAGE), "day")
    files.drop(PageKey(public.pk, "acme", Format.HTML).bytes_key)

    assert left_after(gate(django), environ_of(PAGE), "day") == before - 1
    assert left_after(gate(nobody), environ_of(PAGE), "day") == before - 2
