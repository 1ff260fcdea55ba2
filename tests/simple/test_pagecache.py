"""What a page costs, when it is built, and that nobody reads an older one than they wrote."""

import json
import threading
import time

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django_redis import get_redis_connection

from pkgindex.audit.record import SYSTEM
from pkgindex.catalog import versions
from pkgindex.catalog.changes import changing
from pkgindex.catalog.models import Index, Project
from pkgindex.simple import pagecache
from pkgindex.simple.negotiate import Encoding
from pkgindex.simple.pagecache import PageKey, fetch
from pkgindex.simple.serialize import REVISION, Format
from pkgindex.simple.shelves.base import KEEP_SECONDS
from tests.support.catalogue import add_wheel

pytestmark = pytest.mark.django_db(transaction=True)

HEADERS = {"HTTP_ACCEPT": "application/vnd.pypi.simple.v1+json", "HTTP_ACCEPT_ENCODING": "gzip"}


@pytest.fixture
def public(db) -> Index:
    """A public default index."""
    return Index.objects.create(slug="open", is_default=True, visibility="public")


def versions_of(client, path: str = "/simple/acme/") -> list[str]:
    return json.loads(client.get(path, HTTP_ACCEPT=HEADERS["HTTP_ACCEPT"]).content)["versions"]


@pytest.mark.parametrize("path", ["/simple/acme/", "/simple/"])
def test_hit_costs_one_round_trip_and_no_sql(client, public, redis_commands, path):
    """A page held by the process costs one MGET in Redis and no SQL; with 304 the same."""
    add_wheel(public)
    etag = client.get(path, **HEADERS)["ETag"]

    for more in ({}, {"HTTP_IF_NONE_MATCH": etag}):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            commands = redis_commands(lambda more=more: client.get(path, **HEADERS, **more))
        assert (commands, len(queries)) == ({"mget": 1}, 0)


def test_private_hit_costs_the_same(client, index, people, basic, redis_commands):
    """Identity and index come from the process, so a private page costs no more."""
    add_wheel(index)
    headers = HEADERS | basic("reader", "reader-password")
    client.get("/simple/acme/", **headers)

    with CaptureQueriesContext(connection) as queries:
        commands = redis_commands(lambda: client.get("/simple/acme/", **headers))

    assert (commands, len(queries)) == ({"mget": 1}, 0)


def test_page_of_another_process_costs_two_round_trips(client, public, redis_commands):
    """What another process built comes from Redis without SQL."""
    add_wheel(public)
    built = client.get("/simple/acme/", **HEADERS)
    pagecache.local.clear_local()

    with CaptureQueriesContext(connection) as queries:
        commands = redis_commands(lambda: client.get("/simple/acme/", **HEADERS))

    assert (commands, len(queries)) == ({"mget": 1, "hmget": 1}, 0)
    assert client.get("/simple/acme/", **HEADERS).content == built.content


def test_build_asks_two_queries_whatever_the_number_of_files(client, public):
    """A page with many files is one query for the project and one for all its files; the list is one each too."""
    for number in range(12):
        add_wheel(public, version=f"1.{number}")
    client.get("/simple/none/")

    for path in ("/simple/acme/", "/simple/"):
        with CaptureQueriesContext(connection) as queries:
            client.get(path, **HEADERS)
        assert len(queries) == 2


def test_unknown_project_is_remembered(client, public, redis_commands):
    """Asking again for a name that nobody has costs no SQL, and ends when the project comes to be."""
    client.get("/simple/acme/")

    with CaptureQueriesContext(connection) as queries:
        commands = redis_commands(lambda: client.get("/simple/acme/"))
    assert (commands, len(queries)) == ({"mget": 1}, 0)
    add_wheel(public)
    assert versions_of(client) == ["1.0"]


def test_every_change_is_seen_at_once(client, public):
    """After each of many changes the next request has it, in each form."""
    seen = []
    for number in range(5):
        add_wheel(public, version=f"1.{number}")
        seen.append(f"1.{number}")
        assert versions_of(client) == seen
        assert f"acme-1.{number}-".encode() in client.get("/simple/acme/").content
        assert client.get("/simple/")["X-PyPI-Last-Serial"] == client.get("/simple/acme/")["X-PyPI-Last-Serial"]


def test_layout_in_redis_is_the_documented_one(client, public):
    """The hash has the fields that the contract names, and one page has one hash however often it changes."""
    for number in range(3):
        add_wheel(public, version=f"1.{number}")
        body = client.get("/simple/acme/", HTTP_ACCEPT=HEADERS["HTTP_ACCEPT"]).content
    redis = get_redis_connection("default")

    assert redis.keys("page:b:*") == [f"page:b:{REVISION}:{public.pk}:acme:json".encode()]
    fields = redis.hgetall(f"page:b:{REVISION}:{public.pk}:acme:json")
    assert set(fields) == {b"version", b"serial", b"etag", b"identity", b"gzip", b"zstd"}
    assert fields[b"version"] == redis.get(versions.key(public.pk, "acme"))
    assert fields[b"identity"] == body
    assert 0 < redis.ttl(f"page:b:{REVISION}:{public.pk}:acme:json") <= KEEP_SECONDS
    assert redis.keys("page:l:*") == []


