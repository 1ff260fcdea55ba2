"""What a process may conclude from the part of a journal that it has read."""

from hypothesis import given, settings
from hypothesis import strategies as st

from pkgindex.catalog import journal as module
from pkgindex.catalog.journal import Journal

NAMES = "abc"
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("change"), st.sampled_from(NAMES)),
        st.tuples(st.just("see"), st.sampled_from(NAMES)),
        st.tuples(st.just("read"), st.integers(0, 30)),
        st.tuples(st.just("ask"), st.sampled_from(NAMES)),
    ),
    max_size=60,
)


def version_at(changes: list[tuple[str, int]], name: str, serial: int) -> int:
    return max((number for changed, number in changes if changed == name and number <= serial), default=0)


@settings(max_examples=400)
@given(STEPS, st.integers(1, 8), st.integers(1, 4))
def test_never_older_than_the_index_version_that_was_read(steps, tail, most):
    """Whatever was read when, and however little is kept: what is said held at `top` or later, and is no invention."""
    module.TAIL, module.MOST_NAMES, before = tail, most, (module.TAIL, module.MOST_NAMES)
    try:
        journal, changes, serial = Journal(), [], 0
        for what, value in steps:
            if what == "change":
                serial += 1
                changes.append((value, serial))
            elif what == "see":
                journal.saw(value, version_at(changes, value, serial), serial)
            elif what == "read":
                top = min(value, serial)
                after = journal.missing(top)
                if after is not None:
                    journal.extend(after, top, [row for row in changes if after < row[1] <= top])
            else:
                for top in range(serial + 1):
                    said = journal.newest(value, top)
                    assert said is None or version_at(changes, value, top) <= said <= version_at(changes, value, serial)
    finally:
        module.TAIL, module.MOST_NAMES = before


def test_what_is_read_is_known():
    """A name that was seen is known up to the serial that was read, a changed one by the journal alone."""
    journal = Journal()
    journal.saw("a", 3, 5)
    assert journal.newest("a", 5) is None
    journal.extend(journal.missing(7), 7, [("b", 7)])

    assert [journal.newest(name, 7) for name in "abc"] == [3, 7, None]
    assert journal.newest("a", 8) is None
    assert journal.newest("c", 7, (2, 4)) == 2


def test_a_long_pause_forgets_what_lies_before():
    """Of a long journal only its end is read, and what was seen before that says nothing."""
    journal = Journal()
    journal.saw("a", 3, 5)
    journal.saw("b", 4, 90_000)
    top = 90_000 + module.TAIL - 1
    assert journal.missing(top) == 89_999
    journal.extend(89_999, top, [])

    assert [journal.newest(name, top) for name in "ab"] == [None, 4]
    assert journal.missing(top) is None
