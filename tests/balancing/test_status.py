"""How nodes are, in words."""

import pytest

from balancing import status
from balancing.fleet import Admin
from balancing.picture import NodeView
from balancing.states import NodeState
from balancing.stats import Lag
from tests.balancing.conftest import UP


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (NodeState(), "not up yet"),
        (NodeState(ever_up=True), "down"),
        (UP, "up"),
        (NodeState(up=True, ever_up=True, streak=1), "up, under suspicion"),
        (NodeState(up=True, ever_up=True, returned_at=970.0), "up, starting slowly at 50%"),
        (NodeState(up=True, ever_up=True, ejections=1, ejected_until=1_030.0), "ejected for another 30 s"),
    ],
)
def test_health_in_words(state, words):
    """For people."""
    assert status.words(NodeView("a", state=state), 1_000.0) == words


@pytest.mark.parametrize(
    ("since", "in_flight", "words"),
    [(999.0, 0, "draining"), (980.0, 3, "draining"), (980.0, 0, "drained"), (600.0, 3, "drained")],
)
def test_drain_in_words(since, in_flight, words):
    """Over when the node, asked since, has nothing left; or after its time."""
    view = NodeView("a", state=UP, admin=Admin.DRAINING, draining_since=since, in_flight=in_flight)
    assert status.words(view, 1_000.0) == words
    assert status.is_drained(view, 1_000.0) == (words == "drained")


@pytest.mark.parametrize(
    ("seconds", "words"), [(-3, "0 s"), (59, "59 s"), (119, "119 s"), (600, "10 min"), (7_300, "2 h"), (200_000, "2 d")]
)
def test_duration_in_words(seconds, words):
    """The largest unit of which there are two."""
    assert status.duration(seconds) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [(None, "-"), (0, "0 B"), (999, "999 B"), (1_500, "1.5 kB"), (7 * 10**12, "7.0 TB"), (10**18, "1000.0 PB")],
)
def test_size_in_words(number, words):
    """Powers of a thousand."""
    assert status.size(number) == words


@pytest.mark.parametrize(
    ("lag", "words"),
    [
        (Lag(), "none"),
        (
            Lag({"pending": 2, "failed": 1}, {"pending": 1_000, "failed": 500}, 90.0),
            "3 copies, 1.5 kB, oldest 90 s, 1 given up",
        ),
    ],
)
def test_lag_in_words(lag, words):
    """Copies, bytes, age, and what was given up."""
    assert status.lag_words(lag) == words
