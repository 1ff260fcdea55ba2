"""What nodes served, and how far they are behind."""

import time
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from balancing import shared, stats
from balancing.models import Replica, ReplicaState
from tests.balancing.conftest import add, forget
from tests.standalone.servers import Redis

pytestmark = pytest.mark.django_db(transaction=True)
NOON = 2_000_001_600.0  # the beginning of a clock hour


def copy(number, node, state, **fields):
    fields = {"size": 10, "due_at": timezone.now()} | fields
    return Replica.objects.create(digest=f"{number:064x}", node_id=node, state=state, **fields)


def test_share_of_traffic_over_all_processes():
    """Downloads and bytes; what another process counted is in it."""
    for size in (100, 200):
        stats.count("a", size)
    stats.flush()
    forget()
    stats.count("b", 50)
    found = stats.served()
    assert found == {"a": stats.Served(2, 300, 2 / 3), "b": stats.Served(1, 50, 1 / 3)}


def test_counts_go_to_the_store_once_a_second():
    """A thousand downloads are a handful of commands."""
    stats.count("a")
    before = shared.ask(lambda client: client.info("stats")["total_commands_processed"], 0)
    for _ in range(1_000):
        stats.count("a")
    spent = shared.ask(lambda client: client.info("stats")["total_commands_processed"], 0) - before
    assert spent <= 10
    assert stats.served()["a"].downloads == 1_001


def test_last_hour_reaches_into_the_one_before():
    """A quarter past, three quarters of the hour before count."""
    with time_machine.travel(NOON - 60, tick=False) as clock:
        for _ in range(100):
            stats.count("a")
        stats.flush()
        clock.shift(60 + 900)
        assert stats.served()["a"].downloads == 75
        stats.count("b")
        assert stats.served()["b"] == stats.Served(1, 0, 1 / 76)
        clock.shift(7_200)
        assert stats.served() == {}


def test_buckets_are_gone_after_a_day():
    """The store keeps what somebody may ask for."""
    stats.count("a")
    stats.flush()
    key = stats.KEY.format(hour=int(time.time() // stats.HOUR))
    assert 24 * 3_600 < shared.ask(lambda client: client.ttl(key), 0) <= 25 * 3_600


def test_counts_survive_a_store_that_is_away(settings):
    """They are kept, for a bounded number of nodes, and added when it is back."""
    server = Redis().start()
    settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": f"{server.url}/0"}}
    server.stop()
    try:
        for _ in range(7):
            stats.count("a", 3)
        assert stats.served() == {}
        server.start()
        end = time.monotonic() + 5
        while "a" not in stats.served():
            assert time.monotonic() < end
            time.sleep(0.05)
        assert stats.served()["a"] == stats.Served(7, 21, 1.0)
    finally:
        server.close()


def test_lag_of_a_node():
    """Copies and bytes by state; finished ones are not lag; the oldest new one tells since when."""
    for name in "ab":
        add(name)
    for number, state in enumerate(ReplicaState.values):
        copy(number, "a", state)
    old = copy(100, "a", "pending")
    Replica.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(minutes=5))
    found = stats.lag()
    assert found["a"].copies == {"pending": 2, "copying": 1, "corrupt": 1, "failed": 1}
    assert (found["a"].bytes["pending"], found["a"].total) == (20, 5)
    assert found["a"].oldest == pytest.approx(300, abs=10)
    assert found["b"] == stats.Lag()
    assert list(stats.lag(["b"])) == ["b"]


def test_copy_that_is_made_anew_is_no_old_one():
    """A file of last year whose copy was lost today does not look a year behind."""
    add("a")
    row = copy(1, "a", "pending", verified_at=timezone.now())
    Replica.objects.filter(pk=row.pk).update(created_at=timezone.now() - timedelta(days=365))
    assert (stats.lag()["a"].total, stats.lag()["a"].oldest) == (1, None)


def test_lag_of_a_file():
    """Where it is, where it is missing, and for how long."""
    for name in "abcd":
        add(name)
    for name, state in zip("abcd", ["verified", "pending", "failed", "deleted"], strict=True):
        copy(1, name, state)
    found = stats.of_file(f"{1:064x}")
    assert found["copies"] == {"a": "verified", "b": "pending", "c": "failed"}
    assert (found["wanted"], found["verified"]) == (3, 1)
    assert found["oldest"] == pytest.approx(0, abs=10)
    assert stats.of_file("0" * 64) == {"digest": "0" * 64, "copies": {}, "wanted": 0, "verified": 0, "oldest": None}


def test_lag_looks_at_no_finished_copy(django_assert_num_queries, django_capture_on_commit_callbacks):
    """Two queries whatever there is, each by an index."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    for name in "abc":
        add(name)
    with CaptureQueriesContext(connection) as seen:
        stats.lag()
    assert len(seen) == 2
    for query in seen.captured_queries:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}")
            plan = "\n".join(row[3] for row in cursor.fetchall())
        assert "SCAN balancing_replica" not in plan
        assert "SCAN U0" not in plan
        assert "balancing_replica_waiting" in plan or "balancing_replica_node (node_id=? AND state=?)" in plan
        assert "COVERING" in plan
