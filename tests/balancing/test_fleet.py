"""All nodes together: who is offered, panic, backups, drains, zones and the ejected share."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from balancing import states
from balancing.fleet import Admin, Member, is_drained, may_eject, select
from balancing.states import NodeState, Rules

RULES = Rules(slow_start=0)
UP = NodeState(up=True, ever_up=True)
SICK = NodeState(up=False, ever_up=True)
OUT = replace(UP, ejections=1, ejected_until=30.0)


def fleet(text, **more):
    """Members a, b, c, …: `u` up, `d` down, `e` ejected; upper case letters are backups."""
    kinds = {"u": UP, "d": SICK, "e": OUT}
    return [
        Member(chr(97 + i), kinds[letter.lower()], backup=letter.isupper(), **more) for i, letter in enumerate(text)
    ]


@pytest.mark.parametrize(
    ("members", "offered", "panic"),
    [
        ("", "", False),
        ("u", "a", False),
        ("uuu", "abc", False),
        ("uud", "ab", False),
        ("uue", "ab", False),
        ("ud", "a", False),  # half is not below half
        ("udd", "abc", True),
        ("ddd", "abc", True),  # fail open
        ("d", "a", True),
        ("uuU", "ab", False),  # the backup waits
        ("ddU", "c", False),  # the backup serves
        ("uddU", "ad", False),  # both tiers together are enough
        ("udddU", "ae", False),
        ("uddddU", "abcdef", True),  # and here they are not
        ("ddD", "abc", True),
        ("UU", "ab", False),
        ("UD", "a", False),
    ],
)
def test_who_is_offered(members, offered, panic):
    """Healthy nodes; backups when those are too few; everybody when even that is too little."""
    found = select(fleet(members), 0.0, RULES)
    assert ("".join(sorted(found.weights)), found.panic) == (offered, panic)


def test_threshold_zero_never_panics():
    """With a panic threshold of 0 nothing sick is ever offered."""
    assert select(fleet("ddd"), 0.0, replace(RULES, panic=0)).weights == {}
    assert list(select(fleet("uddd"), 0.0, replace(RULES, panic=0, least_healthy=3)).weights) == ["a"]


def test_minimum_count_of_healthy_nodes():
    """Below the minimum count health is ignored, even where the share would do."""
    assert select(fleet("uud"), 0.0, replace(RULES, least_healthy=2)).panic is False
    assert select(fleet("uud"), 0.0, replace(RULES, least_healthy=3)).panic is True


@pytest.mark.parametrize("admin", [Admin.DRAINING, Admin.DISABLED])
def test_node_that_is_not_active_is_never_offered(admin):
    """The operator's word stands above health and above panic."""
    members = [*fleet("ud"), Member("z", UP, admin=admin)]
    assert "z" not in select(members, 0.0, RULES).weights
    assert "z" not in select([*fleet("ddd"), members[-1]], 0.0, RULES).weights
    assert select([members[-1]], 0.0, RULES).weights == {}


def test_zone_that_traffic_was_moved_away_from():
    """Its nodes are left out while other zones have any, and serve when nothing else exists."""
    members = [Member("a", UP, zone="x"), Member("b", UP, zone="y")]
    assert list(select(members, 0.0, RULES, away={"x"}).weights) == ["b"]
    assert set(select(members, 0.0, RULES, away={"x", "y"}).weights) == {"a", "b"}


def test_weights_carry_the_slow_start_and_panic_does_not():
    """A returning node is offered with the share it has grown to; in panic every node has its whole weight."""
    back = replace(UP, returned_at=0.0)
    members = [Member("a", UP, weight=4), Member("b", back, weight=4)]
    assert select(members, 30.0, Rules()).weights == {"a": 4, "b": 2}
    assert select([replace(one, state=SICK) for one in members], 30.0, Rules()).weights == {"a": 4, "b": 4}


@pytest.mark.parametrize(
    ("members", "share", "allowed"),
    [
        ("u", 1.0, False),  # a fleet of one
        ("uu", 0.1, True),  # one may always go
        ("ue", 0.5, False),
        ("uuue", 0.5, True),
        ("uuee", 0.5, False),
        ("uuuuuuuuue", 0.1, False),
        ("uuuuuuuuue", 0.29, True),
        ("ud", 1.0, False),  # the other is down: this one is all there is
        ("ueee", 1.0, False),
    ],
)
def test_who_may_be_ejected(members, share, allowed):
    """Never more than the share, but one; never the last healthy node."""
    assert may_eject(fleet(members), "a", 0.0, replace(RULES, most_ejected=share)) is allowed


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.integers(1, 12),
    st.floats(0, 1),
    st.integers(0, 4),
    st.lists(st.tuples(st.integers(0, 11), st.floats(0, 20)), max_size=150),
)
def test_never_more_than_the_maximum_share_is_ejected(count, most, least, faults):
    """Whatever fails when, the ejected share and the least number of healthy nodes hold at every moment."""
    rules = replace(RULES, most_ejected=most, least_healthy=least, evidence=1.0)
    members, now = fleet("u" * count), 0.0
    for number, pause in faults:
        now += pause
        index = number % count
        one = members[index]
        allowed = may_eject(members, one.id, now, rules)
        members[index] = replace(one, state=states.failed(one.state, now, rules, may_eject=allowed))
        out = sum(states.is_ejected(each.state, now) for each in members)
        assert out <= max(1, int(most * count))
        assert count - out >= min(count, max(1, least))


@pytest.mark.parametrize(
    ("admin", "in_flight", "now", "drained"),
    [
        (Admin.ACTIVE, 0, 1000.0, False),
        (Admin.DRAINING, 0, 0.0, True),
        (Admin.DRAINING, 3, 299.0, False),
        (Admin.DRAINING, 3, 300.0, True),
        (Admin.DISABLED, 0, 0.0, False),
    ],
)
def test_drain_ends_with_the_last_transfer_or_after_its_time(admin, in_flight, now, drained):
    """A draining node finishes what it has, but not for ever."""
    assert is_drained(Member("a", UP, admin=admin, draining_since=0.0), in_flight, now, RULES) is drained
