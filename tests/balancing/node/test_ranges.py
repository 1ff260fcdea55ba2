"""Which part of a file is asked for."""

import pytest

from balancing.node.ranges import NotSatisfiable, requested


@pytest.mark.parametrize(
    ("field", "part"),
    [
        (None, None),
        ("", None),
        ("bytes=0-0", (0, 1)),
        ("bytes=2-5", (2, 4)),
        ("BYTES=2-", (2, 8)),
        ("bytes=5-99", (5, 5)),
        ("bytes=-3", (7, 3)),
        ("bytes=-99", (0, 10)),
        ("bytes=5-2", None),
        ("bytes=0-1,3-4", None),
        ("lines=0-1", None),
        ("bytes=-", None),
        ("bytes=\u0661-", None),
        ("bytes=" + "9" * 30 + "-", None),
    ],
)
def test_ranges_of_ten_bytes(field, part):
    """One proper range is a part; everything else is the whole file, as the standard allows."""
    assert requested(field, 10) == part


@pytest.mark.parametrize(("field", "size"), [("bytes=10-", 10), ("bytes=-0", 10), ("bytes=0-", 0), ("bytes=-1", 0)])
def test_ranges_behind_the_end(field, size):
    """There is nothing to send."""
    with pytest.raises(NotSatisfiable):
        requested(field, size)
