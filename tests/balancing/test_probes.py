"""Active probes: who is due, that nobody is asked twice, and what is written down."""

import threading
import time
from collections import Counter

import pytest
import time_machine

from balancing import conf, health, probes, services, snapshot, tasks
from balancing.backends import Condition, NodeError
from balancing.models import Health, Probe, Replica, ReplicaState
from balancing.states import NodeState
from tests.balancing import processes
from tests.balancing.conftest import UP, add, put, state_of

pytestmark = pytest.mark.django_db(transaction=True)
LATER = 4e9


class Fake:
    """A node that answers as it is told, or raises."""

    def __init__(self, answer, seconds=0.0):
        self.answer, self.seconds = answer, seconds

    def condition(self):
        time.sleep(self.seconds)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def answering(**answers):
    return lambda node, **_: Fake(answers.get(node.name, Condition()))


def test_new_node_is_due_at_once_and_then_after_its_interval():
    """Up after the first pass; next in 10 s, give or take the jitter."""
    add("a", state=NodeState())
    assert probes.due() == ["a"]
    assert probes.run_due(backend_for=answering(a=Condition(free=5, load=1.0, in_flight=2))) == 1
    assert (probes.due(), state_of("a").up) == ([], True)
    assert 7.5 < state_of("a").next_probe - time.time() < 12.5
    assert snapshot.current().member("a").free == 5


def test_suspicious_node_is_probed_faster():
    """After a failure it is asked again within two seconds or so."""
    add("a")
    probes.run_due(backend_for=answering(a=NodeError("unreachable", "no route")))
    assert 1.5 < state_of("a").next_probe - time.time() < 2.5


def test_disabled_nodes_are_left_alone_and_draining_ones_are_not():
    """A node that drains still serves."""
    for name in ("on", "draining", "off"):
        add(name)
    services.drain("draining", "boss")
    services.disable("off", "boss")
    assert probes.due() == ["draining", "on"]


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (NodeError("unreachable", "connection refused"), "connection refused"),
        (ValueError("no URL"), "no URL"),
        (OSError("strange"), "strange"),
        (RuntimeError("a\x1b[31mfault\n" + "x" * 999), "RuntimeError: a [31mfault " + "x" * 274),
    ],
)
def test_whatever_fails_is_a_failed_probe(error, detail):
    """Also what no backend should raise; the detail is one line of bounded length."""
    add("a")
    probes.run_due(backend_for=answering(a=error))
    row = Probe.objects.get()
    assert (row.node_id, row.passed, row.detail) == ("a", False, detail)
    assert Health.objects.get().last_error == detail


def test_backend_that_cannot_be_made_is_a_failed_probe(settings):
    """Without keys a node server cannot be asked; the others are."""
    settings.BALANCING = settings.BALANCING | {"KEYS": {}}
    add("a")
    probes.run_due()
    assert "no KEYS" in Probe.objects.get().detail


def test_unreachable_node_is_told_in_words():
    """With the real backend, on a port where nobody listens."""
    add("a", url="http://127.0.0.1:9")
    assert tasks.probe() == 1
    assert (Probe.objects.get().passed, state_of("a").streak) == (False, 1)


def test_probes_run_at_the_same_time_and_slow_ones_are_given_up(settings):
    """One node that never answers does not keep the others waiting, nor the beat for ever."""
    settings.BALANCING = settings.BALANCING | {"PROBE_TIMEOUT": 0.1}
    for number in range(20):
        add(f"n{number}")
    stuck = threading.Event()

    class Stuck:
        def condition(self):
            stuck.wait(30)
            return Condition()

    def backend_for(node, timeout=None):
        return Stuck() if node.name == "n7" else Fake(Condition(), 0.2)

    start = time.monotonic()
    assert probes.run_due(backend_for=backend_for) == 20
    taken = time.monotonic() - start
    stuck.set()
    assert taken < 2 + 20 * 0.2  # the longest wait, and far less than one after the other on a busy machine
    assert Counter(Probe.objects.values_list("passed", flat=True)) == {True: 19, False: 1}
    assert Probe.objects.get(passed=False).detail == "The probe did not end in time."


def test_history_is_kept_to_its_length(settings):
    """The oldest go, each node's by itself."""
    settings.BALANCING = settings.BALANCING | {"KEEP_PROBES": 3}
    add("a")
    add("b")
    for turn in range(5):
        probes.run_due(LATER + 100 * turn, backend_for=answering(a=NodeError("x", str(turn))))
        put("a")
        put("b")
    assert list(Probe.objects.filter(node="a").values_list("detail", flat=True)) == ["4", "3", "2"]
    assert Probe.objects.filter(node="b").count() == 3


def test_claim_of_a_process_that_died_ends():
    """Nobody else probes while it lasts; afterwards the node is due again."""
    add("a")
    now = time.time()
    (row,) = probes._due(now)
    assert probes._claim(row, now) is True
    assert probes._claim(row, now) is False
    assert (probes.due(now), probes.due(now + 12)) == ([], ["a"])


def test_processes_never_probe_twice(tmp_path):
    """Four beats at the same time: each node is asked once."""
    log, names = tmp_path / "log", [f"n{number}" for number in range(12)]
    found = processes.run(tmp_path, *[("probe", str(log))] * 4, prepare=names)
    assert Counter(log.read_text().split()) == dict.fromkeys(names, 1)
    assert found.execute("SELECT count(*) FROM balancing_probe").fetchone() == (len(names),)


def test_node_removed_while_it_is_probed_leaves_nothing():
    """The result is dropped."""
    node = add("a")

    class Removing:
        def condition(self):
            return Condition()

    def backend_for(_node, timeout=None):
        return Removing()

    (row,) = probes._due(time.time())
    assert probes._claim(row, time.time())
    services.remove(node, "boss")
    probes._note(row.node, probes._Result(True, 0.1, Condition(), ""))
    assert (Probe.objects.count(), Health.objects.count()) == (0, 0)


def test_clock_that_jumped_back_stops_no_probes():
    """A next probe that lies an hour ahead is a wrong one."""
    with time_machine.travel(2_000_000_000, tick=False) as clock:
        add("a")
        put("a", UP, next_probe=2_000_000_010.0)
        assert probes.due() == []
        clock.shift(-3_600)
        assert probes.due() == ["a"]


def test_used_bytes_are_counted_where_a_capacity_needs_them():
    """Copies that are there and that are to come; not those that go."""
    add("a", capacity=1_000)
    add("b")
    for number, state in enumerate(ReplicaState.values):
        for name in "ab":
            Replica.objects.create(
                digest=f"{number:064x}", node_id=name, size=10**number, state=state, due_at="2026-01-01T00:00Z"
            )
    probes.run_due(backend_for=answering())
    assert [snapshot.current().member(name).used for name in "ab"] == [11_111, 0]


def test_nothing_due_costs_one_query(django_assert_num_queries):
    """The beat runs every second."""
    add("a")
    health.probed("a", True, 0.1)
    conf.get()
    with django_assert_num_queries(1):
        assert probes.run_due() == 0
