"""The contract of a store, and the Redis script held to the pure arithmetic."""

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.throttling import stores
from tests.throttling.stores import LIMITS, MONTH
from throttling.lines import Asking, Line, Verb, ban_key, ban_line, key_of, line_for
from throttling.rates import Limit, Rate, Strategy, Unit, parse
from throttling.stores.base import StoreError

names = st.sampled_from(sorted(LIMITS))
moves = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 999, 150_000, 700_000, 2_000_001]),
        st.sampled_from([Verb.TAKE, Verb.TAKE, Verb.TAKE, Verb.TEST, Verb.CHARGE, Verb.REFUND]),
        st.lists(st.tuples(names, st.integers(0, 5), st.sampled_from(["a", "b", "c", "d"]), st.integers(0, 1)),
                 min_size=1, max_size=4, unique_by=lambda wanted: wanted[0]),
    ),
    min_size=1, max_size=30,
)  # fmt: skip


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves)
def test_the_script_and_the_arithmetic_agree_in_every_number(steps):
    """Any sequence of takes, tests, charges and refunds of any mix of limits: equal answers, field by field."""
    client = stores.redis_client()
    client.flushdb()
    memory, redis = stores.make("memory"), stores.make("redis")
    now = time.time_ns() // 1_000
    for pause, verb, wanted in steps:
        now += pause
        lines = [
            line_for(LIMITS[name], "u:1", cost, lease=lease)._replace(enforce=enforce)
            for name, cost, lease, enforce in wanted
        ]
        assert redis.decide(verb, lines, now=now) == memory.decide(verb, lines, now=now)


def test_other_keys_are_read_in_the_same_breath():
    """Their values come with the decision, also where the script was forgotten, and None where there is none."""
    client = stores.redis_client()
    client.flushdb()
    line = [line_for(LIMITS["gcra"], "u:1", 1)]
    redis = stores.make("redis")
    client.set("page", b"17")

    first = redis.decide(Verb.TAKE, line, beside=("page",))
    client.script_flush()
    second = redis.decide(Verb.TAKE, line, beside=("page",))
    third = redis.decide(Verb.TAKE, line, beside=("nothing", "page"))

    assert [answer.beside for answer in (first, second, third)] == [(b"17",), (b"17",), (None, b"17")]
    assert [answer.refused_by for answer in (first, second, third)] == [0, 0, 0]
    assert redis.decide(Verb.TEST, line).beside is None


def test_a_key_of_another_kind_does_not_confuse_the_connection():
    """It is as one that is not there, and the next answer is the next question's."""
    client = stores.redis_client()
    client.flushdb()
    line = [line_for(LIMITS["gcra"], "u:1", 1)]
    redis = stores.make("redis")
    client.lpush("list", b"x")

    assert redis.decide(Verb.TAKE, line, beside=("list",)).beside == (None,)
    assert redis.decide(Verb.TAKE, line, beside=("none",)).beside == (None,)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 4_000_000_000_000_000))
def test_the_script_knows_the_calendar(now):
    """The script's end of the month is the calendar's, for any moment of a century."""
    client = stores.redis_client()
    line = line_for(Limit("m", MONTH), "u:1", 1)
    client.delete(line.key)
    now = max(now, 1)
    assert stores.make("redis").decide(Verb.TAKE, [line], now=now) == stores.make("memory").decide(
        Verb.TAKE, [line], now=now
    )


def take(store, *texts, cost=1, subject="user:1"):
    lines = [line_for(Limit(text, parse(text)), subject, cost) for text in texts]
    return store.decide(Verb.TAKE, lines)


def test_all_or_none_a_thousand_times(store):
    """A thousand refusals by the burst limit move neither the day's counter nor the month's (nginx's rule)."""
    for _ in range(3):
        assert take(store, "3/hour", "1000/day calendar", "9999/month calendar").refused_by == 0
    for _ in range(1_000):
        assert take(store, "3/hour", "1000/day calendar", "9999/month calendar").refused_by == 1
    levels = [outcome.level for outcome in take(store, "3/hour", "1000/day calendar", "9999/month calendar").outcomes]
    assert levels[1:] == [3, 3]


def test_a_shadow_limit_refuses_nothing_and_says_what_it_would(store):
    """Dry run: the enforcing limits go on as if it were not there, and it keeps its own exact count."""
    shadow = line_for(Limit("dry", parse("2/hour")), "user:1", 1)._replace(enforce=0)
    real = line_for(Limit("real", parse("100/hour")), "user:1", 1)
    answers = [store.decide(Verb.TAKE, [shadow, real]) for _ in range(5)]
    assert [a.refused_by for a in answers] == [0] * 5
    assert [a.outcomes[0].refused for a in answers] == [0, 0, 1, 1, 1]


def test_the_servers_clock_decides(store):
    """No clock of the caller is asked: the answer carries the store's time."""
    before = time.time_ns() // 1_000
    assert abs(take(store, "10/second").now - before) < 5_000_000


