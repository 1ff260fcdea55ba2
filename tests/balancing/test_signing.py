"""Signed URLs: what they allow, how long, and what does not pass."""

import hmac
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from balancing.signing import Keyring, SignatureError, SignatureExpired, SignatureMissing, check, expiry, sign

KEY, OTHER = b"k" * 32, b"o" * 32
RING = Keyring("one", {"one": KEY}, audience="node-1")
TARGET = "/files/" + "a" * 64
URL = sign("GET", TARGET, RING, 7200)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(["GET", "HEAD", "PUT", "DELETE", "POST"]), st.text(min_size=1), st.integers(1, 10**11))
def test_what_was_signed_is_accepted_until_it_expires(method, target, expires):
    """Any target comes back as it was, up to its last second and not after it."""
    signed = sign(method, target, RING, expires)
    assert check(method, signed, RING, expires - 1) == target
    with pytest.raises(SignatureExpired):
        check(method, signed, RING, expires)


@pytest.mark.parametrize("target", [TARGET, "/inventory?after=&limit=5", "/a?expires=1&key=one&signature=" + "x" * 43])
def test_target_with_a_query(target):
    """The rest of the query is signed too, also where it looks like a signature."""
    assert check("GET", sign("GET", target, RING, 10), RING, 0) == target


def test_same_file_has_the_same_url_for_the_hour():
    """The expiry is rounded up, so it changes on the hour and always lies at least the life ahead."""
    urls = {sign("GET", TARGET, RING, expiry(now, 3600)) for now in range(36_001, 39_601, 100)}
    assert urls == {sign("GET", TARGET, RING, 43_200)}
    assert expiry(36_000, 3600) == 39_600
    assert expiry(36_001, 3600) == 43_200


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.floats(0, 4e9), st.integers(1, 100_000), st.integers(1, 7200))
def test_expiry_is_never_shorter_than_the_life(now, life, step):
    """Rounding only lengthens, by less than a step."""
    assert int(now) + life <= expiry(now, life, step) < now + life + step
    assert expiry(now, life, step) % step == 0


def test_get_allows_head_and_nothing_else():
    """A reader's URL cannot write or delete, and a writer's cannot read."""
    assert check("HEAD", URL, RING, 0) == TARGET
    for method in ("PUT", "DELETE", "POST"):
        with pytest.raises(SignatureError):
            check(method, URL, RING, 0)
    with pytest.raises(SignatureError):
        check("GET", sign("PUT", TARGET, RING, 7200), RING, 0)


@pytest.mark.parametrize("position", range(len(URL)))
def test_no_character_may_change(position):
    """Every character of a signed URL counts."""
    letter = "B" if URL[position] == "A" else "A"
    with pytest.raises(SignatureError):
        check("GET", URL[:position] + letter + URL[position + 1 :], RING, 0)


@pytest.mark.parametrize(
    "url",
    [
        "",
        TARGET,
        TARGET + "?",
        URL + "x",
        URL + "&more=1",
        URL.replace("expires=", "expires=-"),
        URL.replace("7200", "\uff17\uff12\uff10\uff10"),
        URL.replace("7200", "9" * 13),
        URL.replace("key=one", "key="),
        URL.partition("&signature")[0],
    ],
)
def test_url_without_a_proper_signature(url):
    """Anything of another form is no signature."""
    with pytest.raises(SignatureMissing):
        check("GET", url, RING, 0)


def test_url_for_another_node_is_refused():
    """Nodes may share keys, and a URL is still good for one of them only."""
    with pytest.raises(SignatureError):
        check("GET", URL, Keyring("one", {"one": KEY}, audience="node-2"), 0)


def test_rotation_of_keys():
    """Old URLs live on while their key is kept, and end with it; new ones carry the new key."""
    both = Keyring("two", {"one": KEY, "two": OTHER}, audience="node-1")
    assert check("GET", URL, both, 0) == TARGET
    assert "key=two" in sign("GET", TARGET, both, 7200)
    with pytest.raises(SignatureError, match="unknown key"):
        check("GET", URL, Keyring("two", {"two": OTHER}, audience="node-1"), 0)
    with pytest.raises(SignatureError):
        check("GET", URL.replace("key=one", "key=two"), both, 0)


def test_check_compares_in_constant_time(monkeypatch):
    """The comparison is hmac.compare_digest, and a wrong signature reaches it whole."""
    seen, compare = [], hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: seen.append((a, b)) or compare(a, b))
    with pytest.raises(SignatureError):
        check("GET", URL[:-43] + "A" * 43, RING, 0)
    assert [len(part) for part in seen[0]] == [43, 43]


@pytest.mark.parametrize(
    ("current", "keys", "audience"),
    [
        ("two", {"one": KEY}, ""),
        ("one", {"one": KEY[:31]}, ""),
        ("", {"": KEY}, ""),
        ("a b", {"a b": KEY}, ""),
        ("one", {"one": KEY}, "two\nlines"),
    ],
)
def test_wrong_keyrings_are_refused(current, keys, audience):
    """Weak or unusable keys are found at the start."""
    with pytest.raises(ValueError, match=r"[Kk]ey|line"):
        Keyring(current, keys, audience)


def test_keys_do_not_show():
    """A keyring in a log gives nothing away, and a method that is never signed is refused."""
    assert KEY.decode() not in repr(RING)
    assert not set(URL) - set(string.ascii_letters + string.digits + "/?&=-_")
    with pytest.raises(ValueError, match="not signed"):
        sign("PATCH", TARGET, RING, 1)
