"""The workers of a server share its connections: one has them all as long as it can bear that."""

import errno
import json
import signal
import socket
import time
from collections import Counter
from contextlib import ExitStack, contextmanager

import psutil
import pytest

from pkgindex.worker import sharing
from tests.worker.asking import OPTIONS, asking, environ, halved, who
from tests.worker.served import Served, Talk, request, until

SPREADING = "tests.support.spreading.Worker"


@pytest.fixture
def spread(tmp_path):
    """Two workers that are at their limit whatever they do."""
    with Served(tmp_path, OPTIONS, worker=SPREADING) as served:
        served.wait_for_workers(2)
        yield served


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


def test_connections_gather_in_one_worker(own):
    """What an installer asks over many is answered together, by a worker that has seen it before."""
    with ExitStack() as stack:
        talks = [stack.enter_context(own.connect()) for _ in range(12)]
        assert len({who(talk) for talk in talks + talks}) == 1


def test_what_comes_together_is_answered_together(tmp_path):
    """New connections with their first requests cost one turn of the loop, not one or two each."""
    with Served(tmp_path) as served, stopped([served.worker_process()]), ExitStack() as stack:
        talks = [stack.enter_context(served.connect()) for _ in range(10)]
        for talk in talks:
            talk.send(request("/at-once"))
        served.worker_process().send_signal(signal.SIGCONT)
        assert {talk.read().fields["x-together"] for talk in talks} == {"10"}


@pytest.mark.parametrize("path", ["/spin", "/thread-spin"])
@pytest.mark.parametrize("count", [2, 8])
def test_lasting_load_is_halved(own, path, count):
    """Who has too much to do hands over half of the connections that are in use, not of those that rest."""
    with ExitStack() as stack:
        resting = [stack.enter_context(own.connect()) for _ in range(6)]
        first = {who(talk) for talk in resting}
        busy = [stack.enter_context(own.connect()) for _ in range(count)]
        with asking(busy, path) as last:
            assert until(lambda: halved(last))
        assert len(first) == 1


def test_a_connection_is_the_same_after_it_was_handed_over(own):
    """Its addresses are those it was accepted with, and each request is answered once, by a thread or the loop."""
    with ExitStack() as stack:
        talks = [stack.enter_context(own.connect()) for _ in range(4)]
        before = [environ(talk) for talk in talks]
        with asking(talks, "/spin") as last:
            assert until(lambda: len(set(last)) == 2)
        for path in ("/at-once", "/nothing"):
            for talk, was in zip(talks, before, strict=True):
                now = environ(talk, path)
                assert [now[name] for name in ADDRESSES] == [was[name] for name in ADDRESSES]


ADDRESSES = ("REMOTE_ADDR", "REMOTE_PORT", "SERVER_NAME", "SERVER_PORT")


def test_connections_of_a_unix_socket_are_handed_over_too(tmp_path):
    """As from nginx in front, which keeps some and asks over them as it likes."""
    path = tmp_path / "web.sock"
    with Served(tmp_path, (*OPTIONS, "--bind", f"unix:{path}")) as served, ExitStack() as stack:
        served.wait_for_workers(2)
        talks = []
        for _ in range(4):
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(10)
            sock.connect(str(path))
            talks.append(stack.enter_context(Talk(sock)))
        with asking(talks, "/spin") as last:
            assert until(lambda: halved(last))
        assert {environ(talk)["REMOTE_ADDR"] for talk in talks} == {""}


def test_whoever_waits_for_its_threads_takes_no_more(own):
    """While two of them are at something slow, the other worker takes new connections."""
    with ExitStack() as stack:
        slow = [stack.enter_context(own.connect()) for _ in range(2)]
        first = {who(talk) for talk in slow}
        for talk in slow:
            talk.send(request("/slow"))
        assert until(lambda: who(stack.enter_context(own.connect())) not in first, 0.8)  # both are at it for a second
        assert {json.loads(talk.read().body)["PROCESS"] for talk in slow} == first


