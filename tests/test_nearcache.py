"""The two-level cache of facts that may be stale by five seconds at most."""

import itertools

import pytest
import time_machine
from django_redis import get_redis_connection

from pkgindex import nearcache
from pkgindex.nearcache import LATELY, LOCAL_SECONDS, MOST_RENEWED, SHARED_SECONDS, NearCache, every, gather, look_up


@pytest.fixture
def make():
    """Caches of one kind, as several processes would each have one."""
    made: list[NearCache[dict]] = []

    def call(**options) -> NearCache[dict]:
        made.append(NearCache("test", dump=lambda v: v, restore=lambda v: v, **options))
        return made[-1]

    yield call
    for cache in made:
        every.remove(cache)


def test_promise_of_five_seconds():
    """The two lifetimes add up to what the product promises for a revoked token."""
    assert LOCAL_SECONDS + SHARED_SECONDS <= 5


def test_second_process_finds_what_the_first_loaded(make):
    """A value is loaded once for all processes."""
    first, second = make(), make()
    first.get("k", lambda: {"n": 1})

    assert second.get("k", pytest.fail) == {"n": 1}


def test_forgotten_value_is_loaded_again(make):
    """Forgetting reaches this process and Redis at once."""
    cache = make()
    cache.get("k", lambda: {"n": 1})
    cache.forget("k")

    assert cache.get("k", lambda: {"n": 2}) == {"n": 2}


def test_absent_value_is_not_kept(make):
    """None is not remembered: what appears a moment later is seen."""
    cache = make()
    assert cache.get("k", lambda: None) is None

    assert cache.get("k", lambda: {"n": 1}) == {"n": 1}


def test_number_of_entries_is_bounded(make):
    """The oldest entries make room."""
    cache = make(most=3)
    for i in range(10):
        cache.get(str(i), lambda i=i: {"n": i})

    assert len(cache._entries) == 3


def test_redis_away_costs_only_the_sharing(make, redis_server):
    """Without Redis each process loads for itself and nothing fails."""
    cache = make()
    redis_server.stop()

    assert cache.get("k", lambda: {"n": 1}) == {"n": 1}
    assert cache.get("k", pytest.fail) == {"n": 1}
    cache.forget("k")


def test_local_value_ends(make):
    """After its local lifetime a value is asked for again."""
    cache = make(shared_seconds=1)
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        cache._entries["k"] = (0.0, {"n": 1})  # an entry whose time has passed
        clock.shift(10)

        assert cache.get("k", lambda: {"n": 2}) == {"n": 2}


def test_what_lasts_is_found_at_any_age(make):
    """By who can find out whether it still holds, in this process and, for its time, in Redis."""
    first, second = make(lasting_seconds=60), make(lasting_seconds=60)
    first.get("k", lambda: {"n": 1})
    first._entries["k"] = (0.0, {"n": 1})  # an entry whose time has passed
    missing = []

    assert first.at_hand("k", missing) is None
    assert first.lasting("k", missing) == {"n": 1}
    assert missing == []
    assert second.lasting("k", missing) is None
    assert gather(missing)
    assert second.lasting("k", missing) == {"n": 1}
    assert second.at_hand("k") is None  # nobody knows when it was loaded


def test_gathering_brings_all_that_others_have_in_one_round_trip(make, round_trips):
    """Of several caches, each key once; what nobody has stays missing."""
    first, second, lasting = make(), make(), make(lasting_seconds=60)
    first.get("a", lambda: {"n": 1})
    lasting.get("b", lambda: {"n": 2})
    lasting.clear_local()
    missing = []
    for _ in range(2):
        assert [second.at_hand(key, missing) for key in "ac"] == [None, None]
        assert lasting.lasting("b", missing) is None

    assert round_trips(lambda: gather(missing)) == 1

    assert (second.at_hand("a"), second.at_hand("c"), lasting.lasting("b", [])) == ({"n": 1}, None, {"n": 2})
    assert not gather([(second, "c")])


def test_gathering_without_redis_finds_nothing(make, redis_server):
    """And raises nothing."""
    redis_server.stop()

    assert not gather([(make(), "k")])


def test_what_is_forgotten_does_not_last(make):
    """Neither here nor in Redis."""
    cache = make(lasting_seconds=60)
    cache.get("k", lambda: {"n": 1})
    cache.forget("k")
    missing = []

    assert cache.lasting("k", missing) is None
    assert not gather(missing)


def test_look_up_loads_what_nobody_has_left(make, round_trips):
    """One round trip asks for all, another leaves what was loaded, under each of its names."""
    loaded = []
    cache, other = make(load=lambda key: loaded.append(key) or {"n": key}), make()
    cache.names = lambda key, value: (key, f"#{value['n']}")
    other.get("b", lambda: {"n": "left"})

    assert round_trips(lambda: look_up([(cache, "a"), (cache, "b"), (cache, "a")])) == 2

    assert (loaded, cache.at_hand("a"), cache.at_hand("#a")) == (["a"], {"n": "a"}, {"n": "a"})
    assert cache.at_hand("b") == {"n": "left"}
    assert other.get("#a", pytest.fail) == {"n": "a"}


