"""Many readers of a page that just changed: one build for all, and nobody reads what is older than they know."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import httpx
import pytest
from django.db import connections

from pkgindex.catalog.models import Index
from pkgindex.simple import pagecache
from pkgindex.simple.lru import Ready
from pkgindex.simple.negotiate import Encoding
from pkgindex.simple.pagecache import PageKey, fetch
from pkgindex.simple.serialize import Format
from tests.support.catalogue import add_wheel
from tests.support.live import LiveServer
from tests.support.prometheus import read

JSON = "application/vnd.pypi.simple.v1+json"
READERS = 200
# A pool that closes what idles may close what another thread was just given (httpcore): every connection stays.
LIMITS = httpx.Limits(max_connections=READERS, max_keepalive_connections=READERS, keepalive_expiry=60)
ADD = """
from pkgindex.catalog.models import Index
from tests.support.catalogue import add_wheel
add_wheel(Index.objects.get(), "{name}", "9.{number}")
"""


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """Two gunicorns on one data directory and one Redis, with a project of 600 files and one of 6,000."""
    home = tmp_path_factory.mktemp("stampede")
    keep = ("--keep-alive", "65")  # as in production: a kept connection must not end just as it is used again
    with LiveServer(home, threads=32, options=keep) as first:
        first.evaluate("Index.objects.update(visibility='public')")
        for seed, files in (("small", 600), ("large", 6_000)):
            arguments = ["--projects", "2", "--files", "2", "--one-large", str(files), "--seed", seed, "--yes-i-know"]
            done = first.manage("load_synthetic", *arguments)
            assert done.returncode == 0, done.stderr
        second = LiveServer(home, redis_database=first.redis_database, threads=32, options=keep).start()
        yield first, second
        second.stop()


def builds(servers) -> float:
    texts = [httpx.get(f"{server.url}/metrics").text for server in servers]
    return sum(read(text).get('pkgindex_page_build_seconds_count{format="json"}', 0) for text in texts)


@pytest.fixture
def clients(servers):
    """A client of each server, its connections shared by all readers."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(httpx.Client(base_url=server.url, headers={"Accept": JSON}, timeout=60, limits=LIMITS))
            for server in servers
        ]


@pytest.mark.parametrize("kind", ["small", "large"])
def test_two_hundred_readers_of_two_processes_cause_one_build(servers, clients, kind):
    """After each change one thread of one process builds; all get the new page, from Redis or from a file."""
    name = f"synthetic-{kind}-large"
    for number in range(3):
        done = servers[0].manage("shell", "--no-imports", "-c", ADD.format(name=name, number=number))
        assert done.returncode == 0, done.stderr
        before = builds(servers)

        def ask(place: int) -> str:
            return clients[place % 2].get(f"/simple/{name}/").json()["versions"][-1]

        with ThreadPoolExecutor(READERS) as pool:
            seen = set(pool.map(ask, range(READERS)))

        assert (seen, builds(servers) - before) == ({f"9.{number}"}, 1)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("large", [False, True], ids=["in Redis", "in a file"])
def test_a_burst_of_changes_is_built_a_few_times(monkeypatch, large):
    """While a page is built slowly, fifty changes arrive: few builds cover all of them.

    A reader's page has every change that was answered before the reader began.
    """
    index = Index.objects.create(slug="open", is_default=True, visibility="public")
    add_wheel(index, version="1.0")
    if large:
        monkeypatch.setattr(pagecache, "LARGE", 0)
    page, made, answered, stop, faults = PageKey(index.pk, "acme", Format.JSON), [], [1], threading.Event(), []
    draft = pagecache.source.draft

    def slowly(*arguments):
        made.append(time.monotonic())
        found = draft(*arguments)
        time.sleep(0.3)
        return found

    monkeypatch.setattr(pagecache.source, "draft", slowly)

    def poll() -> None:
        while not stop.is_set():
            expected = answered[0]
            with suppress(FileNotFoundError):  # a newer page took its place before this reader opened it
                found = _files_in(fetch(page, Encoding.IDENTITY))
                if found < expected:
                    faults.append((found, expected))
        connections.close_all()

    readers = [threading.Thread(target=poll) for _ in range(20)]
    for reader in readers:
        reader.start()
    for number in range(1, 51):
        add_wheel(index, version=f"1.{number}")
        answered[0] = number + 1
    took = time.monotonic() - made[0]
    stop.set()
    for reader in readers:
        reader.join(30)

    assert faults == []
    assert len(made) <= took / 0.3 + 3  # as many as fit one behind the other


def _files_in(ready: Ready | None) -> int:
    assert ready is not None
    return (ready.path.read_bytes() if ready.path else ready.body).count(b'"filename"')
