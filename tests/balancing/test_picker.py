"""Which node serves a download: holders, order, load, and clients that ask again."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import time_machine
from django.db import connection

from balancing import health, observed, picker, services, shared, snapshot
from balancing.models import Replica, ReplicaState
from balancing.policies import POLICIES
from balancing.states import NodeState
from tests.balancing.conftest import UP, add, fleet, put

pytestmark = pytest.mark.django_db(transaction=True)
FILE = "ab" * 32


def names(found):
    return [one.name for one in found]


def copy(digest, node, state=ReplicaState.VERIFIED):
    return Replica.objects.create(digest=digest, node_id=node, size=1, state=state, due_at="2026-01-01T00:00Z")


class TestHolders:
    """Where a file is."""

    def test_only_verified_copies_count(self):
        """A copy is offered only after its bytes were checked."""
        for number, state in enumerate(ReplicaState.values):
            add(f"n{number}")
            copy(FILE, f"n{number}", state)
        assert picker.holders(FILE) == {f"n{ReplicaState.values.index('verified')}"}

    def test_answer_is_kept_for_a_moment_and_forgotten_on_demand(self, django_assert_num_queries):
        """One query, then none for a second at most."""
        add("a")
        row = copy(FILE, "a")
        with django_assert_num_queries(1):
            assert picker.holders(FILE) == picker.holders(FILE) == {"a"}
        Replica.objects.filter(pk=row.pk).update(state="corrupt")
        assert picker.holders(FILE) == {"a"}
        picker.forget(FILE)
        assert picker.holders(FILE) == frozenset()
        Replica.objects.filter(pk=row.pk).update(state="verified")
        end = time.monotonic() + 1.5
        while not picker.holders(FILE):
            assert time.monotonic() < end
            time.sleep(0.05)

    def test_memory_is_bounded(self, monkeypatch):
        """Any number of files may be asked for."""
        monkeypatch.setattr(picker, "MOST_FILES", 10)
        for number in range(50):
            picker.holders(f"{number:064x}")
        assert len(picker._files) == 10

    def test_query_uses_an_index(self):
        """However many copies there are."""
        rows = Replica.objects.filter(digest=FILE, state="verified").order_by().values_list("node_id")
        assert "(digest=?" in rows.explain()

    def test_without_the_database_nobody_holds_it(self, caplog):
        """The download is served from our own storage."""
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE balancing_replica RENAME TO away")
        try:
            assert picker.holders(FILE) == frozenset()
        finally:
            with connection.cursor() as cursor:
                cursor.execute("ALTER TABLE away RENAME TO balancing_replica")
        assert "Nobody knows" in caplog.text


class TestOrder:
    """Who is offered, in which order."""

    @pytest.mark.parametrize("policy", POLICIES)
    def test_holders_that_may_be_picked_and_no_others(self, policy):
        """Neither one that has no copy, nor one that is down, ejected, draining, disabled or without weight."""
        for name in "abcdefgh":
            add(name, weight=0.0 if name == "h" else 1.0)
        put("c", NodeState(ever_up=True))
        put("d", UP, ejections=1, ejected_until=time.time() + 30)
        services.drain("e", "boss")
        services.disable("f", "boss")
        assert sorted(names(picker.order(FILE, frozenset("abcdefh"), policy))) == ["a", "b"]
        assert picker.pick(FILE, frozenset("ab"), policy).name in {"a", "b"}
        assert picker.pick(FILE, frozenset("cz"), policy) is None
        assert picker.order(FILE, frozenset(), policy) == []

    def test_unknown_policy_is_an_error(self):
        """That names those there are."""
        with pytest.raises(ValueError, match="no policy 'best'; there are rendezvous"):
            picker.order(FILE, frozenset("a"), "best")

    def test_file_keeps_its_node(self):
        """The same order in every process."""
        held = fleet(10)
        order = names(picker.order(FILE, held))
        picker.reset()
        snapshot.reset()
        assert names(picker.order(FILE, held)) == order

    def test_removing_one_of_ten_nodes_moves_a_tenth_of_the_files(self):
        """1/N and two per cent at most, through all of the picker."""
        held = fleet(10)
        files = [f"{number:064x}" for number in range(3_000)]
        before = {file: picker.pick(file, held).name for file in files}
        services.disable("n03", "boss")
        moved = sum(picker.pick(file, held).name != before[file] for file in files)
        assert moved == sum(name == "n03" for name in before.values())
        assert moved / len(files) <= 1 / 10 + 0.02

    def test_all_down_is_panic_and_everybody_is_offered(self):
        """Rather a sick judge than nobody; delivery hears of it, for it may serve by itself."""
        held = fleet(4)
        assert picker.in_panic() is False
        for name in held:
            put(name, NodeState(ever_up=True))
        assert (len(picker.order(FILE, held)), picker.in_panic()) == (4, True)

    def test_drain_is_seen_at_once_in_this_process(self):
        """No redirect after it."""
        held = fleet(3)
        first = picker.pick(FILE, held).name
        services.drain(first, "boss")
        assert first not in names(picker.order(FILE, held))

    def test_near_zone_first(self, settings):
        """`zone_aware` knows where this host stands."""
        settings.BALANCING = settings.BALANCING | {"ZONE": "eu"}
        for number in range(6):
            add(f"n{number}", zone=("eu", "us")[number % 2])
        held = frozenset(f"n{number}" for number in range(6))
        zones = [one.zone for one in picker.order(FILE, held, "zone_aware")]
        assert zones == ["eu"] * 3 + ["us"] * 3

    def test_zone_that_traffic_was_moved_away_from(self, settings):
        """Zonal shift: `AWAY` leaves its nodes out while there are others."""
        settings.BALANCING = settings.BALANCING | {"AWAY": ["eu"]}
        add("a", zone="eu")
        add("b", zone="us")
        assert names(picker.order(FILE, frozenset("ab"))) == ["b"]
        services.disable("b", "boss")
        assert names(picker.order(FILE, frozenset("ab"))) == ["a"]

    def test_backup_waits_until_the_others_are_too_few(self):
        """The backup tier."""
        add("a")
        add("b", backup=True)
        assert names(picker.order(FILE, frozenset("ab"))) == ["a"]
        put("a", NodeState(ever_up=True))
        assert names(picker.order(FILE, frozenset("ab"))) == ["b"]

    def test_returned_node_gets_its_files_back_gradually(self):
        """Its share of files rises monotonically in its slow start."""
        with time_machine.travel(2_000_000_000, tick=False) as clock:
            held = fleet(4)
            put("n01", UP, returned_at=2_000_000_000.0)
            shares, files = [], [f"{number:064x}" for number in range(1_500)]
            for _ in range(8):
                picker.reset()
                shares.append(sum(picker.pick(file, held).name == "n01" for file in files))
                clock.shift(10)
        assert shares == sorted(shares)
        assert shares[0] < 0.06 * len(files) < 0.2 * len(files) < shares[-1]

    def test_fifty_threads_at_once(self):
        """While the picture and the loads change under them: no error, and only nodes that exist."""
        held = fleet(20)
        picker.order(FILE, held)
        errors, stop = [], threading.Event()

        def work(number):
            try:
                for turn in range(60):
                    policy = list(POLICIES)[(number + turn) % len(POLICIES)]
                    found = picker.order(f"{number * turn:064x}", held, policy)
                    assert set(names(found)) <= held
                    assert found
                    picker.begun(found[0].name)
                    picker.redirected(found[-1].name, FILE)
                    picker.ended(found[0].name, 0.1, turn % 7 > 0)
            except Exception as error:  # noqa: BLE001 - whatever it is
                errors.append(error)

        def change():
            known = snapshot.current()
            while not stop.is_set():
                snapshot._keep(snapshot.Picture(known.nodes, known.at, known.number), "test")
                picker._board = picker._Board(-1.0, snapshot.Picture(), {}, panic=False)
                time.sleep(0.001)

        changer = threading.Thread(target=change)
        changer.start()
        with ThreadPoolExecutor(50) as pool:
            list(pool.map(work, range(50)))
        stop.set()
        changer.join()
        assert errors == []
        assert [observed.now_seen(name)[1] for name in held] == [0] * 20


class TestLoad:
    """What flows over, and what is full."""

    def test_file_with_most_of_the_traffic_keeps_every_node_within_the_bound(self):
        """80 % of 4,000 redirects for one file: no node gets more than 1.25 times the average."""
        held = fleet(10)
        sent = Counter()
        for number in range(4_000):
            file = FILE if number % 5 else f"{number:064x}"
            chosen = picker.pick(file, held).name
            picker.redirected(chosen, file)
            sent[chosen] += 1
        assert max(sent.values()) <= 1.25 * 4_000 / 10 + 2
        assert len(sent) == 10

    def test_redirects_fade(self):
        """Half of them are believed to be over after ten seconds."""
        with time_machine.travel(2_000_000_000, tick=False):
            seen = observed.Observed()
            for _ in range(64):
                seen.redirected(100.0)
        assert [round(seen.redirects(100.0 + t)) for t in (0, 10, 20, 60)] == [64, 32, 16, 1]
        assert seen.redirects(50.0) == 64  # no clock goes back, but if

    def test_node_that_is_full_is_left_out(self):
        """By what this process relays, at once; by what the node says, as of its last probe."""
        held = fleet(2, max_conns=2)
        first = picker.pick(FILE, held).name
        for _ in range(2):
            picker.begun(first)
        assert first not in names(picker.order(FILE, held))
        picker.ended(first, 1.0, True)
        time.sleep(picker.FRESH * 1.5)
        assert first in names(picker.order(FILE, held))
        other = next(iter(held - {first}))
        for name in held:
            health.Health.objects.filter(pk=name).update(in_flight=2 if name == other else 0)
        put(other)
        assert names(picker.order(FILE, held)) == [first]

    def test_transfer_that_says_nothing_of_the_node_is_over_all_the_same(self):
        """Clients that leave make no node look bad, nor busy for ever."""
        fleet(1)
        for _ in range(9):
            picker.begun("n00")
            picker.ended("n00", 1.0, None)
        assert observed.now_seen("n00") == (0, 0, 0.0, 0.0)
        for ok in (True, False) * 5:
            picker.begun("n00")
            picker.ended("n00", 1.0, ok)
        assert observed.now_seen("n00")[2:] == (1.0, pytest.approx(0.5, abs=0.01))

    def test_redirects_alone_do_not_fill_a_node(self):
        """They are an estimate; `max_conns` goes by what is known."""
        held = fleet(1, max_conns=2)
        for _ in range(50):
            picker.redirected("n00", FILE)
        time.sleep(picker.FRESH * 1.5)
        assert names(picker.order(FILE, held)) == ["n00"]

    def test_slow_node_is_picked_last_by_its_times(self):
        """`peak_ewma` goes by what this process has seen, else by the probes."""
        held = fleet(2)
        for name, seconds in (("n00", 5.0), ("n01", 0.1)):
            picker.begun(name)
            picker.ended(name, seconds, True)
        time.sleep(picker.FRESH * 1.5)
        assert names(picker.order(FILE, held, "peak_ewma")) == ["n01", "n00"]

    def test_common_case_costs_no_database_and_no_store(self, django_assert_num_queries):
        """Order, relay, redirect: all from memory."""
        held = fleet(5)
        picker.order(FILE, held)
        commands = shared.ask(lambda client: client.info("stats")["total_commands_processed"], None)
        with django_assert_num_queries(0):
            for _ in range(20):
                found = picker.order(FILE, held)[0].name
                picker.begun(found)
                picker.ended(found, 0.1, True, 10)
        spent = shared.ask(lambda client: client.info("stats")["total_commands_processed"], None) - commands
        assert spent <= 8  # this question, and one flush of the counts
