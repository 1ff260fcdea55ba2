"""What holds for every policy, in one class; new policies join by their registry line."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from balancing.policies import DEFAULT, POLICIES, Candidate
from balancing.policies.zone_aware import ZoneAware

MADE = {**POLICIES, "zone_aware, three levels": lambda: ZoneAware(("x", "y"))}
WHOLE = st.lists(
    st.builds(
        Candidate,
        id=st.sampled_from([f"n{i}" for i in range(12)]),
        weight=st.sampled_from([0.0, 0.1, 1.0, 5.0]),
        zone=st.sampled_from(["x", "y", "z"]),
        in_flight=st.integers(0, 5),
        ewma=st.sampled_from([0.0, 0.01, 3.0]),
        max_conns=st.integers(0, 4),
        failing=st.sampled_from([0.0, 0.3, 1.0]),
        zone_size=st.integers(0, 9),
    ),
    max_size=12,
    unique_by=lambda one: one.id,
)


def drive(policy, nodes, picks, key=lambda number: f"key-{number}"):
    """Send transfers that never end; returns how many each node got."""
    for number in range(picks):
        found = policy.pick(key(number), nodes)
        nodes = [replace(one, in_flight=one.in_flight + 1) if one.id == found.id else one for one in nodes]
    return Counter({one.id: one.in_flight for one in nodes})


@pytest.mark.parametrize("name", MADE)
class TestEveryPolicy:
    """The interface's promises."""

    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(nodes=WHOLE, key=st.text(max_size=5))
    def test_order_holds_exactly_the_nodes_with_weight_and_room(self, name, nodes, key):
        """Nobody is lost, doubled or invented; a node without weight or room is absent."""
        ready = {one.id for one in nodes if one.weight > 0 and (not one.max_conns or one.in_flight < one.max_conns)}
        ordered = [one.id for one in MADE[name]().order(key, nodes)]
        assert sorted(ordered) == sorted(ready)

    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(nodes=WHOLE, key=st.text(max_size=5))
    def test_pick_is_one_of_them_or_none(self, name, nodes, key):
        """A pick is a candidate with weight and room, and None only where there is none."""
        policy = MADE[name]()
        found, ready = policy.pick(key, nodes), policy.order(key, nodes)
        assert found in ready if ready else found is None

    def test_candidates_are_left_as_they_are(self, name):
        """The caller's sequence may be a shared snapshot, so it is only read."""
        nodes = tuple(Candidate(f"n{i}") for i in range(5))
        MADE[name]().pick("key", nodes)
        MADE[name]().order("key", nodes)
        assert nodes == tuple(Candidate(f"n{i}") for i in range(5))

    def test_traffic_follows_the_weights(self, name):
        """Over many different files each node gets about its share."""
        nodes = [Candidate(f"n{i}", weight=1 + i % 3, ewma=0.1) for i in range(6)]
        got = drive(MADE[name](), nodes, 3000)
        assert all(0.7 < got[one.id] / (3000 * one.weight / 12) < 1.3 for one in nodes)

    def test_max_conns_is_never_passed(self, name):
        """A node takes as many transfers as it may, and then the policy says that nobody is left."""
        policy, nodes = MADE[name](), [Candidate(f"n{i}", max_conns=3) for i in range(4)]
        got = drive(policy, nodes, 12)
        assert set(got.values()) == {3}
        assert policy.pick("key", [replace(one, in_flight=3) for one in nodes]) is None


def test_default_is_registered():
    """The default's name is one of the registry."""
    assert POLICIES[DEFAULT]().pick("key", [Candidate("a")]) == Candidate("a")
