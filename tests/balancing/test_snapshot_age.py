"""How old a picture callers go by."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from balancing import snapshot
from balancing.picture import Picture
from tests.balancing.conftest import add

db = pytest.mark.django_db(transaction=True)


@db
def test_other_threads_go_on_while_one_looks():
    """Who finds the picture old while another looks takes the old one at once."""
    add("a")
    seen = snapshot.current()
    snapshot._checked = time.monotonic() - 1.5
    with snapshot._lock:
        start = time.monotonic()
        assert snapshot.current() is seen
        assert time.monotonic() - start < 0.1


@db
def test_no_caller_of_a_process_that_was_idle_goes_on_with_an_old_picture(monkeypatch):
    """Many callers at once after a minute without any: one looks, and all see the node that was added meanwhile."""
    snapshot.current()
    add("fresh")
    fetch, looked = snapshot._fetch, []

    def slowly():
        looked.append(1)
        time.sleep(0.1)
        return fetch()

    monkeypatch.setattr(snapshot, "_fetch", slowly)
    monkeypatch.setattr(snapshot, "_held", Picture())
    monkeypatch.setattr(snapshot, "_checked", time.monotonic() - 60)
    barrier = threading.Barrier(8)

    def ask(_):
        barrier.wait(10)
        return snapshot.current().member("fresh") is not None

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == [True] * 8
    assert len(looked) == 1


@db
def test_wait_for_the_picture_is_bounded(monkeypatch):
    """While somebody looks for long, others of an idle process go on with the old one after a moment."""
    add("a")
    seen = snapshot.current()
    monkeypatch.setattr(snapshot, "_checked", time.monotonic() - 60)
    start = time.monotonic()

    with snapshot._lock:
        assert snapshot.current() is seen

    assert time.monotonic() - start < 5
