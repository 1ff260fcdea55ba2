"""How old the plans in force may be."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from throttling import plans, services
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
