"""Each policy's own arithmetic."""

from collections import Counter
from dataclasses import replace
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from balancing.hashing import costs, fraction, words
from balancing.policies import Candidate
from balancing.policies.least_outstanding import LeastOutstanding
from balancing.policies.peak_ewma import PeakEwma, load, updated
from balancing.policies.rendezvous import Rendezvous
from balancing.policies.smooth_round_robin import SmoothRoundRobin
from balancing.policies.weighted_random import WeightedRandom, mitigated
from balancing.policies.zone_aware import ZoneAware, portions

KNOWN = (2814405721, 473765761, 200788313)


def candidates(*weights):
    return [Candidate(chr(97 + index), weight=weight) for index, weight in enumerate(weights)]


def names(policy, nodes, count):
    return "".join(policy.pick("key", nodes).id for _ in range(count))


def test_smooth_round_robin_is_smooth():
    """The sequence of nginx's own example, twice."""
    assert names(SmoothRoundRobin(), candidates(5, 1, 1), 14) == "aabacaa" * 2


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(1, 9), min_size=1, max_size=12))
def test_smooth_round_robin_is_exact_in_every_cycle(weights):
    """In as many picks as the weights add up to, each node has exactly its weight."""
    nodes = candidates(*weights)
    assert Counter(names(SmoothRoundRobin(), nodes, sum(weights))) == {one.id: one.weight for one in nodes}


def test_smooth_round_robin_forgets_nodes_that_came_and_went():
    """Its memory is bounded."""
    policy = SmoothRoundRobin()
    for number in range(10_000):
        policy.pick("key", [Candidate(str(number))])
    assert len(policy._credit) <= 4097


def test_least_outstanding_counts_for_the_weight():
    """(transfers + 1) / weight decides, and equals share by lot."""
    policy = LeastOutstanding(Random(1))
    nodes = [Candidate("a", 1, in_flight=0), Candidate("b", 4, in_flight=2), Candidate("c", 1, in_flight=5)]
    assert [one.id for one in policy.order("key", nodes)] == ["b", "a", "c"]
    assert policy.pick("key", nodes).id == "b"
    assert set(names(policy, candidates(1, 1, 1), 100)) == {"a", "b", "c"}


def test_peak_average_rises_at_once_and_falls_slowly():
    """A slower transfer is believed at once; a quicker one by its age."""
    assert updated(0.1, 2.0, 0.0) == 2.0
    assert updated(2.0, 0.1, 0.0) == 2.0
    assert updated(2.0, 1.0, 10.0) == pytest.approx(1 + 1 / 2.718281828)
    assert updated(2.0, 0.1, 1e6) == pytest.approx(0.1)


def test_peak_ewma_load():
    """Time x (transfers + 1) for the weight; busy without history comes last."""
    assert load(Candidate("a", 2, in_flight=3, ewma=0.5)) == 1.0
    assert load(Candidate("a", in_flight=1)) > load(Candidate("b", in_flight=99, ewma=9))
    assert load(Candidate("a")) == 0


def test_peak_ewma_never_picks_the_slowest_and_not_only_the_best():
    """The worst of all loses every pair; the best does not win them all."""
    nodes = [Candidate(str(i), ewma=0.1 * (i + 1)) for i in range(4)]
    got = Counter(names(PeakEwma(Random(3)), nodes, 3000))
    assert set(got) == {"0", "1", "2"}
    assert got["0"] == pytest.approx(1500, rel=0.15)  # 3 of 6 pairs
    assert got["1"] == pytest.approx(1000, rel=0.15)


@pytest.mark.parametrize("count", [3, 10, 50])
def test_removing_a_node_moves_only_its_own_keys(count):
    """At most 1 / N + 2 % of the keys move, and all of them belonged to the node that left."""
    policy, nodes = Rendezvous(), [Candidate(f"node-{i}") for i in range(count)]
    keys = [f"{number:x}" for number in range(3000)]
    before = [policy.pick(key, nodes).id for key in keys]
    after = [policy.pick(key, nodes[1:]).id for key in keys]
    moved = [old for old, new in zip(before, after, strict=True) if old != new]
    assert set(moved) == {"node-0"}
    assert len(moved) / len(keys) <= 1 / count + 0.02


