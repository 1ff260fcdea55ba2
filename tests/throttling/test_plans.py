"""How old the plans in force may be."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from throttling import plans, services, store
from throttling.models import Plan
from throttling.snapshot import Snapshot

pytestmark = pytest.mark.django_db(transaction=True)


def test_no_request_of_a_process_that_was_idle_goes_on_with_old_plans(monkeypatch):
    """Many requests arrive at once after a minute without any: one reads the plans, and all go by them."""
    services.save(Plan(name="new"), actor="test")
    read, compile_rows = [], plans.compile_rows

    def slowly(version):
        read.append(version)
        time.sleep(0.1)
        return compile_rows(version)

    monkeypatch.setattr(plans, "compile_rows", slowly)
    monkeypatch.setattr(plans, "_snapshot", Snapshot("old"))
    monkeypatch.setattr(plans, "_checked", time.monotonic() - 60)
    barrier = threading.Barrier(8)

    def request(_):
        barrier.wait(10)
        return set(plans.current().plans)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(request, range(8)))

    assert found == [{"new"}] * 8
    assert len(read) == 1


def test_wait_for_the_plans_is_bounded(monkeypatch):
    """While somebody reads them for long, others go on with the last ones after a moment."""
    monkeypatch.setattr(plans, "_snapshot", Snapshot("old"))
    monkeypatch.setattr(plans, "_checked", time.monotonic() - 60)
    began = time.monotonic()

    with plans._lock, ThreadPoolExecutor(1) as pool:
        found = pool.submit(plans.current).result(10)

    assert found.version == "old"
    assert time.monotonic() - began < 5


def looks(work, monkeypatch) -> list[str]:
    """What `work` asks the store and the database for the plans."""
    asked = []
    read, number = store.get().read_version, plans._number
    monkeypatch.setattr(store.get(), "read_version", lambda: [asked.append("store"), read()][1])
    monkeypatch.setattr(plans, "_number", lambda: [asked.append("database"), number()][1])
    work()
    return asked


@pytest.fixture
def in_force():
    """Plans that this process has just read."""
    services.save(Plan(name="new"), actor="test")
    return plans.current()


def test_who_must_not_wait_confirms_the_plans_once_a_second(in_force, monkeypatch):
    """By one question to the store and none to the database; then nobody else needs to look."""
    monkeypatch.setattr(plans, "_checked", time.monotonic() - 1.5)
    assert not plans.is_fresh()

    def work():
        plans.confirm()
        plans.confirm()
        assert plans.is_fresh()
        assert plans.current() is in_force

    assert looks(work, monkeypatch) == ["store"]


def test_plans_that_changed_are_not_confirmed(in_force, monkeypatch):
    """Whoever may wait reads the new ones."""
    store.get().publish_version("another")
    monkeypatch.setattr(plans, "_checked", time.monotonic() - 1.5)

    plans.confirm()

    assert not plans.is_fresh()
    assert looks(plans.current, monkeypatch) == ["store", "database"]


def test_one_is_sent_to_ask_the_database_when_nobody_has_for_long(in_force, monkeypatch):
    """Half a minute after the last time one of many is told to look, and the others go on."""
    monkeypatch.setattr(plans, "_confirmed", time.monotonic() - plans.ASK_DATABASE - 1)
    monkeypatch.setattr(plans, "_looked", time.monotonic() - plans.ASK_DATABASE - 1)

    assert [plans.is_fresh() for _ in range(5)] == [False, True, True, True, True]
    assert looks(lambda: [plans.look_if_due() for _ in range(5)], monkeypatch) == ["store", "database"]
    assert plans.is_fresh()


def test_confirming_waits_for_nobody(in_force, monkeypatch):
    """Not for a thread that reads the plans, and not without plans to confirm."""
    monkeypatch.setattr(plans, "_checked", time.monotonic() - 1.5)
    with plans._lock:
        assert looks(lambda: ThreadPoolExecutor(1).submit(plans.confirm).result(5), monkeypatch) == []
    plans.reset()
    assert looks(plans.confirm, monkeypatch) == []
