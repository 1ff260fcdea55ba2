"""Requests that are held back occupy threads: how many at once, and what the others are told."""

import threading
import time

import pytest

from tests.throttling import structured
from throttling import conf, delays, onrequest, responses, signals, stats, take
from throttling.subjects import Caller

BOB = Caller(user="2", address="192.0.2.2")


class Request:
    """As much of a request as decisions hang on."""

    path, method = "/x", "GET"


@pytest.fixture
def most(settings):
    """Bound how many this process holds back."""

    def bound(number: int) -> None:
        settings.THROTTLING = getattr(settings, "THROTTLING", {}) | {"MOST_DELAYED": number}
        conf.get.cache_clear()

    return bound


def used(caller=BOB):
    return {result.limit.name: result.used for result in take.usage(caller, ["api"])}


def test_the_bound_counts_those_who_wait():
    """Two places: the third finds none until somebody leaves."""
    waiting = delays.Waiting()

    assert [waiting.enter(2), waiting.enter(2), waiting.enter(2), waiting.held] == [True, True, False, 2]
    waiting.leave()
    assert waiting.enter(2)


def test_a_delay_beyond_the_bound_is_a_refusal_that_costs_nothing(plan, most):
    """429, Retry-After of seconds, RateLimit names the limit that asked for the delay, the charge is given back."""
    most(0)
    plan("user:2", pace="1/second burst=1 delay=2s", day="100/day calendar")
    assert onrequest.decide(Request(), BOB, "api", take.ONE_REQUEST).allowed

    begun = time.monotonic()
    decision = onrequest.decide(Request(), BOB, "api", take.ONE_REQUEST)
    answer = responses.refusal(decision)

    assert (decision.allowed, time.monotonic() - begun < 0.5) == (False, True)
    assert 1 <= int(answer["Retry-After"]) <= 3
    assert dict(structured.read(answer["RateLimit"]))["pace"]["r"] == 0
    assert [result.limit.name for result in decision.violated] == ["pace"]
    assert used()["day"] == 1


def test_it_is_counted_told_and_bans_nobody(plan, most):
    """Statistics and the signal know of it; a limit that bans does not ban for what the process lacks."""
    most(0)
    row = plan("user:2", pace={"rate": "1/second burst=1 delay=2s", "ban_seconds": 60})
    seen = []

    def hear(*, decision, **_):
        seen.append(decision.scope)

    signals.refused.connect(hear)
    try:
        allowed = [onrequest.decide(Request(), BOB, "api", take.ONE_REQUEST).allowed for _ in range(3)]
    finally:
        signals.refused.disconnect(hear)

    assert (allowed, seen) == ([True, False, False], ["api", "api"])
    assert stats.counted(f"{row.limits.get().pk}") == (2, 0)
    assert not take.take(BOB, "api").banned_for


def test_earlier_throttles_of_the_request_are_given_back(plan, most):
    """All or none holds for this refusal as for any other."""
    most(0)
    plan("user:2", pace={"rate": "1/second burst=1 delay=2s", "scopes": "api"}, hour={"rate": "9/hour", "scopes": "x"})
    onrequest.decide(Request(), BOB, "api", take.ONE_REQUEST)
    request = Request()

    first = onrequest.decide(request, BOB, "x", take.ONE_REQUEST)
    second = onrequest.decide(request, BOB, "api", take.ONE_REQUEST)

    assert (first.allowed, second.allowed) == (True, False)
    assert {result.limit.name: result.used for result in take.usage(BOB, ["x"])} == {"hour": 0}


@pytest.mark.django_db(transaction=True)
def test_many_threads_at_once(plan, most):
    """Of twenty requests that would wait a second, four do and sixteen are told at once; then all places are free."""
    most(4)
    for number in range(20):
        plan(f"user:{number}", pace="1/second burst=1 delay=2s")
    callers = [Caller(user=str(number), address="192.0.2.2") for number in range(20)]
    assert all(take.take(caller, "api").allowed for caller in callers)
    found = []

    def call(caller):
        begun = time.monotonic()
        decision = onrequest.decide(Request(), caller, "api", take.ONE_REQUEST)
        found.append((decision.allowed, time.monotonic() - begun))

    threads = [threading.Thread(target=call, args=(caller,)) for caller in callers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert sorted(allowed for allowed, _ in found) == [False] * 16 + [True] * 4
    assert max(seconds for allowed, seconds in found if not allowed) < min(s for allowed, s in found if allowed)
    assert delays.waiting.held == 0
