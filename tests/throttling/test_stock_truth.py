"""Counters that are set from the truth, and what is lost on the way."""

import pytest
from django.conf import settings
from django.test import override_settings

from tests.throttling import stores, truths
from throttling import plans, stock, take, usage
from throttling import store as the_store
from throttling.lines import Costs, Verb, key_of, line_for
from throttling.rates import Limit, parse
from throttling.stock import Holder
from throttling.stores.failover import FailoverStore
from throttling.stores.memory import MemoryStore
from throttling.stores.redis import RedisStore
from throttling.subjects import Caller

BOB = Holder(Caller(user="2"))
ACME = Holder(Caller(name="project:acme"), "project-storage")
STOCK = Limit("s", parse("100B storage"))


@pytest.fixture(autouse=True)
def kept():
    """The records, empty at first; what is in them is true."""
    truths.KEPT.clear()
    truths.ASKED.clear()
    given = {**getattr(settings, "THROTTLING", {}), "STORED": "tests.throttling.truths.stored", "TIMEOUT": 5.0}
    with override_settings(THROTTLING=given):
        yield truths.KEPT


def used(holder):
    return [row.used for row in usage.of_caller(holder.caller)]


def test_seeding_never_overwrites(store):
    """Only where nothing is kept, and once."""
    key = key_of(STOCK, "user:1")
    assert [store.seed(key, 90), store.seed(key, 5)] == [True, False]
    assert store.decide(Verb.TAKE, [line_for(STOCK, "user:1", 10)]).outcomes[0].level == 100
    assert store.seed(key, 1) is False
    store.forget([key])
    assert store.seed(key, 7) is True


def test_an_empty_stock_is_not_kept(store):
    """Giving back to what was lost, or everything, leaves nothing that would hide the truth."""
    line = line_for(STOCK, "user:1", 10)
    store.decide(Verb.REFUND, [line])
    assert store.keys_of("user:1") == []
    store.decide(Verb.TAKE, [line])
    store.decide(Verb.REFUND, [line])
    assert store.keys_of("user:1") == []
    assert store.seed(line.key, 3) is True


def test_seeding_waits_for_the_store():
    """While it is away nothing is set, and nothing fails."""
    store = FailoverStore(RedisStore(stores.nowhere), MemoryStore())
    assert store.seed("rl:{user:1}:bs", 5) is False


def test_a_new_plan_is_right_at_once(plan, kept):
    """The counter that is not there yet is set from the records before the first decision."""
    kept["user:2"] = 95
    plan("users", disk="100B storage")
    assert used(BOB) == [95]
    assert not stock.look([BOB], 6).allowed
    assert stock.look([BOB], 5).allowed
    assert not stock.take([BOB], 6).allowed
    assert stock.take([BOB], 5).allowed
    assert truths.ASKED == ["user:2"]


def test_take_with_a_cost_in_storage_is_seeded_too(plan, kept):
    """The general call has the same truth."""
    kept["user:2"] = 95
    plan("users", disk="100B storage")
    assert not take.take(BOB.caller, "up", Costs(storage=6)).allowed
    assert take.take(BOB.caller, "up", Costs(storage=5)).allowed


def flush():
    stores.redis_client().flushdb()


def test_a_store_flushed_between_uploads_heals(plan, kept):
    """The next decision is made from the records."""
    plan("users", disk="100B storage")
    stock.keep(stock.take([BOB], 60))
    kept["user:2"] = 60
    flush()
    assert not stock.take([BOB], 41).allowed
    assert used(BOB) == [60]


def test_a_store_flushed_during_an_upload_loses_nothing(plan, kept):
    """The reserved bytes are charged again when they are kept, whoever set the counter meanwhile."""
    plan("users", disk="100B storage")
    mine = stock.take([BOB], 30)
    flush()
    other = stock.take([BOB], 20)
    kept["user:2"] = 30
    stock.keep(mine)
    kept["user:2"] = 50
    stock.keep(other)
    assert used(BOB) == [50]


def test_a_store_flushed_during_a_single_upload_is_set_from_the_records(plan, kept):
    """Nobody set the counter meanwhile: the records tell of the new bytes already."""
    plan("users", disk="100B storage")
    mine = stock.take([BOB], 30)
    flush()
    kept["user:2"] = 70
    stock.keep(mine)
    assert used(BOB) == [70]


def test_a_flush_before_dropping_takes_nothing_away(plan, kept):
    """What the new counter never had is not given back to it."""
    kept["user:2"] = 40
    plan("users", disk="100B storage")
    mine = stock.take([BOB], 30)
    flush()
    assert stock.take([BOB], 10).allowed
    stock.drop(mine)
    assert used(BOB) == [50]


def test_a_limit_that_is_new_since_the_reservation_counts_it(plan, kept):
    """A plan assigned while bytes are stored knows of them."""
    mine = stock.take([BOB], 30)
    plan("users", disk="100B storage")
    assert used(BOB) == [0]
    assert stock.take([BOB], 1).allowed
    kept["user:2"] = 30
    stock.keep(mine)
    assert used(BOB) == [31]


def test_releasing_what_was_lost_does_not_hide_the_truth(plan, kept):
    """A deletion after a flush leaves the counter to the records."""
    plan("users", disk="100B storage")
    stock.keep(stock.take([BOB], 60))
    flush()
    kept["user:2"] = 50
    stock.release([BOB], 10)
    assert used(BOB) == [50]
    stock.release([BOB], 50)
    kept["user:2"] = 0
    assert used(BOB) == [0]


def test_differences_are_corrected_when_they_stay(plan, kept):
    """A counter that is wrong twice in the same way is corrected; one that moved is left alone."""
    plan("users", disk="100B storage")
    store, key = the_store.get(), key_of(plan_limit(), "user:2")
    kept["user:2"] = 30
    store.level(key, 45)
    found = stock.differences([BOB])
    assert [(one.counted, one.true) for one in found] == [(45, 30)]
    stock.keep(stock.take([BOB], 10))
    kept["user:2"] = 40
    assert stock.settle(found) == 0
    assert stock.settle(stock.differences([BOB])) == 1
    assert used(BOB) == [40]
    store.level(key, 3)
    assert stock.settle(stock.differences([BOB])) == 1
    assert (used(BOB), stock.differences([BOB])) == ([40], [])


def plan_limit():
    return next(iter(plans.current().plans.values()))[0]


def test_without_records_storage_is_counted_from_nothing(plan):
    """A project that names no function has what it charges."""
    with override_settings(THROTTLING={}):
        plan("users", disk="100B storage")
        stock.keep(stock.take([BOB], 60))
        assert used(BOB) == [60]
        assert not stock.take([BOB], 41).allowed


def test_a_fault_of_the_records_refuses_nobody(plan, monkeypatch):
    """An exception of the project's function is logged; uploads go on."""

    def fault(subject):
        raise RuntimeError(subject)

    plan("users", disk="100B storage")
    monkeypatch.setattr(stock, "_function", lambda _path: fault)
    reservation = stock.take([BOB], 60)
    assert reservation.allowed
    assert stock.look([BOB], 500).allowed
    stock.keep(reservation)
    stock.release([BOB], 60)
