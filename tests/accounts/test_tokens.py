"""The form of a token."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgindex.accounts import tokens

NUMBERS = st.integers(min_value=0, max_value=2**256 - 1)


@given(NUMBERS)
def test_every_number_makes_a_well_formed_token_of_one_length(number):
    """Whatever the random bits are, the secret has 54 characters and a right checksum."""
    secret = tokens.seal(number)

    assert len(secret) == 54
    assert tokens.is_well_formed(secret)


@given(NUMBERS, st.integers(min_value=5, max_value=53), st.sampled_from("0Az-é\n"))
def test_one_changed_character_is_noticed(number, place, character):
    """A token with one other character fails its checksum or its alphabet."""
    secret = tokens.seal(number)
    changed = secret[:place] + character + secret[place + 1 :]

    assert tokens.is_well_formed(changed) == (changed == secret)


@given(st.text(max_size=100))
def test_any_text_is_judged_without_failing(text):
    """Garbage is not a token and does not raise."""
    assert not tokens.is_well_formed(text)


def test_two_tokens_differ_in_everything_that_is_stored():
    """Secrets and digests are new each time; the hint is the beginning."""
    first, second = tokens.generate(), tokens.generate()

    assert first != second
    assert tokens.digest(first) != tokens.digest(second)
    assert tokens.hint(first) == first[:12]
    assert first.startswith("pkgi_")


@pytest.mark.parametrize("spoil", [str.lower, str.strip, lambda s: s[:-1], lambda s: s + "0", lambda s: " " + s])
def test_spoiled_tokens(spoil):
    """Case, length and spaces matter."""
    secret = tokens.seal(2**255 + 12345)

    assert tokens.is_well_formed(spoil(secret)) == (spoil(secret) == secret)
