"""A request whose bytes came before: what was found out about it is used as long as it holds, and no longer."""

import copy
import time

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django_redis import get_redis_connection

from pkgindex import nearcache
from pkgindex.accounts import services as accounts
from pkgindex.audit.record import SYSTEM
from pkgindex.catalog import services as catalogue
from pkgindex.catalog.indexes import forget_index
from pkgindex.catalog.models import Index
from pkgindex.catalog.paths import file_path
from pkgindex.downloads import lookup
from pkgindex.shortway import Known
from tests.support.catalogue import add_wheel
from tests.support.gateway import ask, environ_of, found_out, known, nobody, remembering
from tests.support.plans import limit_everybody
from throttling import plans, services
from throttling.models import Limit, Plan

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/simple/acme/"


@pytest.fixture
def django() -> WSGIHandler:
    """Django without the short way."""
    known.clear()
    return WSGIHandler()


@pytest.fixture
def plan(db) -> Plan:
    """A wide limit for everybody."""
    return limit_everybody(day="100000/day calendar")


@pytest.fixture
def token(people) -> str:
    """The reader's token, as a header."""
    return f"Bearer {accounts.issue(SYSTEM, None, people.reader, 'ci', ['read'])[1]}"


def kept(environ):
    """What was kept of the request: another one wherever it was looked into again."""
    return found_out(environ).get(Known)


def renew() -> None:
    """What processes know is read anew, as once a second, and says the same."""
    for cache in nearcache.every:
        if isinstance(cache, nearcache.NearCache) and cache is not lookup._files:
            for key, (_, value) in list(cache._entries.items()):
                cache._keep(key, time.monotonic() + 60, copy.deepcopy(value))


def age_rows(seconds: float = 0) -> None:
    """What is known of files was read long ago, or is good for so many seconds."""
    for key, (_, rows) in list(lookup._files._entries.items()):
        lookup._files._entries[key] = time.monotonic() + seconds, rows


def forget(pattern: str) -> None:
    """Redis has lost these keys."""
    redis = get_redis_connection("default")
    for key in redis.keys(pattern):
        redis.delete(key)


@pytest.mark.parametrize("unchanged", [False, True])
def test_page(django, index, token, plan, unchanged):
    """A new version, and an index that everybody may read now, are seen."""
    add_wheel(index)
    etag = ask(django, environ_of(PAGE, HTTP_AUTHORIZATION=token))[1]["etag"]
    more = {"HTTP_IF_NONE_MATCH": etag} if unchanged else {}
    environ = environ_of(PAGE, HTTP_AUTHORIZATION=token, **more)
    there = ask(remembering(nobody), dict(environ))
    first = kept(environ)

    renew()
    assert ask(remembering(nobody), dict(environ)) == there
    assert kept(environ) is first is not None

    add_wheel(index, version="2.0")
    newer = ask(remembering(django), dict(environ))
    assert (newer[0], newer[1]["etag"] == etag) == ("200 OK", False)
    assert ask(remembering(nobody), dict(environ)) == newer

    Index.objects.update(visibility="public")
    forget_index(index.pk, index.slug)
    assert ask(remembering(django), dict(environ))[1]["cache-control"].startswith("public")
    assert ask(remembering(nobody), dict(environ))[1]["cache-control"].startswith("public")
    assert kept(environ) is not first


@pytest.mark.parametrize("end", ["", ".metadata"])
def test_file(django, index, token, plan, end):
    """A sender whose downloads are counted from now on, and a file that was deleted, are seen."""
    file = add_wheel(index)
    path = f"/{file_path(file.blob_id, file.filename)}{end}"
    environ = environ_of(path, HTTP_AUTHORIZATION=token)
    for one in (PAGE, path):
        ask(django, environ_of(one, HTTP_AUTHORIZATION=token))
    age_rows()
    there = ask(remembering(nobody), dict(environ))
    first = kept(environ)

    renew()
    assert ask(remembering(nobody), dict(environ)) == there
    assert kept(environ) is first is not None

    # What was just read holds by itself, also where Redis has no versions left.
    age_rows(seconds=60)
    forget("page:v:*")
    assert ask(remembering(nobody), dict(environ)) == there
    age_rows()
    assert ask(remembering(django), dict(environ)) == there

    services.save(Limit(plan=plan, name="width", rate="3 concurrent", scopes="download"), actor="test")
    plans.reset()
    plans.look_if_due()
    ask(django, environ_of(PAGE, HTTP_AUTHORIZATION=token))
    age_rows()
    assert ("width" in ask(remembering(django), dict(environ))[1]["ratelimit"]) is (not end)

    catalogue.delete_file(SYSTEM, None, file)
    forget("near:*")  # as in three seconds
    age_rows()
    assert ask(remembering(django), dict(environ))[0].startswith("404")


def test_token_that_was_revoked(django, index, token):
    """It is refused, whatever it has asked for before."""
    add_wheel(index)
    environ = environ_of(PAGE, HTTP_AUTHORIZATION=token)
    ask(django, dict(environ))
    assert ask(remembering(nobody), dict(environ))[0] == "200 OK"
    assert kept(environ) is not None

    accounts.revoke(SYSTEM, None, accounts.Token.objects.get())

    assert ask(remembering(django), dict(environ))[0].startswith("401")