def test_peeking_is_free_on_a_fresh_key(store):
    """A cost of 0 writes nothing and fails on no expiry of zero."""
    answer = take(store, "10/second", "10/day calendar", "9/minute log", "9/minute sliding", cost=0)
    assert answer.refused_by == 0
    assert store.keys_of("user:1") == []


@pytest.mark.parametrize("kind", ["", " fixed"])
def test_a_raised_limit_does_not_wait_for_the_old_one_to_end(store, kind):
    """Used up by the hour, then edited to twenty a second: whole again within that second, not within the hour."""
    old, new = (Limit("x", parse(text + kind)) for text in ("3/hour", "20/second"))
    for _ in range(4):
        store.decide(Verb.TAKE, [line_for(old, "user:1", 1)])
    store.decide(Verb.TAKE, [line_for(new, "user:1", 1)])
    time.sleep(1.05)
    assert store.decide(Verb.TAKE, [line_for(new, "user:1", 1)]).refused_by == 0


def test_a_refund_gives_back_exactly(store):
    """Taking and refunding leaves room for the whole quota again."""
    for text in ("5/hour", "5/hour fixed", "5/day calendar", "5/hour log", "5/hour sliding", "5B storage"):
        line = line_for(Limit(text, parse(text)), "user:1", 5)
        for _ in range(3):
            assert store.decide(Verb.TAKE, [line]).refused_by == 0, text
            assert store.decide(Verb.TAKE, [line]).refused_by == 1, text
            store.decide(Verb.REFUND, [line])


def test_a_lease_that_is_not_renewed_ends_by_itself(store):
    """What a killed worker held is free again after the lease's life; a renewal keeps it."""
    limit = Limit("c", Rate(1, 2_000_000, Unit.CONCURRENT, Strategy.LEASES))
    held, other = (line_for(limit, "user:1", 1, lease=name) for name in ("one", "two"))
    assert store.decide(Verb.TAKE, [held]).refused_by == 0
    time.sleep(1.2)
    assert store.decide(Verb.TAKE, [held]).refused_by == 0
    time.sleep(1.2)
    assert store.decide(Verb.TAKE, [other]).refused_by == 1
    time.sleep(1.2)
    assert store.decide(Verb.TAKE, [other]).refused_by == 0


def test_a_ban_begins_once_and_is_extended_by_every_attempt(store):
    """mod_evasive's sliding block: one beginner, then each request during it restarts it."""
    key = ban_key("addr:192.0.2.1")
    assert [store.ban(key, 3_000_000), store.ban(key, 200_000)] == [True, False]
    time.sleep(1.6)
    answer = store.decide(Verb.TAKE, [ban_line("addr:192.0.2.1", 3_000_000)])
    assert (answer.refused_by, answer.outcomes[0].wait) == (1, 3_000_000)
    time.sleep(1.6)
    assert store.banned_for(key) > 0
    store.forget([key])
    assert store.decide(Verb.TAKE, [ban_line("addr:192.0.2.1", 300_000)]).refused_by == 0


def test_keys_of_a_subject_with_odd_letters(store):
    """A subject is matched as it is written, whatever a pattern would make of it."""
    for subject in ("key:a*b", "key:a[b]", "key:aXb"):
        take(store, "5/hour", subject=subject)
    assert len(store.keys_of("key:a*b")) == 1
    assert len(store.keys_of("key:a[b]")) == 1


def test_once_in_a_while(store):
    """The first asker of all processes gets it."""
    assert [store.once("notice:1", 60), store.once("notice:1", 60), store.once("notice:2", 60)] == [True, False, True]


def test_a_stock_is_set_to_what_is_true(store):
    """The owner of the storage corrects the counter."""
    limit = Limit("s", parse("100B storage"))
    store.level(key_of(limit, "user:1"), 90)
    assert store.decide(Verb.TAKE, [line_for(limit, "user:1", 20)]).refused_by == 1
    assert store.decide(Verb.TAKE, [line_for(limit, "user:1", 10)]).refused_by == 0


@pytest.mark.parametrize(
    "text", ["600/minute burst=1000", "1000/day calendar", "100/minute fixed", "99/minute sliding"]
)
def test_a_rate_costs_at_most_128_bytes_of_redis(text):
    """Asked of the server itself, with a long-lived subject's key."""
    limit = Limit("download", parse(text), ident="123")
    line = line_for(limit, "user:1234567", 1)
    for _ in range(50):
        stores.make("redis").decide(Verb.TAKE, [line])
    assert stores.redis_client().memory_usage(line.key) <= 128


def test_every_rate_key_expires():
    """Nothing that is a rate stays in Redis after the limit is whole again."""
    take(stores.make("redis"), "5/hour", "5/hour fixed", "5/day calendar", "5/hour log", "5/hour sliding")
    client = stores.redis_client()
    assert all(0 < client.pttl(key) <= 86_400_000 for key in stores.make("redis").keys_of("user:1"))


