"""Names and versions."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import InvalidVersion

from pkgindex.catalog import names

NAMES = st.from_regex(r"\A[A-Za-z0-9](?:[A-Za-z0-9._-]{0,20}[A-Za-z0-9])?\Z")


@given(NAMES)
def test_normalising_is_idempotent_and_matches_the_standard(name):
    """The normalised form is PEP 503's and normalising again changes nothing."""
    normal = names.normalize(name)

    assert normal == re.sub(r"[-_.]+", "-", name).lower()
    assert names.normalize(normal) == normal
    assert names.is_normalized(normal)
    assert names.is_valid_name(name)


@pytest.mark.parametrize("name", ["", "-a", "a-", "a b", "ä", "a/b", "a\n", "a" + "é", "..", "_"])
def test_invalid_names(name):
    """What the core metadata standard forbids is not a name."""
    assert not names.is_valid_name(name)


@pytest.mark.parametrize(
    ("text", "spelling", "key"),
    [
        ("1.0", "1.0", "1"),
        ("1.0.0", "1.0.0", "1"),
        ("v1.0-RC1", "1.0rc1", "1rc1"),
        ("1.0+Team_1", "1.0+team.1", "1+team.1"),
    ],
)
def test_versions(text, spelling, key):
    """1.0 and 1.0.0 keep their spelling and are one release."""
    assert names.normalize_version(text) == spelling
    assert names.release_key(text) == key


def test_invalid_version_raises():
    """What is not PEP 440 is no version to publish, yet can be sorted, below all others."""
    with pytest.raises(InvalidVersion):
        names.normalize_version("one")
    assert sorted(["1.0", "one", "2.0a1"], key=names.version_key) == ["one", "1.0", "2.0a1"]