def test_after_a_rest_connections_gather_again(own):
    """That a worker had too much to do is forgotten within a second or two."""
    with ExitStack() as stack:
        first = who(stack.enter_context(own.connect()))
        with asking([stack.enter_context(own.connect()) for _ in range(4)], "/spin") as last:
            assert until(lambda: len(set(last)) == 2)
        assert until(lambda: {who(stack.enter_context(own.connect())) for _ in range(6)} == {first}, 3)


def test_no_connection_is_lost_on_its_way(own):
    """Connections go to and fro between load and rest, and each question is answered, closely after the one before."""
    with ExitStack() as stack:
        talks = [stack.enter_context(own.connect()) for _ in range(12)]
        for _ in range(3):
            with asking(talks, "/spin") as last:
                assert until(lambda: len(set(last)) == 2)
            with asking(talks[:2], "/at-once"):
                time.sleep(0.3)
            began = time.monotonic()
            assert all(who(talk) for talk in talks)
            assert time.monotonic() - began < 2


def test_a_worker_that_hangs_costs_little(own):
    """It should have all connections and takes none: the other one does, after a moment."""
    with own.connect() as talk:
        usual = who(talk)
    first = next(one for one in own.workers() if str(one.pid) == usual)
    with stopped([first]), ExitStack() as stack:
        began = time.monotonic()
        assert usual not in {who(stack.enter_context(own.connect())) for _ in range(10)}
        assert time.monotonic() - began < 3


def test_a_worker_that_dies_is_followed_by_others(own):
    """Who gathered connections is killed: those are gone, and new ones go to one that lives, also when load is high."""
    with ExitStack() as stack:
        usual = who(stack.enter_context(own.connect()))
        first = next(one for one in own.workers() if str(one.pid) == usual)
        first.kill()
        psutil.wait_procs([first], 5)
        own.wait_for_workers(2)
        new = [stack.enter_context(own.connect()) for _ in range(6)]
        assert usual not in {who(talk) for talk in new}
        with asking(new, "/spin") as last:
            assert until(lambda: halved(last))


@pytest.mark.parametrize("path", ["/at-once", "/nothing"])
def test_at_their_limit_they_share_by_counts(spread, path):
    """Whoever wakes up first, each worker has its share: one that was slow to wake up gets the next ones."""
    with ExitStack() as stack:
        talks = [stack.enter_context(spread.connect()) for _ in range(2)]
        answered = Counter(who(talk, path) for talk in talks)
        for _ in range(10):
            answered[who(stack.enter_context(spread.connect()), path)] += 1
        assert len(answered) == 2
        assert min(answered.values()) >= 3


def test_at_their_limit_they_share_a_burst(spread):
    """Connections that are there all at once: each worker takes several in a turn, and none takes nearly all."""
    with stopped(spread.workers()), ExitStack() as stack:
        talks = [stack.enter_context(spread.connect()) for _ in range(32)]
        for talk in talks:
            talk.send(request("/at-once"))
        for one in spread.workers():
            one.send_signal(signal.SIGCONT)
        answered = Counter(json.loads(talk.read().body)["PROCESS"] for talk in talks)
    assert len(answered) == 2
    assert min(answered.values()) >= 4


def test_with_sockets_of_their_own_the_kernel_spreads(tmp_path):
    """`reuse_port`: nobody waits for another to take what only this worker can."""
    with Served(tmp_path, (*OPTIONS, "--reuse-port")) as served, ExitStack() as stack:
        assert all(who(stack.enter_context(served.connect())) for _ in range(20))


@pytest.mark.skipif(sharing.DEFER is None, reason="nothing is asked of a kernel that does not know it")
def test_kernel_that_cannot_wait_for_first_bytes_is_no_hindrance():
    """It is asked to, and the worker starts all the same."""
    asked = []

    class Listener(socket.socket):
        def setsockopt(self, *words):
            asked.append(words)
            raise OSError(errno.ENOPROTOOPT, "Protocol not available")

    with Listener() as listener:
        sharing._await_first_bytes(listener)

    assert asked == [(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, sharing.SILENT)]