def test_a_flushed_script_cache_costs_one_more_round_trip_and_no_error():
    """SCRIPT FLUSH, a restart and a failover look the same: EVALSHA is unknown, EVAL follows."""
    stores.redis_client().script_flush()
    assert take(stores.make("redis"), "5/hour").refused_by == 0


def test_memory_is_bounded():
    """The memory store drops the least recently used above its bound."""
    from throttling.stores.memory import MemoryStore

    store = MemoryStore(most=10)
    for i in range(50):
        take(store, "5/hour", subject=f"user:{i}")
    assert len(store._states) == 10


def test_a_line_survives_as_the_contract_says():
    """The argument order of the script, pinned for other front ends."""
    assert line_for(LIMITS["shaped"], "user:1", 2) == Line("g", "rl:{user:1}:gshaped", 1, 200_000, 300_000, 0, 400_000)


@pytest.mark.parametrize("kind", ["redis", "memory"])
@pytest.mark.parametrize("forgotten", [False, True])
def test_several_decisions_are_as_one_after_the_other(kind, forgotten):
    """Together in one message they say what they would say alone, whether the script is known or not."""
    client = stores.redis_client()
    client.flushdb()
    client.set("page", b"17")
    few = line_for(Limit("f", parse("3/hour fixed")), "u:1", 1)
    other = line_for(LIMITS["gcra"], "u:2", 1)
    askings = [
        Asking(Verb.TEST, (few, other), ("page",)),
        *[Asking(Verb.TAKE, (few,)) for _ in range(4)],
        Asking(Verb.TAKE, (), ("page",)),
        Asking(Verb.TAKE, (other,), ("none", "page")),
    ]
    store = stores.make(kind)
    if forgotten:
        client.script_flush()

    answers = store.decide_each(askings)

    assert [answer.refused_by for answer in answers] == [0, 0, 0, 0, 1, 0, 0]
    assert [len(answer.outcomes) for answer in answers] == [2, 1, 1, 1, 1, 0, 1]
    beside = [(b"17",), (b"17",), (None, b"17")] if kind == "redis" else [None] * 3
    assert [answers[place].beside for place in (0, 5, 6)] == beside
    assert store.decide_each([]) == []


def test_one_fault_among_several_is_a_fault_of_the_store():
    """And the next answers are those of the next questions."""
    client = stores.redis_client()
    client.flushdb()
    good = line_for(LIMITS["gcra"], "u:1", 1)
    bad = good._replace(kind="unknown")
    redis = stores.make("redis")

    mixed = [Asking(Verb.TAKE, (good,)), Asking(Verb.TAKE, (bad,), ("a",)), Asking(Verb.TAKE, (good,), ("b",))]
    with pytest.raises(StoreError):
        redis.decide_each(mixed)

    assert redis.decide_each([Asking(Verb.TAKE, (good,), ("none",))])[0].beside == (None,)


def test_who_only_looks_at_the_same_shares_an_answer():
    """A client that has everything already asks by the dozen; who takes has a decision of its own."""
    client = stores.redis_client()
    client.flushdb()
    client.set("page", b"17")
    few = (line_for(Limit("f", parse("3/hour fixed")), "u:1", 1),)
    other = (line_for(Limit("f", parse("1/hour fixed")), "u:2", 1),)
    askings = [Asking(Verb.TAKE, few)] + [Asking(Verb.TEST, few, ("page",)), Asking(Verb.TEST, other)] * 6
    redis = stores.make("redis")
    redis.decide_each(askings[1:])
    client.config_resetstat()

    answers = redis.decide_each([*askings, Asking(Verb.TAKE, other), Asking(Verb.TAKE, other)])

    assert client.info("commandstats")["cmdstat_evalsha"]["calls"] == 1 + 2 + 1 + 2  # of two takes one may pass
    assert [answer.refused_by for answer in answers] == [0] * 13 + [0, 1]
    assert [answer.beside for answer in answers[1:]] == [(b"17",), None] * 6 + [None, None]
    assert [answer.outcomes[0].level for answer in answers[:3]] == [1, 1, 0]


def test_keys_beside_several_decisions_are_read_once_each():
    """Whoever shares one sees the same value; one of another kind is as none."""
    client = stores.redis_client()
    client.flushdb()
    client.set("page", b"17")
    client.lpush("list", b"x")
    line = (line_for(LIMITS["gcra"], "u:1", 1),)
    keys = [("page",), ("list", "none"), ("page", "none"), (), ("none",), ("page",)]

    answers = stores.make("redis").decide_each([Asking(Verb.TAKE, line, key) for key in keys])

    assert [answer.beside for answer in answers] == [
        (b"17",), (None, None), (b"17", None), None, (None,), (b"17",),
    ]  # fmt: skip
