"""Where the copies of a file belong."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from balancing.placement import Placement, Site, place

SITES = [Site(f"n{i}", zone="xyz"[i % 3]) for i in range(9)]
SITE = st.builds(
    Site,
    id=st.sampled_from([f"n{i}" for i in range(10)]),
    weight=st.sampled_from([0, 0.5, 1, 3]),
    zone=st.sampled_from("xyz"),
    capacity=st.sampled_from([None, 100, 10]),
    used=st.integers(0, 100),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(SITE, unique_by=lambda one: one.id), st.integers(0, 6), st.sets(st.sampled_from(["n1", "n2"])))
def test_every_placement_keeps_the_rules(sites, copies, held):
    """Different nodes with weight and room, as many as wanted or as exist, none in a crowded zone without need."""
    found = place("digest", 20, copies, sites, held)
    fits = {
        one.id: one.zone
        for one in sites
        if one.weight and (one.id in held or one.capacity is None or one.used + 20 <= one.capacity)
    }
    assert set(found.nodes) <= set(fits)
    assert len(set(found.nodes)) == len(found.nodes) == min(copies, len(fits))
    assert found.missing == copies - len(found.nodes)
    counts, sizes = Counter(fits[node] for node in found.nodes), Counter(fits.values())
    for zone in sizes:
        assert counts[zone] == sizes[zone] or counts[zone] >= max(counts.values(), default=0) - 1


def test_placement_ignores_the_order_of_the_sites():
    """All hosts agree, whatever order their database gives."""
    assert place("digest", 1, 3, SITES) == place("digest", 1, 3, SITES[::-1])


def test_more_copies_extend_fewer():
    """The first nodes of a file stay its first nodes when it gets more copies."""
    assert place("digest", 1, 5, SITES).nodes[:2] == place("digest", 1, 2, SITES).nodes


def test_copies_follow_the_weights():
    """A node of weight 3 gets about three times the files of a node of weight 1."""
    sites = [replace(one, zone="", weight=3 if one.id == "n0" else 1) for one in SITES]
    got = Counter(place(str(number), 1, 1, sites).nodes[0] for number in range(2200))
    assert got["n0"] == pytest.approx(600, rel=0.15)


def test_node_that_leaves_moves_only_its_own_files():
    """Files that had no copy on it stay where they are."""
    sites = [replace(one, zone="") for one in SITES]
    for number in range(300):
        before = place(str(number), 1, 2, sites).nodes
        after = place(str(number), 1, 2, sites[1:]).nodes
        assert set(before) - {"n0"} <= set(after)


def test_full_node_keeps_what_it_holds():
    """A copy that exists needs no room."""
    full = [Site("a", capacity=10, used=10)]
    assert place("digest", 5, 1, full) == Placement((), 1)
    assert place("digest", 5, 1, full, {"a"}) == Placement(("a",), 0)
