"""What workers know of each other, and how a connection goes from one to another."""

import socket
from contextlib import closing

import pytest

from pkgindex.worker.fellows import (
    ALIVE_SECONDS,
    FULL_PAUSE_SECONDS,
    PAUSE_SECONDS,
    SLOTS,
    Fellows,
    Mailbox,
)


@pytest.fixture
def clock(monkeypatch):
    """The monotonic clock, to be set."""
    now = [1_000.0]
    monkeypatch.setattr("pkgindex.worker.fellows.time.monotonic", lambda: now[0])
    return now


@pytest.fixture
def fellows(clock):
    """Three workers, of whom nobody has said anything yet."""
    made = [Fellows(number) for number in (SLOTS + 1, 2, 3)]
    yield made
    for one in made:
        one.leave()


def test_the_first_that_is_not_full_takes_all(fellows):
    """Who is full leaves it to others; the dead and the departed do not count."""
    one, two, three = fellows
    for fellow in fellows:
        fellow.tell(5)
    assert [fellow.pause(5) for fellow in fellows] == [0, PAUSE_SECONDS, PAUSE_SECONDS]
    one.note(full=True, busy=5)
    one.tell(5)
    assert [fellow.pause(5) for fellow in fellows] == [PAUSE_SECONDS, 0, PAUSE_SECONDS]
    two.leave()
    assert [fellow.pause(5) for fellow in (one, three)] == [PAUSE_SECONDS, 0]


def test_the_full_share_by_counts(fellows, clock):
    """Who has more than another leaves the next one to that, for a moment, if the difference is worth it."""
    for fellow, count in zip(fellows, (8, 6, 5), strict=True):
        fellow.note(full=True, busy=count)
        fellow.tell(count)
    assert [fellow.pause(count) for fellow, count in zip(fellows, (8, 6, 5), strict=True)] == [FULL_PAUSE_SECONDS, 0, 0]
    clock[0] += ALIVE_SECONDS
    assert fellows[0].pause(8) == 0


@pytest.mark.parametrize(
    ("mine", "others", "expected"),
    [
        (2, [0], 1),
        (1, [0], 0),
        (16, [0], 8),
        (3, [0], 1),
        (5, [9], 0),
        (12, [0, 0], 8),
        (8, [5], 0),
        (8, [1], 3),
        (0, [0], 0),
        (9, [], 0),
    ],
)
@pytest.mark.parametrize("full", [False, True])
def test_who_is_full_has_a_surplus(fellows, mine, others, expected, full):
    """Connections in use are halved among all, if it is worth while, the odd one staying where it is."""
    one, *rest = fellows
    one.note(full=True, busy=mine)
    for fellow, busy in zip(rest, others, strict=False):
        fellow.note(full=full, busy=busy)
        fellow.tell(busy)
    assert one.surplus() == expected


def test_who_is_not_full_has_none(fellows):
    """However much others lack."""
    one, two, _ = fellows
    one.note(full=False, busy=20)
    two.tell(0)
    assert one.surplus() == 0


def test_all_follow_the_first_that_is_not_full(fellows, clock):
    """As long as it is not, and lives."""
    leaders = [0, 1, 2, None]
    for fellow in fellows:
        fellow.tell(20)
    for full, leader in zip([None, *fellows], leaders, strict=True):
        if full:
            full.note(full=True, busy=20)
            full.tell(20)
        expected = [leader is not None and place != leader for place in range(3)]
        assert [fellow.follows() for fellow in fellows] == expected
    fellows[0].note(full=False, busy=0)
    fellows[0].tell(0)
    assert [fellow.follows() for fellow in fellows] == [False, True, True]
    clock[0] += ALIVE_SECONDS
    assert not any(fellow.follows() for fellow in fellows)


@pytest.fixture
def mailbox():
    """One of our own."""
    made = Mailbox()
    yield made
    made.close()


def test_a_connection_arrives_as_it_was_sent(mailbox):
    """With both addresses, and what has come in and was not read."""
    left, right = socket.socketpair()
    with closing(left), closing(right):
        left.sendall(b"GET /")
        assert mailbox.put(right, ("192.0.2.7", 4711), "/run/web.sock")
        right.close()
        handed = mailbox.take()
        with closing(handed.sock):
            assert (handed.client, handed.server) == (("192.0.2.7", 4711), "/run/web.sock")
            assert handed.sock.recv(10) == b"GET /"
            handed.sock.sendall(b"200")
            assert left.recv(10) == b"200"
    assert mailbox.take() is None


def test_where_too_many_are_on_their_way_it_stays(mailbox):
    """The kernel takes no more, and says so: nothing waits, nothing is lost."""
    left, right = socket.socketpair()
    with closing(left), closing(right):
        sent = 0
        while mailbox.put(right, "", ""):
            sent += 1
            assert sent < 10_000
        right.sendall(b"still here")
        assert left.recv(20) == b"still here"
        for _ in range(sent):
            mailbox.take().sock.close()
        assert mailbox.take() is None


def test_a_closed_one_is_not_handed_over(mailbox):
    """As when a client has gone away meanwhile."""
    left, right = socket.socketpair()
    left.close()
    right.close()
    assert not mailbox.put(right, "", "")
