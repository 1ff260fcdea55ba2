"""Where hosts share ready pages: real servers, each held to the same; what fails costs speed and never an answer."""

import os
import threading
import time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pkgindex.catalog.models import Index
from pkgindex.simple import pagecache, shelves
from pkgindex.simple.negotiate import Encoding
from pkgindex.simple.pagecache import PageKey, fetch
from pkgindex.simple.serialize import Format
from pkgindex.simple.shelves import Item, Shelf, of_url
from pkgindex.simple.shelves.memcached import MOST_PIECES, PIECE
from tests.support.catalogue import add_wheel
from tests.support.memcached import MemcachedServer

PAGE = "page:b:1:acme:json"
ETAG = "a" * 64


@pytest.fixture(scope="module")
def _memcached():
    server = MemcachedServer().start()
    yield server
    server.stop()


@pytest.fixture
def memcached(_memcached) -> MemcachedServer:
    """A running, empty Memcached; the test may stop or freeze it."""
    _memcached.stop()
    return _memcached.start()


@pytest.fixture
def made():
    """Make a shelf for a URL; its connections are closed when the test ends."""
    found = []

    def make(url: str) -> Shelf:
        found.append(of_url(url))
        return found[-1]

    yield make
    for one in found:
        one.close()


@pytest.fixture(params=["redis", "memcached", "two memcacheds", "none"])
def shelf(request, made):
    """Each kind of shelf."""
    if request.param in {"redis", "none"}:
        yield made("" if request.param == "redis" else "none:")
        return
    first = request.getfixturevalue("memcached")
    if request.param == "memcached":
        yield made(f"memcached://{first.place}")
        return
    second = MemcachedServer().start()
    yield made(f"memcached://{first.place},{second.place}")
    second.stop()


def bodies(size: int) -> dict[Encoding, bytes]:
    return {encoding: encoding.value.encode() + os.urandom(size) for encoding in Encoding}


class TestEveryShelf:
    """What each of them does."""

    @pytest.mark.parametrize("size", [0, 1, 5_000, PIECE, 1 << 20, 3 << 20])
    def test_what_was_put_is_got_back_whole(self, shelf, size):
        """Bytes come back as they were in each coding, also above the limit of an item; or nothing does."""
        given = bodies(size)
        shelf.put(PAGE, 7, 6, ETAG, given)
        keeps = not isinstance(shelf, shelves.NullShelf)

        for encoding, body in given.items():
            assert shelf.get(PAGE, encoding) == (Item(7, 6, ETAG, body) if keeps else None)
        assert shelf.may_have(PAGE, 7) is keeps
        assert shelf.get("page:b:1:beta:json", Encoding.GZIP) is None

    def test_a_newer_page_replaces_an_older(self, shelf):
        """There is one page of a name."""
        for version, size in ((1, 2 << 20), (2, 10)):
            given = bodies(size)
            shelf.put(PAGE, version, version, ETAG, given)

        found = shelf.get(PAGE, Encoding.ZSTD)
        assert found is None or (found.version, found.body) == (2, given[Encoding.ZSTD])

    def test_any_name_is_a_key(self, shelf):
        """Long names, spaces and other scripts in a prefix are kept apart."""
        for number, page in enumerate(["page:b:1:" + "x" * 300, "page:b:1:a:html:/my pages/", "page:b:1:a:html:/ä\n/"]):
            shelf.put(page, number + 1, 1, ETAG, {Encoding.GZIP: page.encode()})
            found = shelf.get(page, Encoding.GZIP)
            assert found is None or found == Item(number + 1, 1, ETAG, page.encode())


def test_a_dropped_or_exchanged_piece_is_a_miss(memcached, made):
    """Memcached forgets single items: a body that is not whole is not there."""
    shelf = made(f"memcached://{memcached.place}")
    for harm in ("delete", "exchange"):
        shelf.put(PAGE, 7, 6, ETAG, bodies(2 << 20))
        server, key = shelf._at(PAGE, Encoding.GZIP)
        digest = server.attempt(lambda client, key=key: client.get(key), None).split(b'"digest": "')[1][:32].decode()
        piece = f"{key}:{digest}:1"
        assert server.attempt(lambda client, piece=piece: client.get(piece), None)
        if harm == "delete":
            server.attempt(lambda client, piece=piece: client.delete(piece, noreply=False), None)
        else:
            server.attempt(lambda client, piece=piece: client.set(piece, b"x", noreply=False), None)

        assert shelf.get(PAGE, Encoding.GZIP) is None
        assert shelf.get(PAGE, Encoding.ZSTD) is not None


