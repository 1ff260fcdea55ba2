"""Who is asking: identity, addresses, and the plan that follows from them."""

from ipaddress import ip_network

import pytest

from throttling.callers import outermost
from throttling.rates import Limit, Per, parse
from throttling.snapshot import Assigned, Exempt, Snapshot
from throttling.subjects import Caller, SubjectError, address_key, parse_subject, safe

PROXIES = [ip_network("10.0.0.0/8"), ip_network("::1/128")]


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("203.0.113.9", "addr:203.0.113.9"),
        ("::ffff:203.0.113.9", "addr:203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "addr:2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "addr:2001:db8:1:2::/64"),
        ("fe80::1%eth0", "addr:fe80::/64"),
        ("garbage", "addr:unknown"),
        ("", "addr:unknown"),
    ],
)
def test_an_address_is_one_ipv4_or_one_ipv6_network_of_64(address, key):
    """Who has one address of a /64 has them all."""
    assert address_key(address) == key


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("198.51.100.7", "1.2.3.4", "198.51.100.7"),
        ("10.0.0.1", "1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", "6.6.6.6, 1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", "6.6.6.6, 1.2.3.4, 10.0.0.2", "1.2.3.4"),
        ("10.0.0.1", "garbage", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("", "1.2.3.4", "1.2.3.4"),
    ],
)
def test_only_trusted_proxies_are_believed(peer, forwarded, found):
    """X-Forwarded-For counts from the right, and what a client writes into it never does."""
    assert outermost(peer, forwarded, PROXIES) == found


def test_ten_thousand_forged_headers_are_one_bucket():
    """Rotating X-Forwarded-For buys nothing."""
    keys = {address_key(outermost("198.51.100.7", f"1.2.{i // 256}.{i % 256}", PROXIES)) for i in range(10_000)}
    assert keys == {"addr:198.51.100.7"}


def test_two_users_behind_one_address_are_two_callers():
    """A client behind one NAT is not one client when it says who it is."""
    assert Caller(user="1", address="192.0.2.1").key != Caller(user="2", address="192.0.2.1").key


@pytest.mark.parametrize("text", ["a}b", "a{b", "a b", "x" * 81, "ü\n"])
def test_odd_names_cannot_leave_their_key(text):
    """Braces decide a key's slot: they never come from outside."""
    assert safe(text).startswith("sha256-")


@pytest.mark.parametrize(
    ("text", "key"),
    [(" user:42 ", "user:42"), ("net:10.1.2.3/8", "net:10.0.0.0/8"), ("addr:2001:db8::5", "addr:2001:db8::/64"),
     ("addr:2001:db8::/64", "addr:2001:db8::/64"), ("anon", "anon"), ("everyone", "everyone")],
)  # fmt: skip
def test_subjects_are_read_into_one_form(text, key):
    """However a person writes it, the row is found."""
    assert parse_subject(text) == key


@pytest.mark.parametrize("text", ["", "user:", "people:3", "net:10.0.0.0/99", "addr:x", "user:a b", "nobody"])
def test_bad_subjects_are_refused(text):
    """A subject that names nobody is a mistake."""
    with pytest.raises(SubjectError):
        parse_subject(text)


def limit(name, **more):
    return Limit(name, parse("5/hour"), **more)


def names(snapshot, caller, scope="api"):
    return [(bound.name, subject) for bound, subject in snapshot.resolve(caller, scope)]


ALICE = Caller(user="1", token="9", groups=("3", "4"), address="10.1.2.3")


@pytest.mark.parametrize(
    ("subjects", "winner"),
    [
        (["everyone", "users", "net:10.0.0.0/8", "group:3", "user:1", "token:9"], ("token:9", "token:9")),
        (["everyone", "users", "net:10.0.0.0/8", "group:3", "user:1"], ("user:1", "user:1")),
        (["everyone", "users", "net:10.0.0.0/8", "group:3"], ("group:3", "user:1")),
        (["everyone", "users", "net:10.0.0.0/8", "net:10.1.0.0/16"], ("net:10.1.0.0/16", "user:1")),
        (["everyone", "users"], ("users", "user:1")),
        (["everyone", "anon"], ("everyone", "user:1")),
    ],
)
def test_the_most_specific_plan_wins(subjects, winner):
    """Token, user, group, the longest network, users, everyone; the bucket is the user's, or the token's own."""
    snapshot = Snapshot(assigned=tuple(Assigned(subject, 100, (limit(subject),)) for subject in subjects))
    assert names(snapshot, ALICE) == [winner]


