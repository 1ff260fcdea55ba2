"""Requests answered at once after a pause, and never from before a change, whatever this process remembers."""

import time
from collections import OrderedDict

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_redis import get_redis_connection

from pkgindex import nearcache
from pkgindex.accounts import services as accounts
from pkgindex.accounts import tokens
from pkgindex.accounts.models import Token
from pkgindex.audit.record import SYSTEM
from pkgindex.catalog import following, services
from pkgindex.catalog.models import File, Index
from pkgindex.catalog.paths import file_path
from pkgindex.hits import Hits
from tests.support.catalogue import add_wheel, open_index
from tests.support.gateway import ask, environ_of, nobody
from throttling import plans

pytestmark = pytest.mark.django_db(transaction=True)
PAGE, OTHER = "/simple/acme/", "/simple/other/"


@pytest.fixture
def public(db) -> Index:
    """A public default index with two projects."""
    index = open_index()
    add_wheel(index, "other")
    return index


@pytest.fixture
def django(public) -> WSGIHandler:
    """Django, without the short way."""
    return WSGIHandler()


def caches() -> list[nearcache.NearCache]:
    return [cache for cache in nearcache.every if isinstance(cache, nearcache.NearCache)]


def forget_facts() -> None:
    """What five seconds without requests do: what is known of senders and indexes ends, here and in Redis."""
    redis = get_redis_connection("default")
    for key in redis.scan_iter("near:*"):
        redis.delete(key)
    for cache in caches():
        cache._entries = OrderedDict({key: (0.0, value) for key, (_, value) in cache._entries.items()})


def idle() -> None:
    """What a minute without requests does: keys of pages, and what is known of senders, indexes and files, end."""
    redis = get_redis_connection("default")
    for key in redis.scan_iter("page:v:*"):
        redis.delete(key)
    forget_facts()


def url(file: File) -> str:
    return "/" + file_path(file.blob_id, file.filename)


def acme(index: Index) -> File:
    return File.objects.get(index=index, filename__startswith="acme-1.0-")


def bodies(*environs: dict) -> list[bytes | None]:
    """What is answered at once, None where Django is to answer."""
    found = []
    for reply in Hits(nobody).at_once(environs):
        found.append(b"".join(reply.body) if reply else None)
        getattr(reply and reply.body, "close", list)()
    return found


def once(*paths: str) -> list[bytes | None]:
    """What is answered at once to nobody in particular."""
    return bodies(*map(environ_of, paths))


@pytest.mark.parametrize("what", ["page", "list", "file", "metadata"])
def test_who_asks_first_asks_for_the_whole_index(public, django, round_trips, what):
    """After a minute without requests one goes to SQL; then the others need one round trip, as if nothing had been."""
    path = {"page": PAGE, "list": "/simple/", "file": url(acme(public)), "metadata": url(acme(public)) + ".metadata"}[
        what
    ]
    expected = ask(django, environ_of(path))[2]
    ask(django, environ_of(PAGE))
    ask(django, environ_of(OTHER))
    idle()
    assert once(path) == [None]
    ask(django, environ_of(OTHER))
    found = []

    with CaptureQueriesContext(connection) as queries:
        trips = round_trips(lambda: found.extend(once(path, path)))

    assert (trips, len(queries)) == (1, 0)
    assert found == [expected] * 2


def test_the_loop_never_asks_the_database_for_plans(public, django, monkeypatch):
    """Half a minute after that was done last, one of many is left to a thread, which does it; the loop does not."""
    ask(django, environ_of(PAGE))
    long_ago = time.monotonic() - plans.ASK_DATABASE - 1
    monkeypatch.setattr(plans, "_confirmed", long_ago)
    monkeypatch.setattr(plans, "_looked", long_ago)

    with CaptureQueriesContext(connection) as queries:
        answered = once(PAGE, PAGE, PAGE)
    assert [body is None for body in answered] == [True, False, False]
    assert len(queries) == 0

    with CaptureQueriesContext(connection) as queries:
        ask(Hits(django), environ_of(PAGE))
        ask(Hits(django), environ_of(PAGE))
    assert sum("throttling_revision" in query["sql"] for query in queries) == 1


