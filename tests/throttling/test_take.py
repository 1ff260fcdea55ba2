"""One call decides: plans, costs, refunds, shadow mode, and no exception for anybody."""

import time

import pytest

from throttling import plans, services, signals, stats, take, usage
from throttling import store as the_store
from throttling.lines import Costs
from throttling.models import Exemption
from throttling.subjects import Caller

BOB = Caller(user="2", address="192.0.2.2")


def results(decision):
    return {result.limit.name: result for result in decision.results}


def test_without_a_plan_nothing_is_limited(db):
    """A fresh installation refuses nobody."""
    decision = take.take(BOB, "api")
    assert (decision.allowed, decision.free) == (True, True)


def test_a_plan_limits_and_says_how_it_stands(plan):
    """Remaining counts down, the refusal names the limit, and waiting is told."""
    plan("user:2", burst="3/hour", day="100/day calendar")
    seen = [take.take(BOB, "api") for _ in range(4)]
    assert [d.allowed for d in seen] == [True, True, True, False]
    assert [results(d)["burst"].remaining for d in seen] == [2, 1, 0, 0]
    assert results(seen[3])["day"].used == 3
    assert [r.limit.name for r in seen[3].violated] == ["burst"]
    assert 0 < seen[3].retry_after_us <= 1_200_000_000


def test_each_unit_has_its_cost(plan):
    """Requests, bytes, storage and leases are charged by what the request is, in one call."""
    plan("user:2", reqs="10/hour", size="1000B/hour", disk="500B storage", at_once="2 concurrent")
    decision = take.take(BOB, "up", Costs(requests=2, size=300, storage=400, lease="a"))
    used = {name: result.used for name, result in results(decision).items()}
    assert used == {"reqs": 2, "size": 300, "disk": 400, "at-once": 1}
    refused = take.take(BOB, "up", Costs(storage=200, lease="b"))
    assert ([r.limit.name for r in refused.violated], refused.retry_after_us) == (["disk"], None)


def test_refund_gives_all_back_and_ends_the_lease(plan):
    """An upload that failed has cost nothing."""
    plan("user:2", reqs="10/hour", size="1000B/hour", at_once="1 concurrent")
    decision = take.take(BOB, "up", Costs(requests=2, size=300, lease="a"))
    take.refund(decision)
    assert [row.used for row in usage.of_caller(BOB)] == [0, 0, 0]


def test_a_partial_refund_of_an_aborted_download(plan):
    """Bytes that were never sent are given back; the request was made."""
    plan("user:2", reqs="10/day calendar", size="1000B/day calendar")
    take.refund(take.take(BOB, "get", Costs(size=900)), size=400)
    assert [row.used for row in usage.of_caller(BOB)] == [1, 500]


@pytest.mark.parametrize(("unsent", "used"), [(0, 1_000), (5_000, 1_000), (9_500, 500), (10_000, 0)])
def test_what_was_sent_of_a_file_above_the_bucket_stays_charged(plan, unsent, used):
    """A file of ten buckets costs one bucket, and so does every part of it that is as large."""
    plan("user:2", pace="1000B/day")
    take.refund(take.take(BOB, "get", Costs(size=10_000)), size=unsent)
    assert usage.of_caller(BOB)[0].used == used


def test_storage_is_set_to_what_is_true(plan):
    """After a lost store the project says how much there is."""
    plan("user:2", disk="500B storage")
    take.correct_storage(BOB, "up", 450)
    assert [row.used for row in usage.of_caller(BOB)] == [450]
    assert not take.take(BOB, "up", Costs(storage=60)).allowed
    assert take.take(BOB, "up", Costs(storage=50)).allowed


def test_shape_before_refusing(plan):
    """Over the burst the caller is held back up to the bound, then refused."""
    plan("user:2", shaped="10/second burst=2 delay=300ms")
    seen = [take.take(BOB, "api") for _ in range(8)]
    delays = [d.delay_us for d in seen if d.allowed]
    assert len(delays) == 5
    assert delays[:2] == [0, 0]
    assert delays == sorted(delays)
    assert max(delays) <= 300_000


def test_a_shadow_limit_is_counted_and_refuses_nobody(plan):
    """The count of what it would refuse is there for people, and a signal for projects."""
    row = plan("user:2", dry={"rate": "2/hour", "mode": "shadow"})
    heard = []
    signals.would_refuse.connect(
        lambda **kw: heard.append(kw["decision"].shadowed[0].limit.name), weak=False, dispatch_uid="t"
    )
    try:
        assert all(take.take(BOB, "api").allowed for _ in range(5))
    finally:
        signals.would_refuse.disconnect(dispatch_uid="t")
    assert stats.counted(str(row.limits.get().pk)) == (0, 3)
    assert heard == ["dry"] * 3


