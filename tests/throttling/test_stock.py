"""Storage: people and things that keep bytes, decided at once."""

import threading

import pytest
from django.conf import settings
from django.test import override_settings

from tests.throttling import truths
from throttling import plans, services, stats, stock, take, usage
from throttling.models import Exemption
from throttling.rates import Limit, Per, parse
from throttling.snapshot import Assigned, Snapshot
from throttling.stock import Holder
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


def test_a_thing_has_a_key_of_its_own_and_belongs_to_everyone():
    """No address, no `users`, no `anon`: a named thing is nobody."""
    thing = Caller(name="project:acme")
    assert (thing.key, thing.keys()) == ("key:project:acme", ("key:project:acme", "everyone"))


@pytest.mark.parametrize("per", list(Per))
def test_a_plan_of_everyone_gives_each_thing_a_bucket(per):
    """And `assignee` one bucket to all of them."""
    limit = Limit("l", parse("9B storage"), frozenset({"project-storage"}), per)
    snapshot = Snapshot(assigned=(Assigned("everyone", 1, (limit,)),))
    subject = "everyone" if per is Per.ASSIGNEE else "key:project:acme"
    assert snapshot.resolve(ACME.caller, "project-storage") == ((limit, subject),)


def test_the_scopes_of_things_are_not_peoples_and_ordinary_limits_are_not_things():
    """Who asks how they stand is not told of projects, and a project is charged for nothing but what names it."""
    mine, theirs = (
        Limit("mine", parse("9B storage")),
        Limit("theirs", parse("9B storage"), frozenset({"project-storage"})),
    )
    requests = Limit("requests", parse("5/hour"))
    snapshot = Snapshot(assigned=(Assigned("everyone", 1, (mine, theirs, requests)),))
    assert [limit.name for limit, _ in snapshot.resolve(BOB.caller, "storage")] == ["mine"]
    assert snapshot.resolve(BOB.caller, "project-storage") == ()
    assert snapshot.resolve(ACME.caller, "storage") == ()
    assert snapshot.resolve(Caller(name="index:acme"), "project-storage") == ()
    assert [limit.name for limit, _ in snapshot.resolve(ACME.caller, "project-storage")] == ["theirs"]


def test_a_more_specific_plan_that_is_silent_of_storage_leaves_it_to_a_general_one():
    """As with logins and bandwidth."""
    general, own = Limit("general", parse("9B storage")), Limit("own", parse("5/hour"))
    snapshot = Snapshot(assigned=(Assigned("everyone", 1, (general,)), Assigned("user:2", 1, (own,))))
    assert [limit.name for limit, _ in snapshot.resolve(BOB.caller, "storage")] == ["general"]
    more = Snapshot(assigned=(*snapshot.assigned, Assigned("user:2", 1, (STOCK,))))
    assert [limit.name for limit, _ in more.resolve(BOB.caller, "storage")] == ["s"]


def test_all_holders_or_none(plan):
    """The project has no room: its uploader is not charged."""
    plan("users", disk="100B storage")
    plan("everyone", project={"rate": "10B storage", "scopes": "project-storage"})
    assert not stock.take([BOB, ACME], 11).allowed
    assert (used(BOB), used(ACME)) == ([0], [0])
    assert stock.take([BOB, ACME], 10).allowed
    assert (used(BOB), used(ACME)) == ([10], [10])


def test_a_thing_may_have_a_plan_of_its_own(plan):
    """`key:project:acme` overrides what everyone has."""
    plan("everyone", project={"rate": "10B storage", "scopes": "project-storage"})
    plan("key:project:acme", project={"rate": "50B storage", "scopes": "project-storage"})
    assert stock.take([ACME], 50).allowed
    assert not stock.take([Holder(Caller(name="project:other"), "project-storage")], 11).allowed
    assert [row.used for row in usage.of_subject("key:project:acme")] == [50]


def test_eight_at_once_get_what_there_is(plan):
    """Room for five: five are let in, also where all of them find the counter missing."""
    plan("users", disk="5B storage")
    plans.current()
    start = threading.Barrier(8)
    found = []

    def one():
        start.wait(10)
        found.append(stock.take([BOB], 1).allowed)

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(found) == [False] * 3 + [True] * 5


def test_dropping_gives_back(plan, kept):
    """What is not kept is free again, and what was there stays counted."""
    kept["user:2"] = 40
    plan("users", disk="100B storage")
    stock.drop(stock.take([BOB], 30))
    assert used(BOB) == [40]
    stock.drop(stock.take([BOB], 99))
    assert used(BOB) == [40]


def test_shadow_counts_all_and_refuses_nothing(plan):
    """Bytes that a limit in shadow mode would refuse are there all the same, and are counted as such."""
    row = plan("users", dry={"rate": "50B storage", "mode": "shadow"})
    kept = [stock.take([BOB], 40) for _ in range(3)]
    assert [one.allowed for one in kept] == [True] * 3
    assert stats.counted(str(row.limits.get().pk)) == (0, 2)
    stock.drop(kept[2])
    stock.release([BOB], 70)
    assert used(BOB) == [10]


def test_who_is_exempt_or_free_is_counted_and_not_refused(plan):
    """So the counter is right when the exemption ends."""
    plan("users", disk="50B storage")
    assert stock.take([Holder(BOB.caller, free=True)], 60).allowed
    services.save(Exemption(subject="user:2"), actor="test")
    plans.reset()
    assert stock.take([BOB], 60).allowed
    assert used(BOB) == [50]
    assert stock.look([BOB], 1).allowed
    services.remove(Exemption.objects.get(), actor="test")
    plans.reset()
    assert not stock.take([BOB], 1).allowed


def test_nobody_shares_the_bucket_of_no_address(plan):
    """A limit per address says nothing of storage."""
    plan("users", disk={"rate": "50B storage", "per": "address"})
    assert stock.take([BOB], 60).decision.free


def test_a_refusal_is_counted_and_begins_no_ban(plan):
    """Whoever has no room has done nothing wrong."""
    row = plan("users", disk={"rate": "50B storage", "ban_seconds": 60})
    assert not stock.take([BOB], 60).allowed
    assert stats.counted(str(row.limits.get(name="disk").pk)) == (1, 0)
    assert take.take(BOB.caller, "api").allowed
