"""Reports become health: what is written, by whom, and that nothing breaks a download."""

import json
import logging
import time

import pytest
import time_machine
from django.db import connection

from balancing import conf, health, services, signals, snapshot, states
from balancing.backends import Condition
from balancing.models import Health, Node
from balancing.states import NodeState
from tests.balancing import processes
from tests.balancing.conftest import UP, add, put, state_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def heard():
    """What was told of health: (node, before, after)."""
    found = []

    def listen(sender, node, before, after, **_):
        found.append((node, before, after))

    signals.health_changed.connect(listen)
    yield found
    signals.health_changed.disconnect(listen)


def row(name="a"):
    return Health.objects.get(pk=name)


def test_new_node_is_up_after_one_probe(heard, caplog):
    """The condition that it tells is in the row, in the picture, and everybody hears of it."""
    caplog.set_level(logging.INFO, "balancing.health")
    add("a", state=NodeState())
    assert health.probed("a", True, 0.25, Condition(free=7, load=0.5, in_flight=3), "")
    seen = snapshot.current().member("a")
    assert (seen.state.up, seen.free, seen.in_flight, seen.latency, seen.down_since) == (True, 7, 3, 0.25, None)
    assert (row().load, row().down_since, heard) == (0.5, None, [("a", "down", "up")])
    assert "node a is up" in caplog.text


def test_three_failed_probes_take_a_node_down_and_tell_since_when(heard):
    """`down_since` and the last error are kept; the latency and the condition stay as they were."""
    add("a")
    health.probed("a", True, 0.25, Condition(free=7))
    for number in range(3):
        health.probed("a", False, 3.0, None, f"time-out {number}\n\x1b")
    assert (row().last_error, row().free, row().latency) == ("time-out 2  ", 7, 0.25)
    assert row().down_since.timestamp() == pytest.approx(time.time(), abs=5)
    since = row().down_since
    health.probed("a", False, 3.0, None, "time-out")
    assert (row().down_since, heard) == (since, [("a", "up", "down")])


@pytest.mark.parametrize(
    ("said", "free", "load", "in_flight"),
    [
        (Condition(10**30, float("nan"), 10**30), 2**62, 0.0, 10**6),
        (Condition(-5, float("-inf"), -3), 0, 0.0, 0),
        (Condition(None, 1e300, 7), None, 1e6, 7),
    ],
)
def test_node_may_say_anything(said, free, load, in_flight):
    """What no column can hold is brought within bounds, and the probe counts."""
    add("a", state=NodeState())
    assert health.probed("a", True, 0.1, said)
    assert (row().free, row().load, row().in_flight, state_of("a").up) == (free, load, in_flight, True)


def test_latency_jumps_up_and_comes_down_slowly():
    """Peak-sensitive: one slow probe counts at once."""
    add("a")
    for seconds in (0.1, 2.0, 0.1):
        health.probed("a", True, seconds)
    assert 1.5 < row().latency < 2.0


def test_broken_transfers_eject_and_a_passed_probe_does_not_end_it(heard):
    """Five points of evidence; the ejection is in the picture at once."""
    for name in "abc":
        add(name)
    for _ in range(8):
        health.failed("a", "reset by peer")
    health.probed("a", True, 0.1, Condition())
    assert states.is_ejected(snapshot.current().member("a").state, time.time())
    assert heard == [("a", "up", "ejected")]
    assert set(snapshot.current().selection(time.time() + 1).weights) == {"b", "c"}
    assert (row().last_error, row().last_error_at is not None) == ("reset by peer", True)


def test_repeats_of_clients_weigh_half():
    """Ten of them eject."""
    for name in "abc":
        add(name)
    with time_machine.travel(time.time(), tick=False):
        for _ in range(9):
            health.asked_again("a")
        assert not states.is_ejected(state_of("a"), time.time())
        health.asked_again("a")
        assert states.is_ejected(state_of("a"), time.time())


def test_only_node_is_never_ejected_and_evidence_costs_no_endless_writes():
    """Of a fleet of one the evidence is full after five faults; the next thousand write next to nothing."""
    add("a")
    with time_machine.travel(time.time(), tick=False):
        for _ in range(60):
            health.failed("a", "broken")
    assert not states.is_ejected(state_of("a"), time.time())
    assert row().number <= 8


def test_at_most_half_are_ejected():
    """However many fail, by the rules of the fleet."""
    for name in "abcd":
        add(name)
    for name in "abcd":
        for _ in range(8):
            health.failed(name, "broken")
    assert [name for name in "abcd" if states.is_ejected(state_of(name), time.time())] == ["a", "b"]


