"""Many requests at once, as our worker's loop asks for them: one round trip, each charged once, and nobody waits."""

import time

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pkgindex.catalog.models import File
from pkgindex.hits import Hits
from pkgindex.worker import DECIDED
from tests.support.gateway import ask, environ_of, left_after, nobody
from throttling import services, signals
from throttling.models import Assignment, Exemption, Limit, Plan

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/simple/acme/"


@pytest.fixture
def limit(db):
    """A function that gives everybody a limit."""
    plan = Plan(name="everybody")
    services.save(plan, actor="test")
    services.save(Assignment(plan=plan, subject="everyone"), actor="test")

    def add(rate: str, **more: object) -> None:
        services.save(Limit(plan=plan, name="day", rate=rate, **more), actor="test")

    return add


@pytest.fixture
def django(public) -> WSGIHandler:
    """Django, without the short way."""
    return WSGIHandler()


def known(django, *paths):
    """Environments of requests whose answers this process has ready."""
    for path in paths:
        ask(django, environ_of(path))
    return [environ_of(path) for path in paths]


def file_url(index):
    """Of its one file."""
    file = File.objects.get(index=index)
    sha256 = file.blob_id
    return f"/packages/{sha256[:2]}/{sha256[2:4]}/{sha256[4:]}/{file.filename}"


def test_pages_and_files_share_a_round_trip(public, django, limit, round_trips):
    """Whatever they are, and one that is Django's among them; each is charged as if it had come alone."""
    limit("1000/day calendar")
    paths = [PAGE, "/simple/", file_url(public), f"{file_url(public)}.metadata", PAGE]
    environs = known(django, *paths)
    environs.insert(2, environ_of("/api/v1/"))
    before = left_after(django, environ_of(PAGE), "day")
    found = []

    with CaptureQueriesContext(connection) as queries:
        trips = round_trips(lambda: found.extend(Hits(nobody).at_once(environs)))

    assert (trips, len(queries)) == (1, 0)
    assert [reply.status if reply else None for reply in found] == [200, 200, None, 200, 200, 200]
    for reply, environ in zip(found, environs, strict=True):
        if reply:
            expected = ask(django, dict(environ))
            assert b"".join(reply.body) == expected[2]
            getattr(reply.body, "close", list)()
            assert {name.lower() for name, _ in reply.fields} == set(expected[1])
    assert left_after(django, environ_of(PAGE), "day") == before - 5 - 5 - 1  # at once, compared with, this one


def test_what_nobody_has_looked_up_is_asked_for_once(public, django, round_trips):
    """Requests of which no process knows anything cost one round trip together, and others none."""
    application = Hits(nobody)

    assert round_trips(lambda: application.at_once([environ_of("/api/v1/"), environ_of("/packages/none")])) == 0
    assert round_trips(lambda: application.at_once([environ_of("/simple/none/"), environ_of("/i/a/simple/b/")])) == 1


def test_who_is_exempt_needs_one_round_trip_too(public, django, limit, round_trips):
    """For the version of the page."""
    limit("1/day calendar")
    services.save(Exemption(subject="net:127.0.0.0/8"), actor="test")
    environs = known(django, PAGE, PAGE, PAGE)
    found = []

    assert round_trips(lambda: found.extend(Hits(nobody).at_once(environs))) == 1
    assert [reply.status for reply in found] == [200] * 3


def test_who_is_to_wait_is_left_to_a_thread(public, django, limit):
    """The loop waits for nobody; the thread does, and the request is charged once."""
    limit("2/second burst=1 delay=5s")
    known(django, PAGE)
    time.sleep(0.6)
    environs = [environ_of(PAGE) for _ in range(3)]
    application = Hits(nobody)

    began = time.monotonic()
    first, *rest = application.at_once(environs)
    assert time.monotonic() - began < 0.3
    assert (first.status, rest) == (200, [None, None])
    assert [DECIDED in environ for environ in environs[1:]] == [True, True]

    statuses = [ask(application, environ)[0] for environ in environs[1:]]
    assert statuses == ["200 OK"] * 2
    assert 0.7 < time.monotonic() - began < 3  # half a second and a whole one were owed when they were asked for


def test_refusals_are_followed_up_by_the_thread(public, django, limit):
    """Told of once, when the thread answers, with Django's own words; a limit that only watches likewise."""
    limit("2/hour fixed")
    heard = []
    listener = lambda **said: heard.append(said["decision"].scope)  # noqa: E731 - kept alive by its name
    signals.refused.connect(listener)
    try:
        (environ, *_) = environs = [*known(django, PAGE), environ_of(PAGE), environ_of(PAGE)]
        replies = Hits(nobody).at_once(environs)
        assert [reply.status if reply else None for reply in replies] == [200, None, None]
        assert heard == []
        assert ask(Hits(django), environs[1])[0].startswith("429")
        assert heard == ["index"]
    finally:
        signals.refused.disconnect(listener)
    assert DECIDED in environ


def test_without_redis_nobody_waits(public, django, limit, redis_server):
    """Once it is known to be away the loop decides nothing; threads answer."""
    limit("1000/day calendar")
    environs = known(django, PAGE, PAGE)
    redis_server.stop()
    try:
        assert ask(Hits(django), environ_of(PAGE))[0] == "200 OK"
        began = time.monotonic()
        assert Hits(nobody).at_once(environs) == [None, None]
        assert time.monotonic() - began < 0.1
        assert ask(Hits(django), environs[0])[0] == "200 OK"
    finally:
        redis_server.start()
