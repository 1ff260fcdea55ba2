"""Several decisions at once: whoever takes the same takes together, and is told what it would have been told alone."""

import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.connection import AbstractConnection

from tests.throttling import stores
from throttling.lines import KIND, Asking, Verb, ban_key, ban_line, line_for
from throttling.rates import Limit, Rate, Strategy, Unit, parse
from throttling.stores.batch import SUMMABLE, Part, arranged

LIMITS = {name: limit for name, limit in stores.LIMITS.items() if KIND[limit.rate.strategy] in SUMMABLE}
LIMITS["bytes"] = Limit("bytes", Rate(50, 1_000_000, Unit.BYTES))  # so few that some are refused
chosen = st.lists(st.tuples(st.sampled_from(sorted(LIMITS)), st.integers(0, 4)), min_size=1, max_size=4,
                  unique_by=lambda wanted: wanted[0])  # fmt: skip
waves = st.lists(st.tuples(chosen, st.integers(2, 9), st.sampled_from([0, 1, 150_000, 2_000_001])), max_size=12)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(waves)
def test_a_sum_says_what_each_would_have_been_told(steps):
    """In every number, whatever came before; and where it does not pass nothing was charged."""
    client = stores.redis_client()
    client.flushdb()
    memory, redis = stores.make("memory"), stores.make("redis")
    now = time.time_ns() // 1_000
    for wanted, times, pause in steps:
        now += pause
        lines = (*(line_for(LIMITS[name], "u:1", cost) for name, cost in wanted), ban_line("u:1"))
        part = Part(Verb.TAKE, lines, times)
        together = redis.decide(Verb.TAKE, part.asked, now=now)
        if not together.refused_by:
            alone = [memory.decide(Verb.TAKE, lines, now=now) for _ in range(times)]
            assert list(part.learnt(together)) == alone
        looks = [store.decide(Verb.TEST, lines, now=now) for store in (redis, memory)]
        assert looks[0] == looks[1]
        if together.refused_by:
            alone = [memory.decide(Verb.TAKE, lines, now=now) for _ in range(times)]
            assert any(answer.refused_by for answer in alone)
            assert [redis.decide(Verb.TAKE, lines, now=now) for _ in range(times)] == alone


def test_who_takes_the_same_costs_one_call():
    """Forty requests of one caller are one call of the script and one of another's; each learns its own level."""
    client = stores.redis_client()
    client.flushdb()
    line = (line_for(LIMITS["day"], "u:1", 1),)
    other = (line_for(LIMITS["day"], "u:2", 1),)
    redis = stores.make("redis")
    redis.decide(Verb.TEST, line)
    client.config_resetstat()

    answers = redis.decide_each([Asking(Verb.TAKE, line)] * 20 + [Asking(Verb.TAKE, other)] + [Asking(Verb.TAKE, line)])

    assert client.info("commandstats")["cmdstat_evalsha"]["calls"] == 2
    assert [answer.outcomes[0].level for answer in answers] == [*range(1, 21), 1, 21]


def test_near_a_limit_each_is_asked_for_alone():
    """As many pass as there is room for, the first ones; nobody is charged twice."""
    client = stores.redis_client()
    client.flushdb()
    line = (line_for(LIMITS["fixed"], "u:1", 1),)
    redis = stores.make("redis")
    redis.decide(Verb.TAKE, line)

    answers = redis.decide_each([Asking(Verb.TAKE, line)] * 10)

    assert [answer.refused_by for answer in answers] == [0] * 7 + [1] * 3
    assert [answer.outcomes[0].level for answer in answers] == [2, 3, 4, 5, 6, 7, 8, 8, 8, 8]


def test_however_many_are_near_their_limits_it_is_two_round_trips(monkeypatch):
    """Those of all callers are asked for together, and each caller has its own answers."""
    stores.redis_client().flushdb()
    lines = [(line_for(LIMITS["fixed"], f"u:{number}", 1),) for number in range(5)]
    redis = stores.make("redis")
    redis.decide(Verb.TEST, lines[0])  # connects, and makes the script known
    sent, send = [], AbstractConnection.send_packed_command
    monkeypatch.setattr(
        AbstractConnection, "send_packed_command", lambda *words, **more: sent.append(1) or send(*words, **more)
    )

    found = redis.decide_each([Asking(Verb.TAKE, one) for one in lines * 10])

    assert len(sent) == 2
    assert [answer.refused_by for answer in found] == [0] * 40 + [1] * 10
    assert [answer.outcomes[0].level for answer in found[::5]] == [1, 2, 3, 4, 5, 6, 7, 8, 8, 8]


def test_who_is_banned_is_refused_each_time():
    """A sum of nothing is nothing, and so is what it is told."""
    client = stores.redis_client()
    client.flushdb()
    redis = stores.make("redis")
    redis.ban(ban_key("u:1"), 5_000_000)

    answers = redis.decide_each([Asking(Verb.TAKE, (ban_line("u:1"), line_for(LIMITS["day"], "u:1", 1)))] * 5)

    assert [answer.refused_by for answer in answers] == [1] * 5
    assert {answer.outcomes[1].level for answer in answers} == {0}


ALONE = {
    "a limit that only watches": (line_for(LIMITS["day"], "u:1", 1)._replace(enforce=0),),
    "a lease": (line_for(Limit("n", Rate(3, 1_500_000, Unit.CONCURRENT, Strategy.LEASES)), "u:1", 1, lease="a"),),
    "a sliding window": (line_for(Limit("s", parse("9/2 seconds sliding")), "u:1", 1),),
    "a log": (line_for(Limit("l", parse("9/2 seconds log")), "u:1", 1),),
    "a stock": (line_for(Limit("b", parse("25B storage")), "u:1", 1),),
    "more than the script can count": (line_for(LIMITS["day"], "u:1", 1 << 51),),
}


@pytest.mark.parametrize("lines", ALONE.values(), ids=list(ALONE))
def test_what_does_not_add_up_is_asked_for_alone(lines):
    """One call each, in their order."""
    parts, places = arranged([Asking(Verb.TAKE, lines)] * 2 + [Asking(Verb.TAKE, ())])

    assert ([part.times for part in parts], places) == ([1, 1], [0, 1, None])


def test_refunds_never_share():
    """Each gives back what it took."""
    parts, _ = arranged([Asking(Verb.REFUND, (line_for(LIMITS["day"], "u:1", 1),))] * 2)

    assert [part.times for part in parts] == [1, 1]


@pytest.mark.parametrize("rate", ["50/hour fixed", "50/hour burst=50"])
def test_exactly_as_many_pass_as_may(rate):
    """Eight who ask for ten at once, at the same time: fifty of eighty, every time."""
    stores.redis_client().flushdb()
    line = (line_for(Limit("f", parse(rate)), "u:1", 1),)
    redis = stores.make("redis")
    start, passed = threading.Barrier(8), []

    def ask() -> None:
        start.wait()
        for _ in range(2):
            passed.extend(answer.refused_by == 0 for answer in redis.decide_each([Asking(Verb.TAKE, line)] * 5))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(passed), sum(passed)) == (80, 50)