def test_what_another_process_looked_up_will_do(people, index, round_trips):
    """Sender, index and file are brought from Redis together, in two round trips, as the file tells its index."""
    header = f"Bearer {accounts.issue(SYSTEM, None, people.reader, 'ci', ['read'])[1]}"
    path = "/i/main" + PAGE
    file = add_wheel(index)
    django = WSGIHandler()
    environs = [environ_of(place, HTTP_AUTHORIZATION=header) for place in (path, url(file), url(file))]
    there = [ask(django, dict(environ))[2] for environ in environs]
    for cache in caches():
        cache.clear_local()
    found = []

    with CaptureQueriesContext(connection) as queries:
        trips = round_trips(lambda: found.extend(bodies(*environs)))

    assert (trips, len(queries)) == (3, 0)
    assert found == there


@pytest.mark.parametrize("what", ["page", "file"])
def test_sender_and_index_are_looked_up_without_django(people, index, round_trips, what):
    """After a pause a token and an index cost four queries that are compiled already and three round trips."""
    header = f"Bearer {accounts.issue(SYSTEM, None, people.reader, 'ci', ['read'])[1]}"
    path = {"page": "/i/main" + PAGE, "file": url(add_wheel(index))}[what]
    add_wheel(index, version="3.0")
    environ = environ_of(path, HTTP_AUTHORIZATION=header)
    expected = ask(WSGIHandler(), dict(environ))
    ask(WSGIHandler(), environ_of("/i/main" + PAGE, HTTP_AUTHORIZATION=header))
    forget_facts()
    ask(Hits(nobody), dict(environ))
    forget_facts()
    found = []

    with CaptureQueriesContext(connection) as queries:
        trips = round_trips(lambda: found.append(ask(Hits(nobody), environ)))

    assert (found, trips) == ([expected], 3)
    assert len(queries) == (4 if connection.vendor == "sqlite" else 3)


@pytest.mark.parametrize("change", ["revoke", "make private", "rename"])
def test_what_is_looked_up_is_what_is_so_now(people, index, change):
    """A token that was revoked, and an index that is hidden or elsewhere, are Django's to answer, in its own words."""
    token, secret = accounts.issue(SYSTEM, None, people.stranger, "ci", ["read"])
    Index.objects.filter(pk=index.pk).update(visibility="internal")
    add_wheel(index)
    environ = environ_of("/i/main" + PAGE, HTTP_AUTHORIZATION=f"Bearer {secret}")
    assert ask(WSGIHandler(), dict(environ))[0] == "200 OK"
    if change == "revoke":
        Token.objects.filter(pk=token.pk).update(revoked_at=timezone.now())
    elif change == "make private":
        Index.objects.filter(pk=index.pk).update(visibility="private")
    else:
        Index.objects.filter(pk=index.pk).update(slug="elsewhere")
    forget_facts()

    status, _, body = ask(Hits(WSGIHandler()), dict(environ))

    assert status == ("401 Unauthorized" if change == "revoke" else "404 Not Found")
    assert (b"was revoked on" in body) == (change == "revoke")


def test_nobody_looks_up_ever_new_names_before_limits_are_asked(public, django):
    """Without credentials it is Django's, which asks limits first, and with an unknown token nothing is asked twice."""
    ask(django, environ_of(PAGE))
    forget_facts()

    with CaptureQueriesContext(connection) as queries:
        with pytest.raises(AssertionError, match="Django was asked"):
            ask(Hits(nobody), environ_of("/i/other" + PAGE))
        assert len(queries) == 0
        with pytest.raises(AssertionError, match="Django was asked"):
            ask(Hits(nobody), environ_of("/i/other" + PAGE, HTTP_AUTHORIZATION=f"Bearer {tokens.generate()}"))

    assert ["accounts_token" in query["sql"] for query in queries] == [True]


def test_upkeep_spares_the_next_request_the_look_up(people, index, monkeypatch, round_trips):
    """Sender and index of a page are known at once after a pause, and are what is so now; then upkeep ends."""
    token, secret = accounts.issue(SYSTEM, None, people.stranger, "ci", ["read"])
    Index.objects.filter(pk=index.pk).update(visibility="internal")
    add_wheel(index)
    environ = environ_of("/i/main" + PAGE, HTTP_AUTHORIZATION=f"Bearer {secret}")
    ask(WSGIHandler(), dict(environ))
    application, found = Hits(nobody), []
    assert application.at_once([dict(environ)])[0].status == 200
    forget_facts()
    application.upkeep()

    with CaptureQueriesContext(connection) as queries:
        trips = round_trips(lambda: found.extend(application.at_once([dict(environ)])))
    assert (found[0].status, trips, len(queries)) == (200, 1, 0)

    Token.objects.filter(pk=token.pk).update(revoked_at=timezone.now())
    forget_facts()
    application.upkeep()
    assert application.at_once([dict(environ)]) == [None]

    monkeypatch.setattr(application, "_asked", time.monotonic() - nearcache.LATELY - 1)
    with CaptureQueriesContext(connection) as queries:
        assert round_trips(application.upkeep) == 0
    assert len(queries) == 0


