"""A sender that stops or drips does not hold a thread for ever."""

import socket

import pytest

from balancing.node import patience


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_silence_ends_a_read(pair, monkeypatch):
    """A read without a byte raises TimeoutError; afterwards the connection waits as before."""
    monkeypatch.setattr(patience, "SILENCE", 0.05)
    ours, theirs = pair
    with patience.bounded({"gunicorn.socket": ours}, 10), pytest.raises(TimeoutError):
        ours.recv(1)
    assert ours.gettimeout() is None
    theirs.sendall(b"x")
    assert ours.recv(1) == b"x"


def test_body_that_takes_too_long_ends_early(pair, monkeypatch):
    """Behind the time of grace the body is over, whatever still drips."""
    monkeypatch.setattr(patience, "GRACE", 0.05)
    ours, theirs = pair
    theirs.sendall(b"x")
    with patience.bounded({"gunicorn.socket": ours}, 0):
        assert ours.recv(1) == b"x"
        assert ours.recv(1) == b""


def test_other_servers_have_their_own_limits():
    """Without gunicorn's connection nothing is changed and nothing fails."""
    with patience.bounded({}, 10):
        pass
