"""Nodes change through services alone: checked, recorded, shown, and repeatable."""

import pytest
from django.core.exceptions import ValidationError

from balancing import services, signals, snapshot
from balancing.fleet import Admin
from balancing.models import Change, Health, Node, Probe, Replica
from balancing.states import NodeState
from tests.balancing.conftest import UP, add, put, state_of

pytestmark = pytest.mark.django_db(transaction=True)


def node(name="a", **fields):
    return Node(name=name, **({"url": "http://a.example.org"} | fields))


def test_added_node_has_health_is_recorded_and_in_the_picture():
    """Not up yet, but a place of copies for now."""
    heard = []

    def listen(sender, **what):
        heard.append((what["actor"], what["action"], what["target"], what["after"]["url"]))

    signals.changed.connect(listen)
    try:
        assert services.add(node(zone="eu"), "boss") is True
    finally:
        signals.changed.disconnect(listen)
    assert heard == [("boss", "add", "a", "http://a.example.org")]
    assert Change.objects.get().after["zone"] == "eu"
    assert (Health.objects.get().down_since is not None, state_of("a")) == (True, NodeState())
    assert [one.id for one in snapshot.current().sites()] == ["a"]


def test_adding_again_changes_nothing_and_adding_another_is_refused():
    """The same node twice is one; another of its name is an error with a code."""
    services.add(node(), "boss")
    assert services.add(node(), "boss") is False
    with pytest.raises(services.NodeExists) as caught:
        services.add(node(weight=2.0), "boss")
    assert (caught.value.code, str(caught.value)) == (
        "node_exists",
        "There is a node 'a' already, and it is another one.",
    )
    assert (Change.objects.count(), Node.objects.get().weight) == (1, 1.0)


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"name": "Upper"}, "name"),
        ({"name": "a" * 41}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": ""}, "name"),
        ({"url": ""}, "url"),
        ({"url": "ftp://a.example.org"}, "url"),
        ({"url": "http://"}, "url"),
        ({"url": "http://user:secret@a.example.org"}, "url"),
        ({"url": "http://a.example.org/?x=1"}, "url"),
        ({"url": "http://a.example.org/#x"}, "url"),
        ({"url": "http://a.example.org:99999"}, "url"),
        ({"url": "http://a.example.org:x"}, "url"),
        ({"url": "http://a\n.example.org"}, "url"),
        ({"url": "http://[::1"}, "url"),
        ({"url": "http://" + "a" * 300}, "url"),
        ({"public_url": "mirror"}, "public_url"),
        ({"weight": -1.0}, "weight"),
        ({"weight": float("nan")}, "weight"),
        ({"weight": float("inf")}, "weight"),
        ({"capacity": -1}, "capacity"),
        ({"max_conns": -1}, "max_conns"),
        ({"kind": "tape"}, "kind"),
        ({"kind": "bucket"}, "bucket"),
        ({"bucket": "files"}, "bucket"),
        ({"state": "asleep"}, "state"),
    ],
)
def test_what_is_no_node_is_refused_with_the_field(fields, wrong):
    """Nothing is written, and nothing is recorded."""
    with pytest.raises(ValidationError) as caught:
        services.add(node(**fields), "boss")
    assert wrong in caught.value.message_dict
    assert (Node.objects.count(), Change.objects.count()) == (0, 0)


@pytest.mark.parametrize(
    "url", ["http://mirror-1:8000", "https://m.example.org/files", "http://[2001:db8::1]:81", "http://127.0.0.1:1"]
)
def test_addresses_of_all_kinds(url):
    """Names without a domain, as containers have them, too."""
    assert services.add(node(url=url), "boss")


def test_change_writes_what_differs_and_says_what_it_was():
    """Before and after; nothing where nothing differs."""
    add("a")
    row = Node.objects.get()
    assert services.save(row, "boss") is False
    row.weight, row.zone = 3.0, "eu"
    assert services.save(row, "boss") is True
    last = Change.objects.first()
    assert (last.action, last.before, last.after) == (
        "change",
        {"weight": 1.0, "zone": ""},
        {"weight": 3.0, "zone": "eu"},
    )
    assert snapshot.current().member("a").weight == 3.0


def test_form_that_was_opened_before_a_drain_does_not_undo_it():
    """The state changes by its own actions alone."""
    row = add("a")
    services.drain("a", "boss")
    row.weight = 2.0
    services.save(row, "boss")
    assert (Node.objects.get().state, Node.objects.get().weight) == ("draining", 2.0)


@pytest.mark.parametrize("work", [services.drain, services.activate, services.disable])
def test_unknown_node_is_an_error_with_a_code(work):
    """And a sentence."""
    with pytest.raises(services.NodeNotFound) as caught:
        work("nobody", "boss")
    assert (caught.value.code, str(caught.value)) == ("node_not_found", "There is no node 'nobody'.")


def test_node_that_is_gone_cannot_be_saved_and_need_not_be_removed():
    """Saving it would bring it back."""
    row = add("a")
    services.remove(row, "boss")
    with pytest.raises(services.NodeNotFound):
        services.save(row, "boss")
    assert services.remove(row, "boss") is False
    assert services.remove("a", "boss") is False


def test_states_follow_each_other_and_each_is_recorded_once():
    """Repeating changes nothing."""
    add("a")
    moves = [services.drain, services.disable, services.drain, services.activate]
    assert [(move("a", "boss"), move("a", "boss")) for move in moves] == [(True, False)] * 4
    assert list(Change.objects.values_list("action", flat=True))[:4] == ["activate", "drain", "disable", "drain"]
    assert Node.objects.get().draining_since is None


def test_drain_offers_nothing_new_at_once():
    """With the time from which its limit runs."""
    add("a")
    add("b")
    services.drain("a", "boss")
    seen = snapshot.current()
    assert (seen.member("a").admin, seen.member("a").draining_since is not None) == (Admin.DRAINING, True)
    assert list(seen.selection(0.0).weights) == ["b"]


def test_node_that_was_disabled_has_to_pass_a_probe_first():
    """What was known of it is old; a drained node was probed all the time."""
    add("a")
    services.drain("a", "boss")
    services.activate("a", "boss")
    assert state_of("a") == UP
    services.disable("a", "boss")
    services.activate("a", "boss")
    assert state_of("a") == NodeState()
    assert Health.objects.get().down_since is not None


def test_removed_node_takes_everything_with_it(django_assert_max_num_queries):
    """Health, probes and copies, by a handful of statements however many copies there are."""
    add("a")
    put("a")
    Probe.objects.create(node_id="a", at="2026-01-01T00:00Z", passed=True, seconds=1)
    Replica.objects.bulk_create(
        Replica(digest=f"{n:064x}", node_id="a", size=1, due_at="2026-01-01T00:00Z") for n in range(2_000)
    )
    with django_assert_max_num_queries(20):
        assert services.remove("a", "boss")
    assert (Health.objects.count(), Probe.objects.count(), Replica.objects.count()) == (0, 0, 0)
    assert Change.objects.first().before["url"] == "http://a.example.org"
    assert snapshot.current().nodes == ()
