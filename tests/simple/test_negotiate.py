"""Which serialisation and which content coding a client gets."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgindex.simple.negotiate import (
    OFFERS,
    TEXT_HTML,
    V1_HTML,
    V1_JSON,
    Encoding,
    NotAcceptable,
    choose_encoding,
    choose_type,
)

SIMPLE = "application/vnd.pypi.simple"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, TEXT_HTML),
        ("", TEXT_HTML),
        ("*/*", TEXT_HTML),
        (f"{V1_JSON}, {V1_HTML}; q=0.1, text/html; q=0.01", V1_JSON),  # pip
        (f"{V1_JSON}, {V1_HTML};q=0.2, text/html;q=0.01", V1_JSON),  # uv
        (f"{V1_JSON}, */*;q=0.1", V1_JSON),  # poetry
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", TEXT_HTML),  # a browser
        (V1_HTML, V1_HTML),
        (V1_JSON.upper(), V1_JSON),
        (f"{V1_JSON};charset=utf-8;v=1", V1_JSON),
        (f"{SIMPLE}.latest+json", V1_JSON),
        (f"{SIMPLE}.latest+html", V1_HTML),
        (f"{V1_JSON}, text/html", TEXT_HTML),
        (f"{V1_JSON}, {V1_HTML}", V1_HTML),
        ("application/*", V1_HTML),
        ("text/*", TEXT_HTML),
        (f"text/*;q=0.2, {V1_JSON};q=0.1", TEXT_HTML),
        (f"*/*, text/html;q=0.5, {V1_HTML};q=0.5", V1_JSON),
        (f"text/html;q=0, {V1_HTML};q=0, */*", V1_JSON),
        ("text/html;q=0", V1_HTML),
        (f"{SIMPLE}.v2+json, */*;q=0.1", TEXT_HTML),
        (f"{SIMPLE}.v2+json, {V1_JSON};q=0.1", V1_JSON),
        ("image/png", TEXT_HTML),
        ("nonsense", TEXT_HTML),
        (",;,q=1;;", TEXT_HTML),
        (f"{V1_JSON};q=abc, text/html;q=0.9", V1_JSON),
        (f"{V1_JSON};q=1.7, text/html;q=0.9", V1_JSON),
        (f"{V1_JSON};q=nan, text/html;q=0.9", V1_JSON),
        (f"{V1_JSON};q = .9, text/html ; Q=0.8", V1_JSON),
    ],
)
def test_content_type_by_accept(accept, expected):
    """Weights, specificity, aliases and the public index's order of ties decide the content type."""
    assert expected == choose_type(accept)


@pytest.mark.parametrize(
    "accept",
    [
        f"{SIMPLE}.v2+json",
        f"{SIMPLE}.v2+json, {SIMPLE}.v3+html;q=0.5",
        "*/*;q=0",
        f"text/html;q=0, {V1_HTML};q=0.0, {V1_JSON};q=0.000",
        f"{SIMPLE}.v2+json, text/html;q=0",
    ],
)
def test_not_acceptable(accept):
    """Only a client that knows other versions alone, or refuses everything, is refused."""
    with pytest.raises(NotAcceptable):
        choose_type(accept)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (V1_JSON, V1_JSON),
        (V1_JSON.replace("+", " "), V1_JSON),
        (f"{SIMPLE}.latest+json", V1_JSON),
        ("Text/HTML", TEXT_HTML),
    ],
)
def test_format_overrides_accept(wanted, expected):
    """The query's format wins, also where its plus was not percent-encoded."""
    assert expected == choose_type("*/*;q=0", wanted)


@pytest.mark.parametrize("wanted", ["", "json", f"{SIMPLE}.v2+json"])
def test_unknown_format_is_refused(wanted):
    """A format that is not served is refused instead of being guessed."""
    with pytest.raises(NotAcceptable):
        choose_type("*/*", wanted)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, Encoding.IDENTITY),
        ("", Encoding.IDENTITY),
        ("identity", Encoding.IDENTITY),
        ("gzip, deflate", Encoding.GZIP),
        ("gzip, deflate, zstd", Encoding.ZSTD),
        ("gzip, deflate, br, zstd;q=0.5", Encoding.GZIP),
        ("GZip", Encoding.GZIP),
        ("x-gzip", Encoding.GZIP),
        ("gzip;q=0", Encoding.IDENTITY),
        ("gzip;q=0, zstd;q=0", Encoding.IDENTITY),
        ("gzip;q=0.5, identity", Encoding.IDENTITY),
        ("*", Encoding.ZSTD),
        ("*, zstd;q=0", Encoding.GZIP),
        ("*;q=0", Encoding.IDENTITY),
        ("br", Encoding.IDENTITY),
        ("identity;q=0, br", Encoding.IDENTITY),
    ],
)
def test_content_coding(accept, expected):
    """The best accepted coding is chosen, none where the client names none."""
    assert expected is choose_encoding(accept)


@given(st.text())
def test_any_header_gets_an_answer(text):
    """Whatever stands in the headers, there is an offer or a refusal and never a fault."""
    assert choose_encoding(text) in Encoding
    with suppress(NotAcceptable):
        assert choose_type(text) in OFFERS


@given(
    st.permutations([V1_JSON, V1_HTML, TEXT_HTML]), st.lists(st.integers(1, 999), min_size=3, max_size=3, unique=True)
)
def test_highest_weight_wins_in_any_order(types, weights):
    """The order in which a client lists its types does not matter, only the weights do."""
    accept = ", ".join(f"{name};q=0.{weight:03}" for name, weight in zip(types, weights, strict=True))

    assert types[weights.index(max(weights))] == choose_type(accept)
