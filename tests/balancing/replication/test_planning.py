"""Copies come to be where they belong, also after nodes came and went."""

from datetime import timedelta

import pytest
from django.utils import timezone

from balancing.models import Health, Node, Replica, Walk
from balancing.replication import planning, requests, walking
from balancing.source import Wanted

pytestmark = pytest.mark.django_db(transaction=True)


def add(*names, **more):
    for name in names:
        Node.objects.create(name=name, url="http://127.0.0.1:1", **more)


def verify_all():
    now = timezone.now()
    Replica.objects.filter(state="pending").update(state="verified", verified_at=now, scrubbed_at=now)
    Replica.objects.filter(state="deleting").update(state="deleted")


def held(*states):
    return {(one.digest, one.node_id) for one in Replica.objects.filter(state__in=states or ("pending", "verified"))}


@pytest.fixture
def fleet(db, source, look):
    """Three nodes, forty files with two copies each."""
    add("n1", "n2", "n3")
    look()
    digests = [source.add(b"%d" % number) for number in range(40)]
    source.limit(dict.fromkeys(digests, 2))
    requests.wanted(digests)
    verify_all()
    assert len(held()) == 80
    return digests


def test_walk_of_a_settled_fleet_changes_nothing(fleet):
    """And a second run finds that the walk is done."""
    before = held()
    assert walking.plan() == walking.Walked(40, finished=True)
    assert walking.plan() == walking.Walked(0, finished=True)
    assert held() == before


def test_node_lost_for_long_is_replaced(fleet, look):
    """Its copies no longer count: each of its files gets a copy elsewhere; nothing else moves."""
    walking.plan()
    before = held()
    Health.objects.create(
        node_id="n1", state={"ever_up": True, "up": False}, down_since=timezone.now() - timedelta(hours=2)
    )
    look()
    walking.plan()
    verify_all()
    assert before <= held(), "the lost node may come back with what it has"
    for digest in fleet:
        assert len({node for each, node in held() if each == digest} - {"n1"}) == 2
    Health.objects.filter(node_id="n1").update(state={"ever_up": True, "up": True}, down_since=None)
    look()
    walking.plan()
    verify_all()
    assert held() == before, "it is back: what is one too many goes"


def test_node_that_is_down_for_a_moment_is_waited_for(fleet, look):
    """A restart moves no files."""
    before = held()
    Health.objects.create(node_id="n1", state={"ever_up": True}, down_since=timezone.now() - timedelta(minutes=5))
    look()
    walking.plan()
    assert held() == before


def test_node_that_joins_gets_its_share_before_others_lose_theirs(fleet, look):
    """Surplus copies go only once enough are verified."""
    walking.plan()
    before = held()
    add("n4")
    look()
    walking.plan()
    assert before <= held()
    moved = held() - before
    assert {node for _, node in moved} == {"n4"}
    assert 8 < len(moved) < 32
    assert held("deleting") == set()
    verify_all()
    walking.restart()
    walking.plan()
    assert len(held("deleting")) == len(moved)
    due = Replica.objects.filter(state="deleting").earliest("due_at").due_at
    assert due > timezone.now() + timedelta(seconds=30), "clients that were sent there finish first"
    verify_all()
    assert len(held()) == 80


def test_draining_node_keeps_what_it_has_and_gets_nothing(fleet, look):
    """Its copies do not count, so others are made; they are there when it is active again."""
    before = held()
    Node.objects.filter(name="n1").update(state="draining")
    look()
    walking.plan()
    verify_all()
    assert {one for one in before if one[1] == "n1"} <= held()
    assert {one for one in held() - before if one[1] == "n1"} == set()
    for digest in fleet:
        assert {(digest, "n2"), (digest, "n3")} <= held()


def test_fewer_copies_are_wanted(fleet, source):
    """From two to one, and to none."""
    source.limit(dict.fromkeys(fleet[:20], 1) | dict.fromkeys(fleet[20:], 0))
    walking.restart()
    walking.plan()
    assert len(held("verified")) == 20
    assert len(held("deleting")) == 60


def test_files_that_are_gone_are_buried(fleet, source):
    """Also those before the first and behind the last file that is left."""
    for digest in sorted(fleet)[:5] + sorted(fleet)[-5:]:
        source.remove(digest)
    walking.plan()
    assert len(held("deleting")) == 20
    assert len(held()) == 60


def test_empty_source_empties_the_nodes(fleet, source):
    """Nothing is wanted."""
    for digest in fleet:
        source.remove(digest)
    walking.plan()
    assert held() == set()


def test_walk_goes_on_where_it_stopped(fleet, monkeypatch):
    """The cursor stands in the table, for the next run on whichever host."""
    Replica.objects.all().delete()
    monkeypatch.setattr(walking, "BATCH", 7)
    assert walking.plan(seconds=0) == walking.Walked(0, finished=False)
    real, steps = walking._step, []

    def step(*args):
        real(*args)
        steps.append(1)
        if len(steps) == 2:
            raise ConnectionError("killed")

    monkeypatch.setattr(walking, "_step", step)
    with pytest.raises(ConnectionError):
        walking.plan()
    assert Walk.objects.get().after == sorted(fleet)[6]
    assert walking.plan() == walking.Walked(33, finished=True)
    assert len(held()) == 80


def test_second_walker_stops(fleet, monkeypatch):
    """Of two runs at once, the one that finds the cursor moved ends."""
    monkeypatch.setattr(walking, "BATCH", 7)
    real = walking._step

    def step(*args):
        real(*args)
        Walk.objects.update(after="f" * 64)

    monkeypatch.setattr(walking, "_step", step)
    assert walking.plan() == walking.Walked(7, finished=False)


def test_walk_rests_while_too_much_waits(fleet, monkeypatch):
    """The table must not fill with work that nobody does."""
    monkeypatch.setattr(walking, "BACKLOG", 1)
    Replica.objects.filter(node_id="n1").update(state="pending")
    assert walking.plan() == walking.Walked(0, finished=False)


def test_copy_that_was_given_up_goes_to_another_node(fleet, look):
    """Where another has room; and is tried anew after a while where none has."""
    digest, node = min(held())
    Replica.objects.filter(digest=digest, node_id=node).update(state="failed", due_at=timezone.now())
    other = ({"n1", "n2", "n3"} - {node for each, node in held() if each == digest} - {node}).pop()
    walking.restart()
    walking.plan()
    assert Replica.objects.get(digest=digest, node_id=other).state == "pending"
    verify_all()
    Replica.objects.filter(digest=digest).exclude(state="failed").update(state="failed", due_at=timezone.now())
    Replica.objects.filter(digest=digest, state="failed").update(due_at=timezone.now() - timedelta(hours=1))
    walking.restart()
    walking.plan()
    assert len([one for one in held("pending") if one[0] == digest]) == 2


def test_capacity_is_kept_within_one_batch(db, source, look):
    """A small node is filled up to its capacity and not beyond."""
    add("small", capacity=500)
    add("large")
    look()
    wanted = [Wanted(f"{number:064x}", 100, 2) for number in range(50)]
    planning.settle(wanted, planning.sites())
    assert Replica.objects.filter(node_id="small").count() == 5
    assert Replica.objects.filter(node_id="large").count() == 50


def test_zones_are_spread(db, source, look):
    """Two copies stand in two zones."""
    add("a1", "a2", zone="a")
    add("b1", zone="b")
    look()
    digests = [source.add(b"%d" % number) for number in range(20)]
    source.limit(dict.fromkeys(digests, 2))
    requests.wanted(digests)
    for digest in digests:
        assert (digest, "b1") in held()