def test_growing_weight_only_attracts_keys():
    """In a slow start every key that moves comes to the returning node."""
    nodes = [Candidate(f"node-{i}") for i in range(5)]
    keys, held = [str(number) for number in range(2000)], set()
    for weight in (0.1, 0.3, 0.6, 1.0):
        fleet = [replace(nodes[0], weight=weight), *nodes[1:]]
        mine = {key for key in keys if Rendezvous().pick(key, fleet).id == "node-0"}
        assert held <= mine
        assert len(mine) / len(keys) == pytest.approx(weight / (4 + weight), abs=0.04)
        held = mine


@pytest.mark.parametrize("count", [4, 10])
def test_hot_key_keeps_every_node_within_the_bound(count):
    """A key with 80 % of the traffic never lifts a node above 1.25 x the average, rounded up, at any moment."""
    lot, policy, loads, picks = Random(7), Rendezvous(), [0] * count, 1600
    for number in range(1, picks + 1):
        nodes = [Candidate(f"node-{i}", in_flight=loads[i]) for i in range(count)]
        key = "hot" if lot.random() < 0.8 else str(number)
        loads[int(policy.pick(key, nodes).id[5:])] += 1
        assert max(loads) <= -(-1.25 * number // count)
    assert max(loads) <= 1.25 * picks / count


def test_hot_key_spills_in_its_own_order():
    """While its first node is full the key goes to its second one."""
    policy, nodes = Rendezvous(), [Candidate(f"node-{i}") for i in range(4)]
    first, second = policy.order("key", nodes)[:2]
    busy = [replace(one, in_flight=9 if one.id == first.id else 2) for one in nodes]
    assert policy.pick("key", busy).id == second.id
    assert policy.order("key", busy)[-1].id == first.id


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.floats(0.05, 9), st.integers(0, 30)), min_size=1, max_size=20),
    st.text(max_size=8),
)
def test_bounded_pick_agrees_with_the_order(parts, key):
    """The quick way and the whole order have the same first node, which is below its bound."""
    nodes = [Candidate(str(i), weight=weight, in_flight=busy) for i, (weight, busy) in enumerate(parts)]
    assert Rendezvous().pick(key, nodes) == Rendezvous().order(key, nodes)[0]


def test_bound_must_be_above_one():
    """All nodes cannot be at or below their average."""
    with pytest.raises(ValueError, match="above 1"):
        Rendezvous(1.0)


def test_hashes_are_the_same_for_ever():
    """Known values: another Python or another host must choose the same node."""
    assert words("numpy", ("a", "b", "c")) == KNOWN
    assert words("numpy", ("c", "a")) == (KNOWN[2], KNOWN[0])  # a node's number depends on nothing but key and node
    assert words("numpy", ()) == ()


def test_hashes_are_even():
    """Keys spread over nodes by weight, and numbers of two nodes for one key do not follow each other."""
    wins = Counter(
        min(range(4), key=costs(str(n), ("a", "b", "c", "d"), (1, 1, 2, 4)).__getitem__) for n in range(8000)
    )
    assert [round(wins[i] / 1000, 1) for i in range(4)] == pytest.approx([1, 1, 2, 4], abs=0.25)
    pairs = [words(str(n), ("a", "b")) for n in range(4000)]
    assert sum((a > 2**31) == (b > 2**31) for a, b in pairs) == pytest.approx(2000, abs=200)
    assert sum(fraction(str(n), "zone") < 0.25 for n in range(4000)) == pytest.approx(1000, abs=150)


