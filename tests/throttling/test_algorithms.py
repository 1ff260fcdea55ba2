"""The arithmetic against models written from the definitions."""

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.throttling import oracle
from throttling import algorithms
from throttling.lines import Verb, line_for
from throttling.rates import Limit, Rate, Strategy, Unit, parse

START = 1_795_499_738_195_123
steps = st.lists(st.tuples(st.integers(0, 3_000_000), st.integers(1, 4)), min_size=1, max_size=60)


def run(rate, moves):
    """Play moves of (pause, cost) against one limit; gives (time, cost, refused, wait) of each."""
    states, now, seen = {}, START, []
    for pause, cost in moves:
        now += pause
        _, (outcome,) = algorithms.decide(Verb.TAKE, (line_for(Limit("x", rate), "u", cost),), states, now)
        seen.append((now, cost, outcome.refused, outcome.wait))
    return seen


@given(steps, st.sampled_from([1, 2, 4, 5, 10]), st.integers(4, 12))
def test_gcra_is_a_leaky_bucket(moves, quota, burst):
    """With an emission interval of whole microseconds, GCRA admits exactly what a leaky bucket admits."""
    model = oracle.LeakyBucket(burst, quota, 1_000_000)
    model.at = START
    for now, cost, refused, _ in run(Rate(quota, 1_000_000, burst=burst), moves):
        assert model.admits(now, cost) == (not refused)


@given(steps, st.integers(1, 50), st.integers(1, 3_000_000), st.integers(1, 12), st.integers(1, 5_000_000))
def test_gcra_keeps_its_theorem_for_any_rate(moves, quota, period, burst, window):
    """In any window W, admitted cost <= burst + W/T, also where T is no whole number of microseconds."""
    admitted = [(now, cost) for now, cost, refused, _ in run(Rate(quota, period, burst=burst), moves) if not refused]
    assert oracle.most_in_any_window(admitted, window) <= burst + math.ceil(Rate(quota, period).quota * window / period)


@given(steps, st.integers(1, 12))
def test_exact_never_admits_more_than_the_quota_in_any_period(moves, quota):
    """`exact` gives up half of the burst so that no period ever sees more than the quota."""
    rate = parse(f"{quota}/second exact")
    admitted = [(now, cost) for now, cost, refused, _ in run(rate, moves) if not refused]
    assert oracle.most_in_any_window(admitted, 1_000_000) <= quota


@given(steps, st.integers(4, 10), st.integers(0, 2_000_000))
def test_delays_shape_the_traffic_to_the_rate(moves, burst, delay):
    """What is delayed and then starts keeps to burst + W/T, and no delay exceeds its bound."""
    rate = Rate(5, 1_000_000, burst=burst, max_delay=delay)
    admitted = [(now + wait, cost) for now, cost, refused, wait in run(rate, moves) if not refused]
    assert all(0 <= wait <= delay for _, _, refused, wait in run(rate, moves) if not refused)
    assert oracle.most_in_any_window(sorted(admitted), 1_000_000) <= burst + 5


@given(steps, st.integers(4, 10))
def test_the_log_is_exact(moves, quota):
    """The log admits exactly what a full history admits."""
    model = oracle.History(quota, 2_000_000)
    for now, cost, refused, _ in run(Rate(quota, 2_000_000, strategy=Strategy.LOG), moves):
        assert model.admits(now, cost) == (not refused)


@pytest.mark.parametrize(
    ("text", "delays"),
    [
        ("10/second burst=21", [0] * 21),
        ("10/second burst=1 delay=2s", [i * 100_000 for i in range(21)]),
        ("10/second burst=9 delay=1200ms", [0] * 9 + [i * 100_000 for i in range(1, 13)]),
    ],
)
def test_nginx_limit_req_at_10_a_second_with_a_burst_of_20(text, delays):
    """`nodelay`, the plain form and `delay=8`: nginx admits 21 at once, delays these, and refuses the rest."""
    seen = run(parse(text), [(0, 1)] * 30)
    assert [wait for _, _, refused, wait in seen if not refused] == delays


STRATEGIES = [Strategy.GCRA, Strategy.FIXED, Strategy.SLIDING, Strategy.LOG]


@pytest.mark.parametrize("strategy", STRATEGIES)
@settings(max_examples=40)
@given(moves=steps, quota=st.integers(4, 10))
def test_waiting_as_told_is_enough_and_no_less_would_do(strategy, moves, quota):
    """After a refusal the same cost passes at `wait`, and not a microsecond... nor a millisecond earlier."""
    rate = Rate(quota, 2_000_000, strategy=strategy)
    states, now = {}, START
    for pause, cost in moves:
        now += pause
        line = line_for(Limit("x", rate), "u", cost)
        _, (outcome,) = algorithms.decide(Verb.TAKE, (line,), states, now)
        if outcome.refused:
            _, (early,) = algorithms.decide(Verb.TEST, (line,), dict(states), now + outcome.wait - 1_000)
            _, (there,) = algorithms.decide(Verb.TEST, (line,), dict(states), now + outcome.wait + 1)
            assert outcome.wait < 1_000 or early.refused
            assert not there.refused


def us(*when):
    return int(datetime(*when, tzinfo=UTC).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("now", "end"),
    [
        (us(2026, 1, 31, 23), us(2026, 2, 1)),
        (us(2026, 12, 31), us(2027, 1, 1)),
        (us(2028, 2, 29), us(2028, 3, 1)),
        (us(2100, 2, 28), us(2100, 3, 1)),
        (us(2026, 3, 1), us(2026, 4, 1)),
    ],
)
def test_months_end_where_the_calendar_says(now, end):
    """Leap years, century years and the turn of the year."""
    assert algorithms.next_month(now) == end


def test_a_file_larger_than_the_bucket_costs_the_bucket():
    """It could otherwise never be fetched."""
    line = line_for(Limit("x", Rate(1_000, 1_000_000, Unit.BYTES)), "u", 10**9)
    assert line.cost == line.limit


def test_a_primary_with_a_clock_behind_does_not_lock_out():
    """A TAT from the future is believed only as far as a full bucket."""
    rate = Rate(10, 1_000_000)
    line = line_for(Limit("x", rate), "u", 1)
    states = {line.key: START + 10**12}
    _, (outcome,) = algorithms.decide(Verb.TAKE, (line,), states, START)
    assert 0 < outcome.wait <= rate.time_of(1)
    _, (outcome,) = algorithms.decide(Verb.TAKE, (line,), states, START + outcome.wait)
    assert not outcome.refused