def test_among_groups_the_lowest_order_wins():
    """Not the order in which the caller happens to list them."""
    snapshot = Snapshot(assigned=(Assigned("group:3", 20, (limit("x"),)), Assigned("group:4", 10, (limit("y"),))))
    assert names(snapshot, ALICE) == [("y", "user:1")]


def test_shared_limits_apply_in_addition():
    """A team's pool and everyone's are charged beside the user's own plan."""
    pool = limit("pool", per=Per.ASSIGNEE)
    snapshot = Snapshot(
        assigned=(
            Assigned("user:1", 100, (limit("own"),)),
            Assigned("group:3", 100, (pool, limit("hidden"))),
            Assigned("everyone", 100, (pool,)),
        )
    )
    assert names(snapshot, ALICE) == [("own", "user:1"), ("pool", "group:3"), ("pool", "everyone")]


def test_whose_bucket():
    """Per user, per token and per address, whatever the plan hangs on."""
    limits = tuple(limit(per.value, per=per) for per in (Per.CALLER, Per.USER, Per.TOKEN, Per.ADDRESS))
    snapshot = Snapshot(assigned=(Assigned("everyone", 100, limits),))
    assert [subject for _, subject in names(snapshot, ALICE)] == ["user:1", "user:1", "token:9", "addr:10.1.2.3"]
    assert {subject for _, subject in names(snapshot, Caller(address="192.0.2.1"))} == {"addr:192.0.2.1"}


def test_scopes():
    """A limit without scopes counts every ordinary request, and not logins, breaches or bandwidth."""
    snapshot = Snapshot(assigned=(Assigned("everyone", 1, (limit("all"), limit("some", scopes=frozenset({"login"})))),))
    assert [name for name, _ in names(snapshot, ALICE, "api")] == ["all"]
    assert [name for name, _ in names(snapshot, ALICE, "login")] == ["some"]
    assert names(snapshot, ALICE, "bandwidth") == []


@pytest.mark.parametrize(
    ("subject", "address", "exempt"),
    [
        ("net:10.0.0.0/8", "10.200.0.1", True),
        ("net:10.0.0.0/8", "11.0.0.1", False),
        ("net:2001:db8::/32", "2001:db8:5::1", True),
        ("net:2001:db8::/32", "2001:db9::1", False),
        ("net:10.0.0.0/8", "2001:db8::1", False),
        ("addr:192.0.2.1", "192.0.2.1", True),
        ("net:::/0", "10.0.0.1", False),
    ],
)
def test_the_allow_list_knows_ipv4_and_ipv6_networks(subject, address, exempt):
    """CIDR of both families; a network of one family says nothing of the other."""
    assert Snapshot(exempt=(Exempt(subject),)).exempts(Caller(address=address), "api", 0) is exempt


def test_exemptions_have_scopes_and_an_end():
    """Only in the scopes named, only as long as they run."""
    snapshot = Snapshot(exempt=(Exempt("user:1", frozenset({"api"}), 100.0),))
    assert [snapshot.exempts(ALICE, s, t) for s, t in (("api", 99), ("api", 101), ("web", 99))] == [True, False, False]


def test_an_address_ban_does_not_stop_who_is_known():
    """Others behind the same address may have earned it; a ban of the network is meant for all."""
    snapshot = Snapshot(bans={"addr:10.1.2.3": 100.0})
    assert snapshot.banned_until(Caller(address="10.1.2.3")) == 100.0
    assert snapshot.banned_until(ALICE) == 0.0
    assert Snapshot(bans={"net:10.0.0.0/8": 5.0}).banned_until(ALICE) == 5.0