def test_success_costs_nothing_while_nothing_speaks_against_the_node(django_assert_num_queries):
    """The common case: no database at all. With evidence, a success takes a tenth of a point off."""
    add("a")
    snapshot.current()
    with django_assert_num_queries(0):
        for _ in range(100):
            health.succeeded("a", 0.5)
    with time_machine.travel(time.time(), tick=False):
        health.failed("a", "broken")
        health.succeeded("a", 0.5)
        assert state_of("a").score == pytest.approx(0.9)


def test_reports_about_a_node_that_is_gone_are_no_error():
    """Deleted while downloads from it were under way."""
    services.remove(add("a"), "boss")
    for report in (
        lambda: health.failed("a", "broken"),
        lambda: health.asked_again("a"),
        lambda: health.succeeded("a", 1.0),
    ):
        report()
    assert health.probed("a", True, 0.1) is False
    assert not Health.objects.exists()


def test_node_deleted_between_reading_and_writing_stays_deleted(monkeypatch):
    """The write finds no row, so it is tried again, and then there is none."""
    add("a")
    kept = health._says_nothing_new

    def delete_first(*arguments):
        Node.objects.filter(pk="a").delete()
        return kept(*arguments)

    monkeypatch.setattr(health, "_says_nothing_new", delete_first)
    health.failed("a", "broken")
    assert not Health.objects.exists()


def test_database_fault_is_a_line_in_the_log(caplog):
    """No report raises into a download."""
    add("a")
    put("a", UP, score=1.0, scored_at=time.time())
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE balancing_health RENAME TO away")
    try:
        health.failed("a", "broken")
        health.asked_again("a")
        health.succeeded("a", 1.0)
        assert health.probed("a", True, 1.0) is False
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE away RENAME TO balancing_health")
    assert caplog.text.count("A report about a is lost") == 4


def test_receiver_that_fails_breaks_nothing(caplog):
    """A project's fault in a signal is logged."""
    add("a", state=NodeState())

    def broken(**_):
        raise RuntimeError("no")

    signals.health_changed.connect(broken)
    try:
        health.probed("a", True, 0.1)
    finally:
        signals.health_changed.disconnect(broken)
    assert "a receiver of `health_changed` failed: no" in caplog.text


def test_returned_node_grows_monotonically():
    """After a node returns, its share of the weight rises and never falls until it is whole."""
    with time_machine.travel(2_000_000_000, tick=False) as clock:
        add("a")
        add("b", state=NodeState(ever_up=True))
        health.probed("b", True, 0.1)
        health.probed("b", True, 0.1)
        shares = []
        for _ in range(14):
            shares.append(snapshot.current().selection(time.time()).weights["b"])
            clock.shift(5)
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (pytest.approx(0.1), 1.0)


def test_clock_that_jumps_back_between_reports():
    """A day back: no report breaks, no ejection lasts for a day, and the node is probed soon."""
    rules = conf.get().health
    with time_machine.travel(2_000_000_000, tick=False) as clock:
        for name in "abc":
            add(name)
        for _ in range(5):
            health.failed("a", "broken")
        clock.shift(-86_400)
        health.probed("a", True, 0.1)
        state, now = state_of("a"), time.time()
        assert state.ejected_until <= now + rules.most_ejection
        assert state.next_probe <= now + rules.interval * (1 + rules.jitter)
        health.failed("b", "broken")
        assert state_of("b").score == 1.0


def test_two_processes_lose_no_write_of_each_other(tmp_path):
    """Each write counts; what one reads another has not overwritten. Reports that gave up are none of the writes."""
    found = processes.run(tmp_path, *[("failures", "a", "30")] * 2, prepare=["a", "b", "c"])
    # Each write adds a point, and a little fades meanwhile: so many lie behind the ejection, and none after it.
    state, number = found.execute("SELECT state, number FROM balancing_health WHERE node_id = 'a'").fetchone()
    assert json.loads(state)["ejections"] == 1
    assert 5 <= number <= 7


def test_processes_eject_no_more_than_half_together(tmp_path):
    """Each of them sees the others' ejections, or tries again: of four nodes two are out, whoever reports."""
    commands = [("eject", *order) for order in ("abcd", "dcba", "bdac", "cadb")]
    found = processes.run(tmp_path, *commands, prepare=list("abcd"))
    rows = [json.loads(state) for (state,) in found.execute("SELECT state FROM balancing_health")]
    assert sum(bool(state.get("ejected_until")) for state in rows) == 2
