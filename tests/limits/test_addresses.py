"""Who counts as one client: IPv6 networks, NAT, proxies, and headers that clients forge."""

from ipaddress import ip_network

import pytest

from tests.support.catalogue import add_wheel

PROXIES = ("10.0.0.0/8", "2001:db8:ff::/48")
FORGED = 1_000
FEW = {"rate": "1/hour", "scopes": "index"}


@pytest.fixture
def page(client, plan, index, settings):
    """Statuses of the page for each peer and X-Forwarded-For; strangers have one page an hour."""
    index.visibility = "public"
    index.save()
    add_wheel(index)
    plan("anon", few=FEW)
    settings.TRUSTED_PROXIES = tuple(ip_network(text) for text in PROXIES)

    def ask(*requests: tuple[str, str]) -> list[int]:
        found = []
        for peer, forwarded in requests:
            more = {"HTTP_X_FORWARDED_FOR": forwarded} if forwarded else {}
            found.append(client.get("/simple/acme/", REMOTE_ADDR=peer, **more).status_code)
        return found

    return ask


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8:1:2::1", "2001:db8:1:2::2", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("2001:DB8:1:2::1", "2001:db8:0001:0002:0::1", True),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("::ffff:c000:201", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::1%eth1", True),
        ("fe80::1%eth0", "fe80::2", True),
        ("::1", "127.0.0.1", False),
    ],
)
def test_addresses_of_a_connection(page, first, second, same):
    """One IPv4 address or one IPv6 /64 is one client, however it is written, mapped or zoned."""
    assert page((first, ""), (second, "")) == [200, 429 if same else 200]


@pytest.mark.parametrize(
    ("forwarded", "is_client"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9, 10.1.1.1", "203.0.113.9"),
        ("203.0.113.9, 10.1.1.1, 10.2.2.2", "203.0.113.9"),
        ("203.0.113.9, 2001:db8:ff::1", "203.0.113.9"),
        ("2001:db8:1:2::7, 10.1.1.1", "2001:db8:1:2::1"),
        ("[2001:db8:1:2::7]", "2001:db8:1:2::1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("  203.0.113.9  ,, ", "203.0.113.9"),
        ("10.9.9.9", "10.9.9.9"),
        ("garbage, 203.0.113.9", "203.0.113.9"),
        ("203.0.113.9, garbage", "10.0.0.1"),
        ("203.0.113.9, 999.1.1.1", "10.0.0.1"),
        ("203.0.113.9, 10.1.1.1:4711", "10.0.0.1"),
        ("203.0.113.9, \x00", "10.0.0.1"),
        ("203.0.113.9, " + "é" * 100, "10.0.0.1"),
        ("unknown", "10.0.0.1"),
        ("-", "10.0.0.1"),
        (",,,", "10.0.0.1"),
        ("1" * 5_000, "10.0.0.1"),
        (", ".join(["10.1.1.1"] * 2_000), "10.1.1.1"),
    ],
)
def test_addresses_behind_proxies(page, forwarded, is_client):
    """The header counts from the right, as far as each hop is a named proxy; garbage ends the walk and is no fault."""
    assert page(("10.0.0.1", forwarded), (is_client, "")) == [200, 429]


def test_a_thousand_forged_headers_are_one_client(page):
    """Who is no proxy writes what they like: the connection's address counts."""
    statuses = page(*(("203.0.113.9", f"10.{i % 250}.{i // 250}.7, 198.51.100.{i % 250}") for i in range(FORGED)))

    assert statuses == [200] + [429] * (FORGED - 1)


def test_a_thousand_forged_headers_through_a_proxy_are_one_client(page):
    """What stands to the left of the first stranger was written by them, and buys nothing."""
    statuses = page(*(("10.0.0.1", f"198.51.{i // 250}.{i % 250}, 203.0.113.9, 10.1.1.1") for i in range(FORGED)))

    assert statuses == [200] + [429] * (FORGED - 1)


@pytest.mark.parametrize("header", ["HTTP_X_REAL_IP", "HTTP_FORWARDED", "HTTP_CLIENT_IP", "HTTP_CF_CONNECTING_IP"])
def test_other_headers_name_nobody(client, page, header):
    """Only X-Forwarded-For of a named proxy is read."""
    page(("10.0.0.1", ""))

    assert client.get("/simple/acme/", REMOTE_ADDR="10.0.0.1", **{header: "198.51.100.1"}).status_code == 429


def test_two_users_behind_one_nat_are_two_and_strangers_share(client, page, people, plan, basic):
    """Behind one address each user has a bucket of their own, and all strangers have one together."""
    plan("users", few=FEW)
    at = {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": "203.0.113.9"}

    strangers = page(("10.0.0.1", "203.0.113.9"), ("10.0.0.1", "203.0.113.9"))
    users = [
        [client.get("/simple/acme/", **at, **basic(name, f"{name}-password")).status_code for _ in range(2)]
        for name in ("reader", "owner")
    ]

    assert strangers == [200, 429]
    assert users == [[200, 429], [200, 429]]


def test_one_user_at_many_addresses_is_one(client, page, people, plan, basic):
    """Moving to another address brings no second bucket."""
    plan("users", few=FEW)
    secret = basic("reader", "reader-password")

    statuses = [client.get("/simple/acme/", REMOTE_ADDR=f"192.0.2.{i}", **secret).status_code for i in range(1, 4)]

    assert statuses == [200, 429, 429]