def test_large_page_is_not_in_redis(client, public, monkeypatch):
    """What is too large for Redis is kept in files, from which another process of the host takes it."""
    add_wheel(public)
    monkeypatch.setattr(pagecache, "LARGE", 500)

    body = b"".join(client.get("/simple/acme/").streaming_content)

    assert get_redis_connection("default").keys("page:b:*") == []
    pagecache.local.clear_local()
    with CaptureQueriesContext(connection) as queries:
        assert b"".join(client.get("/simple/acme/").streaming_content) == body
    assert len(queries) == 0


def test_stampede_builds_once(public):
    """Twenty threads that miss at once cause one build."""
    add_wheel(public)
    page, builds, results = PageKey(public.pk, "acme", Format.JSON), [], []
    barrier = threading.Barrier(20)

    def ask() -> None:
        with connections["default"].execute_wrapper(_noting(builds)):
            barrier.wait(10)
            results.append(fetch(page, Encoding.GZIP))
        connections.close_all()

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert len({result.body for result in results if result}) == 1
    assert len(results) == 20
    assert len(builds) == 1


def _noting(builds: list[str]):
    def note(execute, sql, params, many, context):
        if "catalog_file" in sql:
            builds.append(sql)
            time.sleep(0.05)
        return execute(sql, params, many, context)

    return note


def test_waits_for_another_process_and_takes_its_page(public):
    """While another process holds the lock, its bytes are waited for and no SQL builds the page."""
    add_wheel(public)
    page = PageKey(public.pk, "acme", Format.JSON)
    built = fetch(page, Encoding.GZIP)
    pagecache.local.clear_local()
    redis = get_redis_connection("default")
    fields = redis.hgetall(page.bytes_key)
    redis.delete(page.bytes_key)
    redis.set(page.lock_key, "another", px=5_000)

    threading.Timer(0.3, lambda: redis.hset(page.bytes_key, mapping=fields)).start()
    with CaptureQueriesContext(connection) as queries:
        waited = fetch(page, Encoding.GZIP)

    assert (waited, len(queries)) == (built, 0)
    assert redis.get(page.lock_key) == b"another"


def test_wait_for_a_dead_process_is_bounded(public, monkeypatch):
    """A lock whose holder died delays the page by the bounded wait, then it is built here."""
    monkeypatch.setattr(pagecache, "WAIT_SECONDS", 0.2)
    add_wheel(public)
    page = PageKey(public.pk, "acme", Format.JSON)
    get_redis_connection("default").set(page.lock_key, "dead", px=60_000)

    began = time.monotonic()
    built = fetch(page, Encoding.IDENTITY)

    assert built is not None
    assert 0.2 <= time.monotonic() - began < 15


def test_older_bytes_are_never_served_for_a_newer_version(client, public):
    """Bytes that were built before a change are not used after it, wherever they lie."""
    add_wheel(public)
    page = PageKey(public.pk, "acme", Format.JSON)
    old = fetch(page, Encoding.IDENTITY)
    redis = get_redis_connection("default")
    fields = redis.hgetall(page.bytes_key)
    add_wheel(public, version="2.0")
    redis.hset(page.bytes_key, mapping=fields)  # a slow process stores what it built before

    assert versions_of(client) == ["1.0", "2.0"]
    assert old is not None


def test_dirty_version_sends_readers_to_sql(client, public):
    """While a writer is between its marks, readers use SQL and leave the mark alone."""
    add_wheel(public)
    redis = get_redis_connection("default")
    redis.set(versions.key(public.pk, "acme"), versions.DIRTY % 9, ex=30)

    assert versions_of(client) == ["1.0"]
    assert redis.get(versions.key(public.pk, "acme")) == versions.DIRTY % 9


def test_without_redis_pages_are_served_and_fresh(client, public, redis_server):
    """With Redis gone, a page costs one query for its version, or a build, and changes show at once."""
    add_wheel(public)
    client.get("/simple/acme/", **HEADERS)
    redis_server.stop()

    began = time.monotonic()
    assert versions_of(client) == ["1.0"]
    with CaptureQueriesContext(connection) as queries:
        client.get("/simple/acme/", **HEADERS)
    assert len([q for q in queries if "catalog_project" in q["sql"]]) == 1
    assert not [q for q in queries if "catalog_file" in q["sql"]]
    add_wheel(public, version="2.0")
    assert versions_of(client) == ["1.0", "2.0"]
    assert client.get("/simple/none/").status_code == 404
    assert time.monotonic() - began < 10


def test_redis_that_comes_back_empty(client, public, redis_server):
    """A Redis that lost everything is filled again."""
    add_wheel(public)
    client.get("/simple/acme/", **HEADERS)
    get_redis_connection("default").flushdb()

    assert versions_of(client) == ["1.0"]
    assert get_redis_connection("default").get(versions.key(public.pk, "acme")) == b"2"


def test_project_that_went_away(client, public):
    """A project that was removed is 404 at once, though its page was cached."""
    add_wheel(public)
    client.get("/simple/acme/", **HEADERS)
    with changing(public.pk, public.slug, SYSTEM) as change:
        project = Project.objects.get()
        change.note("remove project", project)
        project.delete()

    assert client.get("/simple/acme/", **HEADERS).status_code == 404
    assert json.loads(client.get("/simple/", **HEADERS | {"HTTP_ACCEPT_ENCODING": ""}).content)["projects"] == []


@pytest.mark.parametrize("encoding", list(Encoding))
def test_compression_is_the_same_each_time(encoding):
    """Equal bytes compress equally, so that a strong entity tag is true on every host."""
    body = b"acme" * 1_000

    assert pagecache.compressed(body)[encoding] == pagecache.compressed(body)[encoding]
