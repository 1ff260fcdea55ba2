"""Names that no project has, which installers ask a private index for all day: 404 without Django, and never a lie."""

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_redis import get_redis_connection

from pkgindex.accounts import services as accounts
from pkgindex.accounts.models import User
from pkgindex.audit.record import SYSTEM
from pkgindex.catalog import services as catalog
from pkgindex.catalog import versions
from pkgindex.catalog.models import Index, Project
from pkgindex.hits import Hits
from pkgindex.simple import pagecache
from tests.support.catalogue import add_wheel
from tests.support.gateway import ask, environ_of, left_after, nobody, worker
from tests.support.plans import limit_everybody

pytestmark = pytest.mark.django_db(transaction=True)
NONE = "/simple/none/"


@pytest.fixture
def django(public) -> WSGIHandler:
    """Django without the short way, which was asked for the name already."""
    application = WSGIHandler()
    ask(application, environ_of(NONE))
    return application


@pytest.fixture
def limited(db) -> None:
    """A wide limit for everybody."""
    limit_everybody(day="100000/day calendar")


REQUESTS = {
    "uv": {"HTTP_ACCEPT": "application/vnd.pypi.simple.v1+json", "HTTP_ACCEPT_ENCODING": "gzip, br, zstd"},
    "nothing said": {},
    "HEAD": {"REQUEST_METHOD": "HEAD"},
    "https": {"wsgi.url_scheme": "https"},
    "a tag": {"HTTP_IF_NONE_MATCH": '"other"'},
    "any tag": {"HTTP_IF_NONE_MATCH": "*"},
}


@pytest.mark.parametrize("path", [NONE, "/i/open/simple/none/"])
@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize("limits", [False, True])
def test_same_answer_as_django(django, request, request_, path, limits, gate):
    """Status, every header field and every byte."""
    if limits:
        request.getfixturevalue("limited")
    environ = environ_of(path, **REQUESTS[request_])
    there = ask(django, dict(environ))

    assert ask(gate(nobody), dict(environ)) == there
    assert there[0] == "404 Not Found"


def test_costs_one_round_trip_no_sql_and_one_request(django, limited, round_trips):
    """As a page does; of 91 names together it is one round trip too."""
    before = left_after(django, environ_of(NONE), "day")
    environs = [environ_of(NONE) for _ in range(91)]
    found = []

    with CaptureQueriesContext(connection) as queries:
        trips = round_trips(lambda: found.extend(Hits(nobody).at_once(environs)))

    assert (trips, len(queries)) == (1, 0)
    assert {reply.status for reply in found} == {404}
    assert left_after(django, environ_of(NONE), "day") == before - 92


def test_a_project_that_comes_to_be_is_there_at_once(django, public, gate):
    """And is a hit like any other from then on; when it goes again, it has gone at once."""
    add_wheel(public, "none")
    environ = environ_of(NONE)

    assert ask(gate(django), dict(environ))[0] == "200 OK"
    assert ask(gate(nobody), dict(environ))[0] == "200 OK"
    catalog.delete_project(SYSTEM, None, Project.objects.get(normalized_name="none"))
    assert ask(gate(django), dict(environ))[0] == "404 Not Found"


def test_change_that_was_not_told_to_redis_is_left_to_sql(django, public):
    """While a change is under way nobody knows yet."""
    versions.mark_dirty(versions.keys(public.pk, "none"), 9)

    assert Hits(nobody).at_once([environ_of(NONE)]) == [None]
    assert ask(worker(django), environ_of(NONE))[0] == "404 Not Found"


def test_index_that_did_not_change_needs_no_sql_after_an_hour(django, public):
    """What Redis said of the name ends after a minute; that the index is as it was then says as much."""
    own, top = versions.keys(public.pk, "none")
    redis = get_redis_connection("default")
    assert int(redis.get(top) or 0) == public.journal.latest("serial").serial
    redis.delete(own)

    with CaptureQueriesContext(connection) as queries:
        (reply,) = Hits(nobody).at_once([environ_of(NONE)])
    assert (reply.status, len(queries)) == (404, 0)

    add_wheel(public, "other")
    redis.delete(own)
    assert ask(worker(django), environ_of(NONE))[0] == "404 Not Found"  # reads the journal
    assert ask(worker(nobody), environ_of(NONE))[0] == "404 Not Found"
    add_wheel(public, "none")
    redis.delete(own)
    assert ask(worker(django), environ_of(NONE))[0] == "200 OK"


def test_index_that_never_changed_is_asked_each_time(db):
    """Its serial is the sign for nothing, so nothing is concluded from that; its list stays a list."""
    Index.objects.create(slug="empty", is_default=True, visibility="public")
    django = WSGIHandler()

    assert [ask(django, environ_of(NONE))[0] for _ in range(2)] == ["404 Not Found"] * 2
    assert ask(worker(django), environ_of(NONE))[0] == "404 Not Found"
    assert ask(django, environ_of("/simple/"))[0] == "200 OK"


def test_without_redis_django_answers(django, redis_server):
    """Who cannot ask what is new says nothing."""
    redis_server.stop()

    assert Hits(nobody).at_once([environ_of(NONE)]) == [None]
    assert ask(worker(django), environ_of(NONE))[0] == "404 Not Found"


def test_who_may_not_read_the_index_hears_what_django_says(index, people, gate):
    """That the name is nobody's is not told to strangers."""
    django, read = WSGIHandler(), f"Bearer {accounts.issue(SYSTEM, None, people.reader, 'ci', ['read'])[1]}"
    stranger = f"Bearer {accounts.issue(SYSTEM, None, people.stranger, 'ci', ['read'])[1]}"
    add_wheel(index)
    theirs, ours = (environ_of(NONE, HTTP_AUTHORIZATION=header) for header in (stranger, read))
    assert ask(django, dict(ours))[0] == "404 Not Found"
    there = ask(django, dict(theirs))

    assert ask(gate(nobody), dict(ours)) == ask(django, dict(ours))
    assert ask(gate(django), dict(theirs)) == there
    assert pagecache.was_absent(pagecache.PageKey(index.pk, "none", pagecache.Format.JSON))


def test_names_that_a_process_remembers_are_bounded(django, public, monkeypatch):
    """Whoever asks for ever new names pushes out the oldest, and is answered like everybody."""
    monkeypatch.setattr(pagecache._absent, "_most", 3)
    for number in range(5):
        assert ask(worker(django), environ_of(f"/simple/none-{number}/"))[0] == "404 Not Found"

    assert len(pagecache._absent._entries) == 3
    assert Hits(nobody).at_once([environ_of("/simple/none-0/")]) == [None]
    assert [reply.status for reply in Hits(nobody).at_once([environ_of("/simple/none-4/")])] == [404]


def test_a_plain_server_answers_too(public):
    """Without our worker, whoever has a token."""
    token = f"Bearer {accounts.issue(SYSTEM, None, User.objects.create_user('ci'), 'ci', ['read'])[1]}"
    environ = environ_of(NONE, HTTP_AUTHORIZATION=token)
    ask(WSGIHandler(), dict(environ))

    assert ask(Hits(nobody), environ)[0] == "404 Not Found"
