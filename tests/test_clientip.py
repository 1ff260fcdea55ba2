"""The caller's address behind proxies."""

from ipaddress import ip_network

import pytest

from pkgindex.clientip import resolve

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.5", "", "203.0.113.5"),
        ("203.0.113.5", "198.51.100.1", "203.0.113.5"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "rubbish, 10.0.0.2", "10.0.0.2"),
        ("fd00::1", "2001:db8::7", "2001:db8::7"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "[2001:db8::7]", "2001:db8::7"),
    ],
)
def test_only_named_proxies_are_believed(peer, forwarded, expected):
    """The header counts from the right and only as far as trusted networks reach."""
    assert resolve(peer, forwarded, TRUSTED) == expected


def test_forging_the_header_changes_nothing():
    """A thousand forged headers from one stranger are one address."""
    assert {resolve("203.0.113.5", f"10.1.{i // 256}.{i % 256}", TRUSTED) for i in range(1000)} == {"203.0.113.5"}
