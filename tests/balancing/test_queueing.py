"""Downloads that wait for a node at its `max_conns`."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from balancing import picker, queueing
from tests.balancing.conftest import UP, add

pytestmark = pytest.mark.django_db(transaction=True)
FILE = "ab" * 32
HOLDERS = frozenset({"a"})


@pytest.fixture(autouse=True)
def _queue(settings):
    settings.BALANCING = settings.BALANCING | {"QUEUE": 2, "QUEUE_SECONDS": 2.0}


@pytest.fixture
def full():
    """One node with one place, which is taken."""
    add("a", max_conns=1)
    assert [one.name for one in queueing.order(FILE, HOLDERS)] == ["a"]
    picker.begun("a")


def test_waiter_gets_the_place_that_comes_free(full):
    """Who finds the node full gets it as soon as a transfer ends."""
    threading.Timer(0.3, picker.ended, ["a", 0.3, True]).start()
    began = time.monotonic()

    found = queueing.order(FILE, HOLDERS)

    assert [one.name for one in found] == ["a"]
    assert 0.2 < time.monotonic() - began < 2


def test_wait_is_bounded(full, settings):
    """Nobody waits longer than the set time, and then gets no node."""
    settings.BALANCING = settings.BALANCING | {"QUEUE_SECONDS": 0.3}  # forgets what was begun
    picker.begun("a")
    began = time.monotonic()

    assert queueing.order(FILE, HOLDERS) == []
    assert 0.2 < time.monotonic() - began < 2


def test_queue_is_bounded(full):
    """The third waiter of a queue for two is sent away at once, and the queue is empty afterwards."""
    took = []

    def wait(_):
        began = time.monotonic()
        found = queueing.order(FILE, HOLDERS)
        took.append(time.monotonic() - began)
        return found

    with ThreadPoolExecutor(5) as pool:
        assert list(pool.map(wait, range(5))) == [[]] * 5

    assert sum(seconds > 1 for seconds in took) == 2
    threading.Timer(0.2, picker.ended, ["a", 0.3, True]).start()
    assert queueing.order(FILE, HOLDERS)


@pytest.mark.parametrize("queue", [0, 5])
def test_only_full_nodes_are_waited_for(settings, queue):
    """A file that no node has, or whose nodes are down, waits for nobody."""
    settings.BALANCING = settings.BALANCING | {"QUEUE": queue, "RULES": {"panic": 0.0}}
    add("a")
    add("b", max_conns=1, state=UP.__class__())
    began = time.monotonic()

    assert queueing.order(FILE, frozenset()) == queueing.order(FILE, frozenset({"b"})) == []
    assert time.monotonic() - began < 1
