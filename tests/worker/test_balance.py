"""Connections are spread over the workers of a server."""

import json
import signal
from collections import Counter
from contextlib import ExitStack, contextmanager

import psutil
import pytest

from pkgindex.worker.fellows import ALIVE_SECONDS, SLOTS, Fellows
from tests.worker.served import Served, request


@pytest.fixture
def own(tmp_path):
    """Two workers."""
    with Served(tmp_path, ("--workers", "2", "--keep-alive", "30")) as served:
        served.wait_for_workers(2)
        yield served


def who(talk, path="/at-once"):
    """Which process answers."""
    return json.loads(talk.ask(request(path)).body)["PROCESS"]


@contextmanager
def stopped(workers):
    """They stand still until they are told to go on, or the end."""
    for one in workers:
        one.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for one in workers:
            one.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("path", ["/at-once", "/nothing"])
def test_lasting_connections_are_spread(own, path):
    """Whoever wakes up first, each worker has about half of them: one that was slow to wake up gets the next ones."""
    with ExitStack() as stack:
        talks = [stack.enter_context(own.connect()) for _ in range(2)]
        answered = Counter(who(talk, path) for talk in talks)
        for _ in range(10):
            answered[who(stack.enter_context(own.connect()), path)] += 1
        assert len(answered) == 2
        assert max(answered.values()) - min(answered.values()) <= 2


def test_a_burst_is_spread_too(own):
    """Connections that are there all at once: each worker takes several in a turn, and none takes nearly all."""
    with stopped(own.workers()), ExitStack() as stack:
        talks = [stack.enter_context(own.connect()) for _ in range(32)]
        for talk in talks:
            talk.send(request("/at-once"))
        for one in own.workers():
            one.send_signal(signal.SIGCONT)
        answered = Counter(json.loads(talk.read().body)["PROCESS"] for talk in talks)
    assert len(answered) == 2
    assert min(answered.values()) >= 4


def test_what_comes_together_is_answered_together(tmp_path):
    """New connections with their first requests cost one turn of the loop, not one or two each."""
    with Served(tmp_path) as served, stopped([served.worker_process()]), ExitStack() as stack:
        talks = [stack.enter_context(served.connect()) for _ in range(10)]
        for talk in talks:
            talk.send(request("/at-once"))
        served.worker_process().send_signal(signal.SIGCONT)
        assert {talk.read().fields["x-together"] for talk in talks} == {"10"}


def test_a_worker_that_hangs_costs_little(own):
    """It has fewer connections and takes none: the other one does, after a moment."""
    first, second = own.workers()
    with stopped([first]), ExitStack() as stack:
        for _ in range(10):
            assert who(stack.enter_context(own.connect())) == str(second.pid)


def test_with_sockets_of_their_own_the_kernel_spreads(tmp_path):
    """`reuse_port`: nobody waits for another to take what only this worker can."""
    with Served(tmp_path, ("--workers", "2", "--reuse-port", "--keep-alive", "30")) as served, ExitStack() as stack:
        assert all(who(stack.enter_context(served.connect())) for _ in range(20))


def test_a_worker_that_dies_is_followed_by_one_that_takes_its_share(own):
    """Its count is not held against the others."""
    with ExitStack() as stack:
        held = [stack.enter_context(own.connect()) for _ in range(6)]
        assert len({who(talk) for talk in held}) == 2
        first, _ = own.workers()
        first.kill()
        psutil.wait_procs([first], 5)
        own.wait_for_workers(2)
        new = [stack.enter_context(own.connect()) for _ in range(3)]
        assert len({who(talk) for talk in new} - {str(first.pid)}) >= 1


def test_counts(monkeypatch):
    """Who has more than one that lives; the dead, the departed and oneself do not count."""
    clock = 1_000.0
    monkeypatch.setattr("pkgindex.worker.fellows.time.monotonic", lambda: clock)
    one, two, three = Fellows(1), Fellows(2), Fellows(SLOTS + 3)
    one.tell(5)
    assert not one.any_has_fewer_than(5)
    two.tell(4)
    assert one.any_has_fewer_than(5)
    assert not two.any_has_fewer_than(4)
    three.tell(0)
    assert two.any_has_fewer_than(4)
    three.leave()
    assert not two.any_has_fewer_than(4)
    clock += ALIVE_SECONDS
    assert not one.any_has_fewer_than(9)