@pytest.mark.parametrize(
    "rubbish", [b"", b"x", b"{}\n", b"[]\nx", b'{"page":1}\n', b"\xff\xfe\n", b'{"pieces":1e9}\n', b"9" * 9_000]
)
def test_rubbish_is_a_miss(memcached, made, rubbish):
    """What somebody else left under the key is not taken for a page."""
    shelf = made(f"memcached://{memcached.place}")
    server, key = shelf._at(PAGE, Encoding.GZIP)
    server.attempt(lambda client: client.set(key, rubbish, noreply=False), None)

    assert shelf.get(PAGE, Encoding.GZIP) is None


def test_what_would_be_too_many_pieces_is_not_kept(memcached, made, monkeypatch):
    """The number of pieces is bounded."""
    monkeypatch.setattr("pkgindex.simple.shelves.memcached.PIECE", 10)
    shelf = made(f"memcached://{memcached.place}")

    shelf.put(PAGE, 7, 6, ETAG, {Encoding.GZIP: b"x" * 10 * MOST_PIECES, Encoding.ZSTD: b"x" * 11 * MOST_PIECES})

    assert shelf.get(PAGE, Encoding.GZIP) is not None
    assert shelf.get(PAGE, Encoding.ZSTD) is None


def test_many_threads_share_the_connections(memcached, made):
    """Threads put and get at once, and each gets a whole page."""
    shelf, faults = made(f"memcached://{memcached.place}"), []

    def work(number: int) -> None:
        for version in range(20):
            shelf.put(PAGE, version, number, ETAG, {Encoding.GZIP: bytes([number]) * 200_000})
            found = shelf.get(PAGE, Encoding.GZIP)
            if found is None or found.body != found.body[:1] * 200_000:
                faults.append(found)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert faults == []


@pytest.mark.django_db(transaction=True)
class TestPages:
    """Pages of an installation that shares them through Memcached."""

    @pytest.fixture(autouse=True)
    def _index(self, memcached, settings, transactional_db):
        settings.PAGE_CACHE_URL = f"memcached://{memcached.place}"
        index = Index.objects.create(slug="open", is_default=True, visibility="public")
        self.page = PageKey(index.pk, "acme", Format.JSON)
        self.index = index
        add_wheel(index)
        yield
        shelves._made.pop(settings.PAGE_CACHE_URL).close()

    def forgotten(self) -> bytes:
        """The page as a process gets it that holds nothing."""
        pagecache.local.clear_local()
        ready = fetch(self.page, Encoding.IDENTITY)
        assert ready is not None
        return ready.body

    def test_another_process_takes_the_page_without_sql(self):
        """What one built the others take from Memcached, and every change shows at once."""
        for number in range(3):
            add_wheel(self.index, version=f"2.{number}")
            built = fetch(self.page, Encoding.IDENTITY)
            with CaptureQueriesContext(connection) as queries:
                assert self.forgotten() == built.body
            assert (len(queries), built.body.count(b'"filename"')) == (0, number + 2)

    @pytest.mark.parametrize("harm", ["stop", "freeze"])
    def test_a_lost_or_silent_server_costs_speed_alone(self, memcached, harm):
        """Pages come from SQL while it is away, within a bounded time, and from it again when it is back."""
        expected = self.forgotten()
        getattr(memcached, harm)()
        try:
            began = time.monotonic()
            for number in range(10):
                assert self.forgotten() == expected
                add_wheel(self.index, version=f"3.{number}")
                expected = self.forgotten()
                assert expected.count(b'"filename"') == number + 2
            assert time.monotonic() - began < 15
        finally:
            memcached.start() if harm == "stop" else memcached.thaw()
        end = time.monotonic() + 10
        queries = ["any"]
        while queries and time.monotonic() < end:
            time.sleep(0.3)
            with CaptureQueriesContext(connection) as queries:
                assert self.forgotten() == expected
        assert len(queries) == 0
