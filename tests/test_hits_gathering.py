"""Pages that other processes have built: brought to a process that has not, in its loop and without Django."""

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_redis import get_redis_connection

from pkgindex.accounts import services as accounts
from pkgindex.accounts.models import User
from pkgindex.audit.record import SYSTEM
from pkgindex.hits import Hits
from pkgindex.simple import pagecache
from pkgindex.simple.pagecache import MOST_GATHERED
from tests.support.catalogue import add_wheel
from tests.support.gateway import ask, environ_of, nobody, worker

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/simple/acme/"


@pytest.fixture
def django(public) -> WSGIHandler:
    """Django, without the short way."""
    return WSGIHandler()


def built(django, *names: str, **more: str) -> tuple[list[dict], list[bytes]]:
    """Requests for pages that another process has built, and their bytes."""
    environs = [environ_of(f"/simple/{name}/", **more) for name in names]
    bodies = [ask(django, dict(environ))[2] for environ in environs]
    pagecache.local.clear_local()
    return environs, bodies


def test_pages_of_others_come_in_one_round_trip(public, django, round_trips):
    """And are answered with their own bytes in another one; from then on this process has them."""
    names = [f"project-{number}" for number in range(MOST_GATHERED)]
    for name in names:
        add_wheel(public, name)
    environs, bodies = built(django, *names)
    found = []

    with CaptureQueriesContext(connection) as queries:
        trips = round_trips(lambda: found.extend(Hits(nobody).at_once([dict(one) for one in environs])))

    assert (trips, len(queries)) == (2, 0)
    assert [b"".join(reply.body) for reply in found] == bodies
    assert round_trips(lambda: Hits(nobody).at_once(environs)) == 1


def test_many_pages_come_a_few_at_a_time(public, django, round_trips):
    """Since each may be large: but all that a turn of the loop asks for."""
    names = [f"project-{number}" for number in range(2 * MOST_GATHERED + 1)]
    for name in names:
        add_wheel(public, name)
    environs, bodies = built(django, *names)
    found = []

    assert round_trips(lambda: found.extend(Hits(nobody).at_once(environs))) == 4
    assert [b"".join(reply.body) for reply in found] == bodies


def test_what_nobody_has_built_is_asked_for_once(public, django, round_trips):
    """However many there are: Django builds them."""
    ask(django, environ_of("/simple/"))
    environs = [environ_of(f"/simple/none-{number}/") for number in range(MOST_GATHERED)]
    found = []

    assert round_trips(lambda: found.extend(Hits(nobody).at_once(environs))) == 1
    assert found == [None] * MOST_GATHERED
    environs = [environ_of(f"/simple/none-{number}/") for number in range(10 * MOST_GATHERED)]
    assert round_trips(lambda: Hits(nobody).at_once(environs)) == 1


def test_page_of_before_a_change_is_not_answered(public, django, round_trips):
    """What others have built last may be too old; Django builds it, and the request is charged once."""
    (environ,), (before,) = built(django, "acme")
    add_wheel(public, version="2.0")

    assert Hits(nobody).at_once([dict(environ)]) == [None]
    status, _, body = ask(worker(django), environ)

    assert (status, body == before, b"acme-2.0" in body) == ("200 OK", False, True)


@pytest.mark.parametrize("name", ["Acme", "ac.me", "acme:json", "ac--me"])
def test_names_that_no_page_has_are_not_sought(public, django, round_trips, name):
    """A name that is not in its normalised form has no page, and must not look like the key of another one."""
    ask(django, environ_of(PAGE))

    assert round_trips(lambda: Hits(nobody).at_once([environ_of(f"/simple/{name}/")])) == 0


def test_page_in_another_coding_is_the_page(public, django):
    """All codings were left in Redis together."""
    (environ,), _ = built(django, "acme", HTTP_ACCEPT_ENCODING="gzip")
    plain = ask(django, environ_of(PAGE))[2]
    pagecache.local.clear_local()

    (first,) = Hits(nobody).at_once([environ])
    (second,) = Hits(nobody).at_once([environ_of(PAGE)])

    assert dict(first.fields)["Content-Encoding"] == "gzip"
    assert b"".join(second.body) == plain


def test_half_a_page_is_none(public, django):
    """Who finds a hash without the body, because another hand has been there, leaves it to Django."""
    (environ,), (body,) = built(django, "acme")
    redis = get_redis_connection("default")
    (key,) = redis.keys("page:b:*:acme:*")
    redis.hdel(key, "identity")

    assert Hits(nobody).at_once([dict(environ)]) == [None]
    assert ask(worker(django), environ)[2] == body


def test_pages_elsewhere_are_not_sought_in_redis(public, django, settings, round_trips):
    """With no shared pages, or with those of Memcached, the loop asks nobody."""
    settings.PAGE_CACHE_URL = "none:"
    (environ,), _ = built(django, "acme")

    assert round_trips(lambda: Hits(nobody).at_once([dict(environ)])) == 0


def test_who_may_not_read_learns_nothing(index, people, round_trips):
    """A private page is not even sought for a token of somebody else."""
    add_wheel(index)
    django = WSGIHandler()
    reader = f"Bearer {accounts.issue(SYSTEM, None, people.reader, 'ci', ['read'])[1]}"
    stranger = f"Bearer {accounts.issue(SYSTEM, None, people.stranger, 'ci', ['read'])[1]}"
    path = f"/i/{index.slug}/simple/acme/"
    theirs = environ_of(path, HTTP_AUTHORIZATION=stranger)
    ask(django, dict(theirs))
    ours = environ_of(path, HTTP_AUTHORIZATION=reader)
    ask(django, dict(ours))
    pagecache.local.clear_local()

    assert round_trips(lambda: Hits(nobody).at_once([dict(theirs)])) == 0
    assert not pagecache.local._entries
    (reply,) = Hits(nobody).at_once([ours])
    assert reply.status == 200


def test_other_servers_bring_them_too(public):
    """Whoever calls, in a thread: a sender who is known by a token has the page without Django."""
    token = f"Bearer {accounts.issue(SYSTEM, None, User.objects.create_user('ci'), 'ci', ['read'])[1]}"
    (environ,), (body,) = built(WSGIHandler(), "acme", HTTP_AUTHORIZATION=token)

    assert ask(Hits(nobody), environ)[2] == body