def test_upkeep_without_a_database_harms_nobody(public, django, monkeypatch, caplog):
    """It is told of in the log, and the next second tries again."""
    ask(django, environ_of(PAGE))
    application = Hits(nobody)
    assert application.at_once([environ_of(PAGE)])[0].status == 200

    def broken():
        raise OperationalError("the database is away")

    monkeypatch.setattr(nearcache, "renew", broken)
    application.upkeep()
    assert "could not be renewed" in caplog.text


def delete_file(index: Index) -> None:
    services.delete_file(SYSTEM, None, acme(index))


def yank(index: Index) -> None:
    services.yank_file(SYSTEM, None, acme(index))


def quarantine(index: Index) -> None:
    services.set_status(SYSTEM, None, acme(index).release.project, "quarantined")


def delete_project(index: Index) -> None:
    services.delete_project(SYSTEM, None, acme(index).release.project)


def add_file(index: Index) -> None:
    add_wheel(index, version="2.0")


@pytest.mark.parametrize("what", ["page", "list", "file"])
@pytest.mark.parametrize("change", [delete_file, yank, quarantine, delete_project, add_file])
@pytest.mark.parametrize("followed", [True, False])
def test_nothing_from_before_a_change_is_answered(public, django, what, change, followed):
    """Neither right after it nor after a minute, whether this process has read the journal meanwhile or not."""
    path = {"page": PAGE, "list": "/simple/", "file": url(acme(public))}[what]
    for place in (path, PAGE, OTHER):
        ask(django, environ_of(place))
    idle()
    for place in (OTHER, "/simple/"):
        ask(django, environ_of(place))
    assert once(path) != [None]

    change(public)

    assert once(path) == [None]
    idle()
    if followed:
        ask(django, environ_of(OTHER))
    assert once(path) == [None]
    status, _, body = ask(django, environ_of(path))
    again = once(path)[0]
    assert again in {None, body}
    assert (again is None) == (not status.startswith("200"))


@pytest.mark.parametrize("change", [delete_file, delete_project])
def test_a_file_does_not_outlive_its_project_for_who_has_not_read_the_journal(public, django, change):
    """That nobody has such a project, as SQL says after a while, is not an old version of it."""
    path = url(acme(public))
    ask(django, environ_of(path))
    change(public)
    idle()
    following.journals.clear_local()  # as another process that begins now
    ask(django, environ_of(PAGE))

    assert once(path) == [None]
    assert ask(django, environ_of(path))[0].startswith("404")


def test_a_change_elsewhere_costs_one_look_into_the_journal(public, django):
    """Pages that did not change are answered again after one request that read what did."""
    for place in (PAGE, OTHER, url(acme(public))):
        ask(django, environ_of(place))
    add_wheel(public, "third")
    idle()
    assert once(PAGE, url(acme(public))) == [None, None]

    with CaptureQueriesContext(connection) as queries:
        ask(django, environ_of(OTHER))

    assert sum("catalog_journalentry" in query["sql"] for query in queries) == 1
    assert None not in once(PAGE, OTHER, url(acme(public)))


def test_a_file_goes_with_its_index(public, django):
    """An index that becomes private gives nobody a file that this process remembers from before."""
    path = url(acme(public))
    ask(django, environ_of(path))
    ask(django, environ_of(PAGE))
    Index.objects.filter(pk=public.pk).update(visibility="private")
    idle()
    ask(django, environ_of(PAGE))

    assert once(path) == [None]


def test_without_the_journal_nothing_is_remembered(public, django):
    """A process that has forgotten what it read asks SQL."""
    ask(django, environ_of(PAGE))
    idle()
    following.journals.clear_local()
    get_redis_connection("default").set(f"page:v:{public.pk}:", Index.objects.get().last_serial)

    assert once(PAGE) == [None]
