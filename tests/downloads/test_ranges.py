"""Which part of a file a request asks for."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgindex.downloads.ranges import RangeNotSatisfiable, Span, requested, still_same


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (None, None),
        ("", None),
        ("bytes=0-0", Span(0, 1)),
        ("bytes=0-", Span(0, 10)),
        ("bytes=3-", Span(3, 7)),
        ("bytes=3-5", Span(3, 3)),
        ("bytes=3-99", Span(3, 7)),
        ("bytes=9-9", Span(9, 1)),
        ("bytes=-1", Span(9, 1)),
        ("bytes=-10", Span(0, 10)),
        ("bytes=-10000", Span(0, 10)),
        ("Bytes = 1-2 ", Span(1, 2)),
        ("bytes=5-3", None),
        ("bytes=0-1,3-4", None),
        ("bytes=0-1,", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=--1", None),
        ("bytes=1-2-3", None),
        ("bytes=+1-2", None),
        ("bytes=٣-٤", None),
        ("items=0-1", None),
        ("bytes=0-" + "9" * 5_000, None),
        ("bytes=" + "9" * 5_000 + "-", None),
    ],
)
def test_requested_part_of_ten_bytes(field, expected):
    """One range as the standard writes it is a part; anything else is the whole file."""
    assert expected == requested(field, 10)


@pytest.mark.parametrize("field", ["bytes=10-", "bytes=10-12", "bytes=99999999999999999999-", "bytes=-0"])
def test_range_behind_the_end(field):
    """A range without a byte in the file is not satisfiable."""
    with pytest.raises(RangeNotSatisfiable):
        requested(field, 10)


def test_empty_file():
    """An empty file has no part: its end is the whole, anything else is behind it."""
    assert requested("bytes=-5", 0) is None
    with pytest.raises(RangeNotSatisfiable):
        requested("bytes=0-", 0)


@given(size=st.integers(1, 1_000), first=st.integers(0, 1_200), last=st.none() | st.integers(0, 1_200))
def test_first_and_last_are_a_slice(size, first, last):
    """A range from first to last is the same bytes as Python's slice."""
    data = bytes(i % 251 for i in range(size))
    field = f"bytes={first}-{'' if last is None else last}"
    if last is not None and last < first:
        assert requested(field, size) is None
    elif first >= size:
        with pytest.raises(RangeNotSatisfiable):
            requested(field, size)
    else:
        span = requested(field, size)
        assert span is not None
        expected = data[first:] if last is None else data[first : last + 1]
        assert data[span.start : span.start + span.length] == expected
        assert span.content_range(size) == f"bytes {first}-{first + len(expected) - 1}/{size}"


@given(size=st.integers(1, 1_000), suffix=st.integers(1, 2_000))
def test_suffix_is_a_slice(size, suffix):
    """The last N bytes are the same as Python's slice, and never the first N."""
    data = bytes(i % 251 for i in range(size))
    span = requested(f"bytes=-{suffix}", size)

    assert span is not None
    assert data[span.start : span.start + span.length] == data[-suffix:]


@given(st.text(), st.integers(0, 10**12))
def test_any_field_is_answered(text, size):
    """Whatever stands in the field, the part lies inside the file."""
    with suppress(RangeNotSatisfiable):
        span = requested(text, size)
        assert span is None or 0 <= span.start < span.start + span.length <= size


@pytest.mark.parametrize(
    ("if_range", "expected"),
    [
        (None, True),
        ('"tag"', True),
        (' "tag" ', True),
        ('W/"tag"', False),
        ('"other"', False),
        ("Tue, 24 Nov 2026 00:00:00 GMT", True),
        ("Tue, 24 Nov 2026 00:00:01 GMT", False),
        ("garbage", False),
    ],
)
def test_if_range(if_range, expected):
    """Only the strong tag or the exact date of this file keeps the range."""
    assert expected is still_same(if_range, '"tag"', "Tue, 24 Nov 2026 00:00:00 GMT")
