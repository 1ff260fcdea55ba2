"""The picture that all processes share: its JSON, its age, and what happens without its sources."""

import json
import os
import signal
import time

import pytest
import time_machine
from django.db import connection
from django_redis import get_redis_connection
from hypothesis import given
from hypothesis import strategies as st

from balancing import conf, picture, services, shared, snapshot
from balancing.fleet import Admin
from balancing.models import Node
from balancing.picture import NodeView, Picture, decode, encode, plausible, state_from_json, state_to_json
from balancing.states import NodeState, Rules, is_ejected, share
from tests.balancing.conftest import UP, add, forget, put
from tests.standalone.servers import Redis

db = pytest.mark.django_db(transaction=True)
times = st.floats(0, 1e10, allow_nan=False)
maybe = st.none() | times
states = st.builds(
    NodeState,
    up=st.booleans(),
    ever_up=st.booleans(),
    streak=st.integers(0, 99),
    returned_at=maybe,
    next_probe=times,
    score=times,
    scored_at=times,
    ejections=st.integers(0, 99),
    ejected_until=maybe,
)
RULES = Rules()


@given(states)
def test_state_survives_its_json(state):
    """What is written is read again."""
    assert state_from_json(json.loads(json.dumps(state_to_json(state)))) == state


@given(st.lists(states, max_size=4), st.integers(0, 2**62))
def test_picture_survives_its_json(some, number):
    """All nodes, with every field."""
    nodes = tuple(
        NodeView(f"n{i}", "bucket", "u", "p", "b", "r", "x/", "z", 2.5, 3, 4, True, Admin.DRAINING, 5.0, 6.0, one)
        for i, one in enumerate(some)
    )
    # Later than every time in it, so that none of them is implausible.
    assert decode(encode(Picture(nodes, 1.5, number)), 1e10, rules=RULES) == Picture(nodes, 1.5, number, RULES)


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(st.dictionaries(st.sampled_from(sorted(picture._FITTING)), junk) | junk)
def test_what_is_no_state_is_a_new_nodes_state(data):
    """No row can break the picture."""
    state = state_from_json(data)
    share(plausible(state, 1e9, RULES), 1e9, RULES)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "null",
        "{",
        '{"number":1,"form":99,"at":1,"nodes":[]}',
        '{"number":1,"form":1,"at":1,"nodes":[[1]]}',
    ],
)
def test_what_is_no_picture_is_none(text):
    """Another version's, or nonsense: the database is read."""
    assert decode(text, 0.0) is None


def test_clock_that_jumped_back_silences_nobody():
    """Times that lie ahead further than they can are brought near; others stay."""
    now, hour = 1e9, 3_600
    ahead = NodeState(True, True, 0, now + hour, now + hour, 4.0, now + hour, 3, now + hour)
    near = plausible(ahead, now, RULES)
    assert (near.next_probe, near.returned_at, near.scored_at) == (now, now, now)
    assert near.ejected_until == now + RULES.most_ejection
    fine = NodeState(True, True, 0, now - 1, now + 5, 1.0, now - 1, 1, now + 20)
    assert plausible(fine, now, RULES) is fine


@db
def test_change_reaches_another_process_by_one_get(django_assert_num_queries):
    """A process without a picture takes it from the store and asks no database."""
    add("a", zone="eu", weight=2.0)
    services.drain("a", "boss")
    forget()
    with django_assert_num_queries(0):
        seen = snapshot.current().member("a")
        assert snapshot.status()["from"] == "store"
    assert (seen.zone, seen.weight, seen.admin) == ("eu", 2.0, Admin.DRAINING)
    assert seen.draining_since == pytest.approx(time.time(), abs=5)


@db
def test_picture_is_no_older_than_a_second():
    """What another process publishes is seen within `PICTURE_SECONDS`."""
    add("a")
    assert snapshot.current().member("a").admin is Admin.ACTIVE
    seen = snapshot.current()
    Node.objects.filter(pk="a").update(state="disabled")
    snapshot.bump()
    snapshot._offer(snapshot._read())  # as another process does it
    assert snapshot.current() is seen
    end = time.monotonic() + 1.5
    while snapshot.current().member("a").admin is not Admin.DISABLED:
        assert time.monotonic() < end
        time.sleep(0.02)


@db
def test_writer_that_died_before_it_published_delays_for_seconds_only():
    """The published picture lives for two seconds, so a change that was never shown is found in the database."""
    add("a")
    Node.objects.filter(pk="a").update(state="disabled")
    snapshot.bump()
    end = time.monotonic() + snapshot.LIFE + 1.5
    while snapshot.current().member("a").admin is not Admin.DISABLED:
        assert time.monotonic() < end
        time.sleep(0.05)


