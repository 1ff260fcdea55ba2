"""What a limited answer says, read back as a client of the standard would."""

import time

import pytest

from tests.throttling import structured
from throttling import headers, take
from throttling.decision import Charge, Decision
from throttling.lines import Answer, Costs, Outcome, line_for
from throttling.rates import Limit, parse
from throttling.subjects import Caller

BOB = Caller(user="2", address="192.0.2.2")
DAY = 86_400_000_000


def told(decision):
    fields = headers.fields(decision)
    return dict(structured.read(fields["RateLimit-Policy"])), dict(structured.read(fields["RateLimit"]))


def test_fields_parse_and_say_quota_window_unit_and_partition(plan):
    """draft-ietf-httpapi-ratelimit-headers-10: q, w, qu, pk; r and t."""
    plan(
        "user:2", burst="60/minute burst=10", size="1000B/hour fixed", month="9/month calendar", at_once="3 concurrent"
    )
    policy, state = told(take.take(BOB, "get", Costs(size=100, lease="x")))
    assert {name: (p["q"], p.get("w"), p.get("qu")) for name, p in policy.items()} == {
        "burst": (10, 10, None),
        "size": (1000, 3600, '"content-bytes"'),
        "month": (9, 31 * 86_400, None),
        "at-once": (3, None, '"concurrent-requests"'),
    }
    assert {name: s["r"] for name, s in state.items()} == {"burst": 9, "size": 900, "month": 8, "at-once": 2}
    assert state["burst"]["t"] == 1
    assert len({p["pk"] for p in policy.values()}) == 1


def test_the_partition_tells_callers_apart_and_not_who_they_are():
    """No user, token or address can be read from pk."""
    assert headers.partition("user:1") != headers.partition("user:2")
    assert len(headers.partition("user:1")) == 12


@pytest.mark.parametrize(
    "rate", ["3/hour", "3/second", "3/hour fixed", "3/hour sliding", "3/hour log", "3/day calendar"]
)
def test_nothing_remaining_means_that_the_next_is_refused(plan, rate):
    """r=0 and a refusal next, for every strategy; Retry-After is never before t."""
    plan("user:2", only=rate)
    for left in (2, 1, 0):
        decision = take.take(BOB, "api")
        assert decision.allowed
        assert told(decision)[1]["only"]["r"] == left
    refused = take.take(BOB, "api")
    assert not refused.allowed
    state = told(refused)[1]["only"]
    assert state["r"] == 0
    assert all(headers.retry_after(refused) >= state["t"] for _ in range(50))


def test_who_obeys_retry_after_is_not_refused_again(plan):
    """Alone, waiting as told is enough."""
    plan("user:2", only="2/second burst=1")
    for _ in range(3):
        while (decision := take.take(BOB, "api")).allowed:
            pass
        time.sleep(headers.retry_after(decision, jitter=False))
        assert take.take(BOB, "api").allowed


def refused(wait, text="5/minute", **more):
    limit = Limit("only", parse(text), **more)
    charge = Charge(line_for(limit, "user:2", 1), limit, "user:2", 1)
    return Decision(False, "api", (charge,), Answer(1, 0, (Outcome(1, 60_000_000, wait, 60_000_000),)))


def test_short_waits_are_spread_over_one_to_three_seconds():
    """Installers come back soon, and not all at once."""
    assert {headers.retry_after(refused(200_000)) for _ in range(200)} == {1, 2, 3}
    assert {headers.retry_after(refused(1_200_000)) for _ in range(200)} == {2, 3}
    assert {headers.retry_after(refused(40_000_000)) for _ in range(200)} == {40, 41, 42, 43, 44}
    assert headers.retry_after(refused(40_000_000), jitter=False) == 40


def test_where_waiting_does_not_help_no_wait_is_told():
    """A cost above the limit, and a wait longer than the door allows."""
    assert headers.retry_after(refused(-1)) is None
    assert headers.retry_after(refused(DAY), most=10) is None


def test_the_problem_names_the_policy_and_where_to_look():
    """RFC 9457 with the draft's types."""
    body = headers.problem(refused(1), usage_url="https://example.org/usage", wait=1)
    assert body == {
        "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
        "title": "Quota exceeded",
        "status": 429,
        "detail": "The limit only (5/minute) is reached. Try again in 1 s.",
        "violated-policies": ["only"],
        "usage": "https://example.org/usage",
    }
    banned = Decision(False, banned_for=5_000_000)
    assert headers.problem(banned)["type"].endswith("#abnormal-usage-detected")
    away = refused(1, closed=True)
    away = Decision(False, "login", away.charges, away.answer._replace(degraded=True))
    assert headers.problem(away)["type"].endswith("#temporary-reduced-capacity")


def of_day(used, reset):
    limit = Limit("day", parse("100/day calendar"))
    charge = Charge(line_for(limit, "user:2", 1), limit, "user:2", 1)
    return Decision(True, "api", (charge,), Answer(0, 0, (Outcome(0, used, 0, reset),)))


def test_from_eighty_percent_a_warning_with_a_forecast():
    """How much is used, when it resets, and when it is used up at this pace."""
    assert "X-Quota-Warning" not in headers.fields(of_day(79, DAY // 2))
    assert headers.fields(of_day(80, DAY // 2))["X-Quota-Warning"] == (
        "day 80% used, resets in 43200 s, used up in 10800 s at this pace"
    )
    assert headers.fields(of_day(80, DAY // 10))["X-Quota-Warning"] == "day 80% used, resets in 8640 s"


def test_limits_in_shadow_are_not_told(plan):
    """Callers hear of what can refuse them."""
    plan("user:2", dry={"rate": "5/hour", "mode": "shadow"})
    assert headers.fields(take.take(BOB, "api")) == {}
