"""Reading the Authorization header."""

import re
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgindex.accounts import tokens
from pkgindex.accounts.credentials import PasswordGiven, TokenGiven, parse
from pkgindex.errors import InvalidCredentials

SECRET = tokens.seal(7)


def header(text: str | bytes) -> str:
    return "Basic " + b64encode(text if isinstance(text, bytes) else text.encode()).decode()


@pytest.mark.parametrize(
    ("sent", "understood"),
    [
        ("", None),
        ("   ", None),
        (f"Bearer {SECRET}", TokenGiven(SECRET)),
        (f"bearer   {SECRET}  ", TokenGiven(SECRET)),
        (f"token {SECRET}", TokenGiven(SECRET)),
        (header(f"__token__:{SECRET}"), TokenGiven(SECRET)),
        (header(f" __token__ : {SECRET}\n"), TokenGiven(SECRET)),
        (header(f"ann:{SECRET}"), TokenGiven(SECRET, "ann")),
        (header(f"ann: {SECRET} "), TokenGiven(SECRET, "ann")),
        (header("ann:pa:ss word "), PasswordGiven("ann", "pa:ss word ")),
        (header("änn:pässword"), PasswordGiven("änn", "pässword")),
        (header("ann:"), PasswordGiven("ann", "")),
        (f"  {header('ann:x')}  ", PasswordGiven("ann", "x")),
    ],
)
def test_understood(sent, understood):
    """Every way in which clients send tokens and passwords."""
    assert parse(sent) == understood


MALFORMED = [
    "Basic",
    "Basic ",
    "Basic !!!",
    "Basic YW5u",  # no colon
    header(b"\xff\xfe:x"),
    header("a\0b:x"),
    header("ann:x\0y"),
    header("an\nn:x"),
    header("a" * 151 + ":x"),
    "Basic " + "é" * 8,
    "Bearer",
    "Bearer nonsense",
    f"Bearer {SECRET}x",
    f"token {SECRET[:-1]}",
    header("__token__:"),
    header("__token__:not-a-token"),
    f"Digest {SECRET}",
    SECRET,
    "Bearer\t" + SECRET,
    "\0",
]


@pytest.mark.parametrize("sent", MALFORMED)
def test_malformed(sent):
    """A header that means nothing gets a sentence that does not repeat it."""
    with pytest.raises(InvalidCredentials) as caught:
        parse(sent)

    assert re.fullmatch(r"[A-Z].*\.", caught.value.sentence)
    assert SECRET[5:] not in caught.value.sentence


@given(st.text(st.characters(max_codepoint=255)))
def test_any_header_is_read_or_refused(text):
    """No header raises anything but the one error."""
    for sent in (text, f"Basic {text}", f"Bearer {text}", header(text)):
        try:
            parse(sent)
        except InvalidCredentials:
            continue


def test_secrets_are_not_printed():
    """The values can be logged by accident without harm."""
    assert SECRET not in repr(TokenGiven(SECRET))
    assert "hush" not in repr(PasswordGiven("ann", "hush"))