@db
def test_older_picture_never_replaces_a_newer_one():
    """Two writers that publish in the wrong order leave the newer picture."""
    add("a")
    old = snapshot._read()
    services.drain("a", "boss")
    snapshot._offer(old)
    stored = decode(get_redis_connection("default").get(snapshot.KEY), time.time())
    assert (stored.number, stored.member("a").admin) == (old.number + 1, Admin.DRAINING)


@db
def test_store_with_an_older_picture_is_not_believed():
    """A store that forgot what this process knows is asked no more than the database."""
    add("a")
    old = encode(snapshot._read())
    services.drain("a", "boss")
    get_redis_connection("default").set(snapshot.KEY, old)
    snapshot._checked = 0.0
    assert snapshot.current().member("a").admin is Admin.DRAINING


@pytest.fixture
def own_redis(settings):
    """A server that may be stopped and paused."""
    server = Redis().start()
    settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": f"{server.url}/0"}}
    yield server
    server.close()


@db
def test_without_redis_the_database_is_read_once_a_second(own_redis, django_assert_max_num_queries):
    """Every process has its own look at the rows, and goes back to the store when it answers."""
    add("a")
    own_redis.stop()
    with django_assert_max_num_queries(4):  # two looks at the most: two queries each
        end = time.monotonic() + 0.9
        snapshot._checked = 0.0
        while time.monotonic() < end:
            assert snapshot.current().member("a").admin is Admin.ACTIVE
    assert (snapshot.status()["from"], shared.is_away()) == ("database", True)
    services.drain("a", "boss")
    assert snapshot.current().member("a").admin is Admin.DRAINING
    own_redis.start()
    end = time.monotonic() + 5
    while snapshot.status()["from"] != "store":
        assert time.monotonic() < end
        time.sleep(0.05)
    assert snapshot.current().member("a").admin is Admin.DRAINING


@db
def test_paused_redis_costs_one_time_out_a_second(own_redis):
    """A server that accepts and says nothing holds up one caller for a time-out, and no other."""
    add("a")
    snapshot.current()
    os.kill(own_redis.process.pid, signal.SIGSTOP)
    try:
        start, slow = time.monotonic(), 0
        while time.monotonic() - start < 2:
            begin = time.monotonic()
            assert snapshot.current().member("a") is not None
            shared.ask(lambda client: client.get("x"), None)
            slow += time.monotonic() - begin > shared.TIMEOUT / 2
    finally:
        os.kill(own_redis.process.pid, signal.SIGCONT)
    assert 1 <= slow <= 4


@db
def test_without_both_the_last_picture_stands_and_says_so(own_redis):
    """Neither store nor database: downloads go on with what was last known."""
    add("a")
    own_redis.stop()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE balancing_node RENAME TO away")
    try:
        snapshot._checked = 0.0
        seen = snapshot.current()
        assert (seen.outdated, seen.member("a").url) == (True, "http://a.example.org")
        assert snapshot.status()["from"] == "nowhere"
        forget()
        assert snapshot.current() == Picture(outdated=True)  # a process that never knew anything
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE away RENAME TO balancing_node")
    snapshot._checked = 0.0
    assert snapshot.current().outdated is False


@db
def test_wrong_cache_is_as_good_as_none(settings):
    """A cache of another kind is told by the checks, and breaks nothing."""
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    add("a")
    assert snapshot.current().member("a").name == "a"


@db
def test_clock_that_jumps_back_keeps_nodes_for_minutes_only():
    """After a jump of a day no ejection lasts longer than the longest one."""
    with time_machine.travel(2_000_000_000, tick=False):
        add("a")
        put("a", UP, ejections=1, ejected_until=2_000_000_030.0, next_probe=2_000_000_005.0)
    with time_machine.travel(1_999_913_600, tick=False) as clock:
        forget()
        state = snapshot.current().member("a").state
        assert is_ejected(state, time.time())
        assert state.next_probe <= time.time()
        clock.shift(RULES.most_ejection + 1)
        assert not is_ejected(state, time.time())


@db
def test_places_of_copies(settings):
    """Active nodes; one that was down for longer than LOST_AFTER, or never came up, is none."""
    settings.BALANCING = settings.BALANCING | {"LOST_AFTER": 60}
    now = time.time()
    for name in ("up", "new", "draining", "off"):
        add(name, state=NodeState() if name == "new" else UP, capacity=7)
    services.drain("draining", "boss")
    services.disable("off", "boss")
    seen = snapshot.current()
    assert [one.id for one in seen.sites(now)] == ["new", "up"]
    assert [one.id for one in seen.sites(now + 90)] == ["up"]
    assert [(one.capacity, one.used) for one in seen.sites()] == [(7, 0), (7, 0)]


def test_selection_is_remembered_for_a_moment():
    """A tenth of a second; a clock that jumps is no reason to keep it."""
    seen = Picture((NodeView("a", state=UP),), rules=conf.get().health)
    first = seen.selection(100.0)
    assert (seen.selection(100.05) is first, seen.selection(100.2) is first) == (True, False)
    assert seen.selection(50.0).weights == {"a": 1.0}
