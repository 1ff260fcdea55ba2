"""Limit strings and the values they stand for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throttling.rates import SECOND, Rate, RateError, Strategy, Unit, describe, parse, parse_many, parse_time

MINUTE = 60 * SECOND

GOOD = [
    ("100/minute", Rate(100, MINUTE)),
    ("100 per 5 minutes", Rate(100, 5 * MINUTE)),
    ("10/5min", Rate(10, 5 * MINUTE)),
    ("10r/s burst=20 nodelay", Rate(10, SECOND, burst=20)),
    ("600/m burst=1000 delay=2s", Rate(600, MINUTE, burst=1000, max_delay=2 * SECOND)),
    ("5MB/s burst=50000000", Rate(5_000_000, SECOND, Unit.BYTES, burst=50_000_000)),
    ("1 GiB per hour", Rate(1 << 30, 3_600 * SECOND, Unit.BYTES)),
    ("1000/day calendar", Rate(1000, 86_400 * SECOND, strategy=Strategy.CALENDAR)),
    ("1000/month calendar", Rate(1000, 0, strategy=Strategy.CALENDAR)),
    ("20/minute strategy=log", Rate(20, MINUTE, strategy=Strategy.LOG)),
    ("20/minute sliding", Rate(20, MINUTE, strategy=Strategy.SLIDING)),
    ("20/minute fixed", Rate(20, MINUTE, strategy=Strategy.FIXED)),
    ("100/minute exact", Rate(50, MINUTE, burst=50)),
    ("8 concurrent", Rate(8, MINUTE, Unit.CONCURRENT, Strategy.LEASES)),
    ("50GB storage", Rate(50_000_000_000, SECOND, Unit.STORAGE, Strategy.STOCK)),
]

BAD = [
    ("", "is not a limit"),
    ("a lot", "is not a limit"),
    ("100/fortnight", "is not a period"),
    ("0/minute", "quota must be"),
    ("10/0 minutes", "longer than nothing"),
    ("10/minute burst=x", "not an option"),
    ("10/minute shove=3", "not an option"),
    ("10/minute strategy=magic", "not a strategy"),
    ("10/minute delay=20s", "at most 10 s"),
    ("10/minute fixed burst=5", "gcra"),
    ("100000/minute log", "exact log"),
    ("10/week calendar", "per hour, day or month"),
    ("10/400 days", "at most 366 days"),
    ("10/minute burst=0", "burst must be at least 1"),
    ("1/year burst=1000000000", "within decades"),
    ("10/minute leases", "Concurrent requests"),
]


@pytest.mark.parametrize(("text", "rate"), GOOD)
def test_a_limit_string_is_read(text, rate):
    """Every documented form gives the rate it says."""
    assert parse(text) == rate


@pytest.mark.parametrize(("text", "why"), BAD)
def test_a_bad_limit_string_is_refused_with_a_reason(text, why):
    """What has no meaning is refused, and the message says why."""
    with pytest.raises(RateError, match=why):
        parse(text)


def test_several_limits_in_one_string():
    """Commas, semicolons and bars join limits, as in Flask-Limiter."""
    assert [str(r) for r in parse_many("10/second; 100/minute, 1000/day|8 concurrent")] == [
        "10/second",
        "100/minute",
        "1000/day",
        "8 concurrent",
    ]


@pytest.mark.parametrize("text", ["", " ; ", ","])
def test_no_limit_at_all_is_refused(text):
    """An empty list of limits is a mistake, not freedom."""
    with pytest.raises(RateError):
        parse_many(text)


@pytest.mark.parametrize(("text", "time"), [("2s", 2_000_000), ("500ms", 500_000), ("1.5", 1_500_000), ("7us", 7)])
def test_times(text, time):
    """Times carry their unit; seconds are understood."""
    assert parse_time(text) == time


@given(
    st.integers(1, 10**9),
    st.sampled_from([SECOND, MINUTE, 7 * MINUTE, 86_400 * SECOND]),
    st.none() | st.integers(1, 10**6),
    st.integers(0, 10 * SECOND),
    st.sampled_from([Unit.REQUESTS, Unit.BYTES]),
)
def test_describe_and_parse_are_inverse(quota, period, burst, delay, unit):
    """What a limit is shown as can be typed back."""
    try:
        rate = Rate(quota, period, unit, burst=burst, max_delay=delay)
    except RateError:
        return
    assert parse(describe(rate)) == rate


@pytest.mark.parametrize("text", ["5/second delay=2s", "5/second delay=250ms", "5/second burst=9 delay=1500us"])
def test_delays_are_described_as_people_write_them(text):
    """A rate reads as it was written."""
    assert describe(parse(text)) == text
