"""Redis Cluster and Sentinel, three nodes each, started by the tests."""

import time

import pytest
import redis
from django.test import override_settings

from tests.standalone.servers import Redis, free_port
from throttling import store as the_store
from throttling.lines import Asking, Verb, line_for
from throttling.rates import Limit, parse
from throttling.stores import clients
from throttling.stores.redis import RedisStore

SLOTS = 16_384


def until(done, seconds=30.0):
    """Ask until it is so."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if done():
                return
        except redis.RedisError:
            pass
        time.sleep(0.05)
    raise TimeoutError("it did not come to be")


@pytest.fixture(scope="module")
def cluster():
    """Three primaries, with the slots in three parts."""
    nodes = [Redis(("--cluster-enabled", "yes", "--cluster-node-timeout", "60000")) for _ in range(3)]
    try:
        admins = [redis.Redis(port=node.start().port) for node in nodes]
        for i, admin in enumerate(admins):
            admin.execute_command("CLUSTER", "ADDSLOTSRANGE", i * SLOTS // 3, (i + 1) * SLOTS // 3 - 1)
            admin.execute_command("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
        for node in nodes[1:]:
            admins[0].execute_command("CLUSTER", "MEET", "127.0.0.1", node.port)
        until(lambda: all(_whole(admin) for admin in admins))
        for admin in admins:
            admin.close()
        yield nodes
    finally:
        for node in nodes:
            node.close()


def _whole(admin):
    told = admin.execute_command("CLUSTER INFO")
    state = told["cluster_state"] if isinstance(told, dict) else str(told).partition("cluster_state:")[2][:2]
    return state == "ok" and len(admin.execute_command("CLUSTER SLOTS")) == 3


@pytest.fixture
def store(cluster):
    client = clients.cluster(tuple(f"127.0.0.1:{node.port}" for node in cluster), 1.0, {})
    client.flushall(target_nodes="primaries")
    yield RedisStore(lambda: client)
    client.close()


def line(name, text, subject, cost=1):
    return line_for(Limit(name, parse(text)), subject, cost)


def test_one_subjects_limits_are_one_call_in_one_slot(store):
    """No CROSSSLOT: the subject is the hash tag."""
    for i in range(50):
        lines = [
            line("a", "5/hour", f"user:{i}"),
            line("b", "9/day calendar", f"user:{i}"),
            line("c", "9/hour log", f"user:{i}"),
        ]
        assert store.decide(Verb.TAKE, lines).refused_by == 0


def test_several_subjects_are_all_or_none_over_slots(store):
    """A team's pool in another slot refuses: the member's own counter is given back, whichever is asked first."""
    for i in range(12):
        own, pool = line("own", "100/day calendar", f"user:{i}"), line("pool", "3/hour", f"group:{i}")
        tight, wide = line("own", "3/hour", f"user:t{i}"), line("pool", "100/day calendar", f"group:t{i}")
        admitted = [store.decide(Verb.TAKE, [own, pool]).refused_by for _ in range(6)]
        assert admitted == [0, 0, 0, 2, 2, 2]
        admitted = [store.decide(Verb.TAKE, [tight, wide]).refused_by for _ in range(6)]
        assert admitted == [0, 0, 0, 1, 1, 1]
        looked = store.decide(Verb.TEST, [own._replace(cost=0), wide._replace(cost=0)])
        assert [outcome.level for outcome in looked.outcomes] == [3, 3]


def test_several_decisions_are_made_one_after_the_other(store):
    """Their keys live in several slots; other keys are not read beside them."""
    asked = [Asking(Verb.TAKE, (line("a", "2/hour fixed", f"user:m{i % 2}"),), ("page",)) for i in range(6)]
    answers = store.decide_each([*asked, Asking(Verb.TAKE, (), ("page",))])
    assert [(answer.refused_by, answer.beside) for answer in answers] == [(0, None)] * 4 + [(1, None)] * 2 + [(0, None)]


def test_everything_else_works_in_a_cluster(store):
    """Keys of a subject, reset, bans, counts, version."""
    store.decide(Verb.TAKE, [line("a", "5/hour", "user:1"), line("b", "5/hour fixed", "user:1")])
    keys = store.keys_of("user:1")
    assert len(keys) == 2
    assert store.forget(keys) == 2
    assert [store.ban("rl:{user:1}:x", 10**6), store.ban("rl:{user:1}:x", 10**6)] == [True, False]
    assert store.count("n", 2) == 2
    store.publish_version("7")
    assert store.read_version() == "7"


def test_the_setting_makes_a_cluster_store(cluster):
    """`CLUSTER` names some nodes; the others are found."""
    with override_settings(THROTTLING={"CLUSTER": [f"127.0.0.1:{cluster[0].port}"], "TIMEOUT": 1.0}):
        answer = the_store.get().decide(Verb.TAKE, [line("a", "5/hour", "user:1")])
        assert (answer.refused_by, answer.degraded) == (0, False)
        the_store.get().primary.close()


@pytest.fixture
def sentinels(tmp_path):
    """A primary with two replicas, watched by three sentinels."""
    nodes = [Redis(("--repl-diskless-sync-delay", "0")).start()]
    nodes += [Redis(("--replicaof", f"127.0.0.1 {nodes[0].port}")).start() for _ in range(2)]
    watchers = []
    for i in range(3):
        path = tmp_path / f"sentinel-{i}.conf"
        path.write_text(
            f"sentinel monitor limits 127.0.0.1 {nodes[0].port} 2\n"
            "sentinel down-after-milliseconds limits 500\nsentinel failover-timeout limits 4000\n"
        )
        watchers.append(Redis(("--sentinel",), config=str(path), port=free_port(most=55_000)).start())
    try:
        until(lambda: all(_follows(node) for node in nodes[1:]))
        until(lambda: all(_sees_all(watcher) for watcher in watchers))
        yield nodes, watchers
    finally:
        for server in (*watchers, *nodes):
            server.close()


def _follows(node):
    with redis.Redis(port=node.port) as admin:
        return admin.info("replication")["master_link_status"] == "up"


def _sees_all(watcher):
    with redis.Redis(port=watcher.port) as admin:
        state = admin.execute_command("SENTINEL", "MASTER", "limits")
    state = state if isinstance(state, dict) else dict(zip(state[::2], state[1::2], strict=True))
    text = {str(k.decode() if isinstance(k, bytes) else k): v for k, v in state.items()}
    return int(text["num-other-sentinels"]) == 2 and int(text["num-slaves"]) == 2


def test_a_failover_is_survived_without_an_exception(sentinels):
    """The primary is killed: local decisions meanwhile, then the new primary's; over-admission is what was lost."""
    nodes, watchers = sentinels
    caches = {
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": "redis://limits/0",
            "OPTIONS": {
                "CLIENT_CLASS": "django_redis.client.SentinelClient",
                "CONNECTION_POOL_CLASS": "redis.sentinel.SentinelConnectionPool",
                "SENTINELS": [("127.0.0.1", watcher.port) for watcher in watchers],
            },
        }
    }
    with override_settings(
        CACHES=caches,
        DJANGO_REDIS_CONNECTION_FACTORY="django_redis.pool.SentinelConnectionFactory",
        THROTTLING={"RETRY": 0.2, "TIMEOUT": 0.2, "WORKERS": 1},
    ):
        store, tight = the_store.get(), line("a", "50/hour", "user:1")
        answers = [store.decide(Verb.TAKE, [tight]) for _ in range(20)]
        assert [(answer.refused_by, answer.degraded) for answer in answers] == [(0, False)] * 20
        with redis.Redis(port=nodes[0].port) as admin:
            admin.set("after", 1)
            assert admin.wait(2, 5_000) == 2
        nodes[0].stop()
        assert store.decide(Verb.TAKE, [tight]).degraded
        end = time.monotonic() + 40
        while store.decide(Verb.TEST, [tight]).degraded:
            assert time.monotonic() < end, "no new primary was found"
            time.sleep(0.1)
        admitted = 0
        while store.decide(Verb.TAKE, [tight]).refused_by == 0:
            admitted += 1
        assert admitted == 30
        store.primary.close()
