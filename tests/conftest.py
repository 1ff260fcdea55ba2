"""Fixtures for every test: people with fixed parts to play, indexes of each visibility, clean shared memory."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from django.urls import clear_script_prefix
from django_redis import get_redis_connection
from redis.connection import AbstractConnection

from pkgindex import nearcache, shared
from pkgindex.accounts.models import Role, User
from pkgindex.accounts.roles import Rank
from pkgindex.catalog.models import Index
from tests.support import gateway, plugin
from tests.support.catalogue import open_index
from throttling import plans, stats
from throttling import store as limiter
from throttling.snapshot import Snapshot
from throttling.stores.failover import FailoverStore


@pytest.fixture(autouse=True)
def _clean_shared_memory():
    """No test sees what another left in Redis or in the process."""
    if plugin.redis_server.process is None:
        plugin.redis_server.start()
    shared.breaker.reset()
    get_redis_connection("default").flushdb()
    for cache in nearcache.every:
        cache.clear_local()
    # No plan limits anybody, and nobody looks for one, until a test saves one: else the numbers of queries that tests
    # assert would depend on whether a second has passed.
    plans._snapshot, plans._checked = Snapshot(), time.monotonic() + 3_600
    plans._confirmed = plans._checked
    stats._pending.clear()  # else a request would be sent to tell of it
    yield
    clear_script_prefix()  # where a request through Django's own handler came under a mount point
    held = limiter._store
    if isinstance(held, FailoverStore):
        held.primary.close()
    limiter.reset()


@pytest.fixture
def redis_server():
    """The test run's Redis, to be stopped and started; it is running again for the next test.

    Whatever is set up for a whole module comes before that test's own fixtures, so it is started here.
    """
    yield plugin.redis_server
    if plugin.redis_server.process is None:
        plugin.redis_server.start()


@dataclass
class People:
    """Four people of an index: each test about access reads the same."""

    owner: User
    maintainer: User
    uploader: User
    reader: User
    stranger: User


@pytest.fixture
def index(db) -> Index:
    """The default index, private."""
    return Index.objects.create(slug="main", title="Main", is_default=True)


@pytest.fixture
def people(index) -> People:
    """Owner, maintainer, uploader and reader of the default index, and a stranger with an account and no role."""
    made = {}
    for name in ("owner", "maintainer", "uploader", "reader"):
        made[name] = User.objects.create_user(name, password=f"{name}-password")
        Role.objects.create(user=made[name], index=index, rank=Rank(name).value)
    return People(stranger=User.objects.create_user("stranger", password="stranger-password"), **made)


@pytest.fixture
def admin_user(db) -> User:
    """A superuser."""
    return User.objects.create_superuser("root", "root@example.org", "root-password")


@pytest.fixture
def basic() -> Callable[[str, str], dict[str, str]]:
    """Make the header of HTTP Basic authentication for Django's test client."""
    from base64 import b64encode

    return lambda user, secret: {
        "HTTP_AUTHORIZATION": "Basic " + b64encode(f"{user}:{secret}".encode()).decode(),
    }


@pytest.fixture(autouse=True)
def _own_blobs(tmp_path, settings):
    """Blobs and spool files of a test are its own."""
    settings.STORAGES = {
        **settings.STORAGES,
        "blobs": {**settings.STORAGES["blobs"], "OPTIONS": {"location": str(tmp_path / "blobs")}},
    }
    settings.SPOOL_DIR = tmp_path / "spool"
    settings.PAGES_DIR = tmp_path / "pages"


@pytest.fixture
def round_trips(monkeypatch) -> Callable[[Callable[[], object]], int]:
    """Run something and get how often it waited for Redis: what is sent as one packet is one round trip."""
    sent: list[object] = []
    send = AbstractConnection.send_packed_command

    def counted(self, command, check_health=True):
        sent.append(command)
        return send(self, command, check_health=check_health)

    monkeypatch.setattr(AbstractConnection, "send_packed_command", counted)

    def count(work: Callable[[], object]) -> int:
        sent.clear()
        work()
        return len(sent)

    return count


@pytest.fixture
def public(db) -> Index:
    """A public default index with a project."""
    return open_index()


@pytest.fixture(params=gateway.GATES)
def gate(request):
    """How a server asks: any one by a call, our worker at once and then by a call."""
    gateway.known.clear()
    return gateway.GATES[request.param]