def test_usage_is_free(plan):
    """Asking a thousand times costs nothing."""
    plan("user:2", burst="3/hour", log="3/hour log")
    for _ in range(1_000):
        assert [row.remaining for row in usage.of_caller(BOB)] == [3, 3]


def test_exempt_callers_are_not_counted(plan):
    """The allow list comes first."""
    plan("everyone", tight="1/hour")
    services.save(Exemption(subject="net:192.0.2.0/24"), actor="test")
    plans.reset()
    assert all(take.take(BOB, "api").free for _ in range(5))


def test_two_limits_of_two_subjects_are_one_decision(plan):
    """The team's pool refuses: the member's own limit is not charged."""
    plan("group:7", pool={"rate": "3/hour", "per": "assignee"})
    plan("everyone", own="100/day calendar")
    members = [Caller(user=str(i), groups=("7",)) for i in range(2)]
    admitted = [take.take(members[i % 2], "api").allowed for i in range(6)]
    assert admitted == [True, True, True, False, False, False]
    assert [usage.of_caller(member)[-1].used for member in members] == [2, 1]


def test_per_resource_limits_count_each_url(plan):
    """mod_evasive's page count: the same URL, not the site."""
    plan("everyone", page={"rate": "2/hour", "per_resource": True})
    paths = ["/a", "/a", "/b", "/a", "/b"]
    assert [take.take(BOB, "api", resource=path).allowed for path in paths] == [True, True, True, False, True]


def test_charge_after_looking(plan):
    """`deduct when`: a look charges nothing, the charge follows the response."""
    plan("user:2", burst="2/hour fixed")
    looked = [take.look(BOB, "api") for _ in range(5)]
    assert all(d.allowed for d in looked)
    for decision in looked[:3]:
        take.charge(decision)
    assert not take.look(BOB, "api").allowed


def test_an_edit_holds_in_this_process_at_once_and_elsewhere_within_a_second(plan, settings):
    """The published version moves with every change; a process that polls it compiles anew."""
    row = plan("user:2", burst="100/hour").limits.get()
    take.take(BOB, "api")
    old = plans.current()
    row.rate = "1/hour"
    services.save(row, actor="test")
    plans._snapshot, plans._checked = old, time.monotonic()  # as another process holds it
    the_store.get().publish_version("999")
    plans._checked -= 1.1
    assert plans.current() is not old
    assert not take.take(BOB, "api").allowed


def test_a_fault_of_the_limiter_is_no_fault_of_the_service(plan, monkeypatch):
    """Anything unforeseen: ordinary scopes go on, guards stay shut, nothing is raised."""

    def broken():
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(plans, "current", broken)
    assert take.take(BOB, "api").allowed
    assert not take.take(BOB, "login").allowed


def test_a_fault_of_one_is_not_the_others(plan, monkeypatch):
    """Of several decided together, the one that cannot be decided passes, and the others are counted as ever."""
    plan("everyone", few="2/hour fixed")
    charges = take._charges

    def broken_for_bob(snapshot, caller, *more):
        if caller == BOB:
            raise RuntimeError("unforeseen")
        return charges(snapshot, caller, *more)

    monkeypatch.setattr(take, "_charges", broken_for_bob)
    ann = Caller(user="3", address="192.0.2.3")
    decisions = take.decide_all([take.Question(one, "api") for one in (ann, BOB, ann, ann)])

    assert [decision.allowed for decision in decisions] == [True, True, True, False]
    assert [decision.free for decision in decisions] == [False, True, False, False]


def test_no_sql_and_one_call_on_the_hot_path(plan, django_assert_num_queries):
    """Once the plans are known a decision is one script call and no query."""
    plan("user:2", a="100/hour", b="100/day calendar", c="9/minute log", d="9 concurrent")
    take.take(BOB, "api")
    primary = the_store.get().primary
    calls, run = [], primary._wire.take
    primary._wire.take = lambda *a: calls.append(1) or run(*a)
    with django_assert_num_queries(0):
        take.take(BOB, "api", Costs(lease="x"))
    assert len(calls) == 1


@pytest.mark.parametrize("scope", ["", "a" * 500, "ü", "breach", "bandwidth"])
def test_any_scope_is_only_a_word(plan, scope):
    """A scope that no limit names is not an error."""
    plan("user:2", burst={"rate": "1/hour", "scopes": "api"})
    assert take.take(BOB, scope).allowed