@pytest.mark.parametrize(
    ("failing", "weights"),
    [
        ((0, 0, 0), (1, 1, 1)),
        ((0.5, 0, 0), (0.25, 1, 1)),
        ((1, 0, 0), (0.1, 1, 1)),
        ((0.09, 0, 0), (1, 1, 1)),  # too little to notice
        ((0.5, 0), (1, 1)),  # of two, neither is the odd one
        ((0.5, 0.5, 0.5), (1, 1, 1)),  # a fault of all
        ((0.5, 0.4, 0.3), (1, 1, 1)),
        ((1, 0.2, 0.2, 0.2), (0.1, 1, 1, 1)),
    ],
)
def test_anomaly_mitigation(failing, weights):
    """Only a node that fails far more often than its peers loses weight, and never all of it."""
    assert mitigated([Candidate(str(i), failing=f) for i, f in enumerate(failing)]) == list(weights)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_at_most_half_are_anomalies(failing):
    """The median's fellows are never taken for the odd ones."""
    lowered = mitigated([Candidate(str(i), failing=f) for i, f in enumerate(failing)])
    assert sum(weight < 1 for weight in lowered) <= len(failing) / 2


def test_mitigation_can_be_switched_off():
    """ELB's `anomaly_mitigation` is an option."""
    nodes = [Candidate("a", failing=1.0), Candidate("b"), Candidate("c")]
    without, with_it = WeightedRandom(Random(1), mitigate=False), WeightedRandom(Random(1))
    assert names(without, nodes, 2000).count("a") == pytest.approx(667, rel=0.15)
    assert names(with_it, nodes, 2000).count("a") == pytest.approx(95, rel=0.4)


@pytest.mark.parametrize(
    ("healthy", "total", "expected"),
    [
        ([5, 5], [5, 5], [1, 0]),
        ([4, 5], [5, 5], [1, 0]),  # 80 % x 1.4 is more than all
        ([5, 5], [7, 7], [1, 0]),  # 71.4 %
        ([5, 10], [10, 10], [0.7, 0.3]),
        ([0, 5], [5, 5], [0, 1]),
        ([1, 1], [10, 10], [0.5, 0.5]),  # both sick: in proportion
        ([2, 1], [10, 10], [2 / 3, 1 / 3]),
        ([0, 0], [5, 5], [0, 0]),
        ([3, 0, 3], [10, 0, 3], [0.42, 0, 0.58]),
    ],
)
def test_spill_over(healthy, total, expected):
    """Envoy's table: a level sheds what its health times 1.4 cannot carry."""
    assert portions(healthy, total) == pytest.approx(expected)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=6))
def test_portions_add_up(parts):
    """Every request has a level, and only levels with healthy nodes get any."""
    healthy, total = [min(h, t) for h, t in parts], [t for _, t in parts]
    found = portions(healthy, total)
    assert sum(found) == pytest.approx(1.0 if any(healthy) else 0.0)
    assert all(part == 0 for part, count in zip(found, healthy, strict=True) if count == 0)


@pytest.mark.parametrize(("near", "share"), [(10, 1.0), (8, 1.0), (5, 0.7), (1, 0.14), (0, 0.0)])
def test_traffic_leaves_a_sick_zone_in_proportion(near, share):
    """With `near` of 10 nodes of the near zone healthy, its share of the keys is min(1, 1.4 x near / 10)."""
    nodes = [Candidate(f"x{i}", zone="x", zone_size=10) for i in range(near)]
    nodes += [Candidate(f"y{i}", zone="y", zone_size=10) for i in range(10)]
    picked = [ZoneAware(["x"]).pick(str(number), nodes).zone for number in range(2000)]
    assert picked.count("x") / 2000 == pytest.approx(share, abs=0.04)


def test_key_keeps_its_zone_and_falls_back_in_order():
    """The order is the key's level first, then the others as preferred."""
    nodes = [Candidate(f"{zone}{i}", zone=zone) for zone in "zyx" for i in range(2)]
    assert [one.zone for one in ZoneAware(["x", "y"]).order("key", nodes)] == list("xxyyzz")