def test_look_up_ends_at_what_is_nowhere(make):
    """What is asked for after it would be in vain; and what has no way to be loaded is passed over."""
    loaded = []
    cache = make(load=lambda key: loaded.append(key) if key == "none" else {"n": key})
    missing = [(make(), "x"), (cache, "a"), (cache, "none"), (cache, "b")]

    look_up(missing)

    assert (cache.at_hand("a"), cache.at_hand("b"), loaded) == ({"n": "a"}, None, ["none"])


class Clock:
    """Time as the cache sees it: what lies in Redis ends when a test says so."""

    now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still."""
    made = Clock()
    monkeypatch.setattr(nearcache, "time", made)
    return made


def seconds_of_renewing(clock, redis, seconds):
    """So many, in each of which is renewed; what was loaded ends in Redis as it does there."""
    for second in range(1, seconds + 1):
        clock.now += 1
        if second % SHARED_SECONDS == 0:
            redis.flushdb()
        nearcache.renew()


def test_what_was_asked_for_lately_is_at_hand(make, clock, redis_server):
    """For half a minute after the last request, and never older than five seconds; other keys and caches end."""
    loaded = []
    cache, other = make(load=lambda _: loaded.append(clock.now) or {"at": clock.now}), make()
    cache.get("k"), cache.get("never again"), other.get("k", lambda: {"n": 1})
    assert cache.at_hand("k") == {"at": clock.now}
    redis = get_redis_connection("default")

    seconds_of_renewing(clock, redis, int(LATELY) - 1)
    assert cache._entries["k"][0] > clock.now
    assert clock.now - cache._entries["k"][1]["at"] <= LOCAL_SECONDS + SHARED_SECONDS
    assert max(later - sooner for sooner, later in itertools.pairwise(loaded[2:])) <= LOCAL_SECONDS + SHARED_SECONDS
    assert (cache.at_hand("never again"), other.at_hand("k")) == (None, None)

    clock.now += LATELY
    number = len(loaded)
    seconds_of_renewing(clock, redis, 5)
    assert (cache.at_hand("k"), len(loaded)) == (None, number)


def test_another_process_renews_for_this_one(make, clock, round_trips):
    """What is in Redis is not loaded: one round trip; and there is none where nothing was asked for."""
    cache = make(load=lambda key: {"n": key})
    assert round_trips(nearcache.renew) == 0
    cache.get("k")
    cache.at_hand("k")
    cache.load = pytest.fail
    clock.now += 1

    assert round_trips(nearcache.renew) == 1
    assert cache._entries["k"][0] == clock.now + LOCAL_SECONDS


def test_a_value_is_renewed_once_whatever_its_names(make, clock):
    """An index that is asked for by its slug and by its number costs one query."""
    loaded = []
    cache = make(load=lambda key: loaded.append(key) or {"n": 1})
    cache.names = lambda *_: ("k", "#1")
    cache.get("k")
    assert cache.at_hand("k") == cache.at_hand("#1") == {"n": 1}
    get_redis_connection("default").flushdb()
    loaded.clear()
    clock.now += 1

    nearcache.renew()
    assert len(loaded) == 1
    assert cache._entries["k"][0] == cache._entries["#1"][0] == clock.now + LOCAL_SECONDS


def test_what_is_no_more_is_dropped(make, clock):
    """At once, without waiting for its end."""
    cache = make(load=lambda key: {"n": key})
    cache.get("k")
    cache.at_hand("k")
    cache.load = lambda _: None
    get_redis_connection("default").flushdb()
    clock.now += 1

    nearcache.renew()
    assert cache.at_hand("k") is None


def test_few_are_renewed(make, clock):
    """Of many those that were asked for last."""
    loaded = []
    cache = make(load=lambda key: loaded.append(key) or {"n": key})
    for number in range(2 * MOST_RENEWED):
        clock.now += 0.001
        cache.get(str(number))
        cache.at_hand(str(number))
        cache.ending(clock.now)
    get_redis_connection("default").flushdb()
    loaded.clear()
    clock.now += 1

    nearcache.renew()
    assert sorted(map(int, loaded)) == list(range(MOST_RENEWED, 2 * MOST_RENEWED))


def test_without_redis_nothing_is_renewed(make, clock, redis_server):
    """Each process would ask the database for everything."""
    cache = make(load=lambda key: {"n": key})
    cache.get("k")
    cache.at_hand("k")
    cache.load = pytest.fail
    clock.now += 1
    redis_server.stop()

    nearcache.renew()


def test_a_process_that_never_renews_remembers_no_keys(make):
    """What was asked for is not kept for ever by those whose server does not call."""
    cache = make(load=lambda key: {"n": key}, most=10)
    for number in range(1_000):
        cache.get(str(number))
        cache.at_hand(str(number))

    assert len(cache._asked) <= 11
