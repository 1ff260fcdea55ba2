"""The store stopped, slow, flushed and back: bounded latency, local limits, and no exception for anybody."""

import socket
import threading
import time

import pytest
import redis

from tests.standalone.servers import Redis
from throttling.lines import Asking, Verb, line_for
from throttling.rates import Limit, parse
from throttling.stores import clients
from throttling.stores.failover import FailoverStore, share_of
from throttling.stores.memory import MemoryStore
from throttling.stores.redis import RedisStore

TIMEOUT = 0.05


@pytest.fixture
def server():
    made = Redis().start()
    yield made
    made.close()


def failover(port, workers=1, retry=0.3):
    raw = redis.Redis(port=port)
    client = clients.impatient(raw, TIMEOUT)
    raw.close()
    return FailoverStore(RedisStore(lambda: client), MemoryStore(), workers=workers, retry=retry)


@pytest.fixture
def store(server):
    made = failover(server.port)
    yield made
    made.primary.close()


def line(text="100/hour", **more):
    return line_for(Limit("x", parse(text), **more), "user:1", 1)


def take(store, *lines):
    return store.decide(Verb.TAKE, lines or [line()])


def timed(work):
    start = time.perf_counter()
    found = work()
    return found, time.perf_counter() - start


def test_a_stopped_store_is_answered_for_locally_and_comes_back_by_itself(server, store):
    """Closed, open with the reason, closed again within the retry time."""
    assert take(store).degraded is False
    server.stop()
    assert all(take(store).degraded for _ in range(20))
    assert store.status()["state"] == "open"
    assert "Redis does not answer" in store.status()["reason"]
    server.start()
    time.sleep(0.35)
    assert take(store).degraded is False
    assert store.status() == {"state": "closed"}


def test_several_decisions_without_the_store(server, store):
    """They are made locally, each of its own, after one time-out; and nothing was read beside them."""
    asked = [Asking(Verb.TAKE, (line("3/hour fixed"),), ("page",)) for _ in range(4)]
    assert [answer.degraded for answer in store.decide_each(asked[:1])] == [False]
    server.stop()

    answers, seconds = timed(lambda: store.decide_each(asked))

    assert [(answer.degraded, answer.refused_by, answer.beside) for answer in answers] == [
        (True, 0, None), (True, 0, None), (True, 0, None), (True, 1, None),
    ]  # fmt: skip
    assert seconds < 1
    server.start()
    time.sleep(0.35)
    assert not store.decide_each(asked[:1])[0].degraded


def test_a_restart_between_two_requests_is_not_noticed(server, store):
    """The idle connection is dead, the next one is not: one decision, no fault."""
    take(store)
    server.stop()
    server.start()
    assert take(store).degraded is False


@pytest.fixture
def deaf():
    """A port that takes connections and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield listening.getsockname()[1]


def test_a_store_that_hangs_costs_one_time_out(deaf):
    """50 ms once, then nothing until the next try."""
    store = failover(deaf, retry=5)
    answer, first = timed(lambda: take(store))
    _, rest = timed(lambda: [take(store) for _ in range(100)])
    store.primary.close()
    assert answer.degraded
    assert first < 0.25
    assert rest < 1.0  # a hundred time-outs would be five seconds


def test_only_one_request_at_a_time_tries_an_absent_store(deaf):
    """Of sixteen threads one waits for the time-out when the retry is due."""
    store = failover(deaf, retry=0.5)
    take(store)
    time.sleep(0.55)
    spent = []
    threads = [threading.Thread(target=lambda: spent.append(timed(lambda: take(store))[1])) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    store.primary.close()
    assert sum(duration > TIMEOUT * 0.8 for duration in spent) == 1


def test_a_paused_server_is_slow_and_then_well(server, store):
    """CLIENT PAUSE: decisions go on locally, then on the server again."""
    take(store)
    with redis.Redis(port=server.port) as admin:
        admin.execute_command("CLIENT", "PAUSE", 300)
    answer, spent = timed(lambda: take(store))
    assert answer.degraded
    assert spent < 0.25
    time.sleep(0.75)
    assert take(store).degraded is False


@pytest.mark.parametrize(
    ("text", "workers", "admitted"),
    [
        ("100/hour", 4, 25),
        ("100/hour fixed", 4, 25),
        ("100/day calendar", 8, 12),
        ("100/hour log", 10, 10),
        ("3/hour", 8, 1),
        ("2/hour fixed", 8, 1),
    ],
)
def test_alone_each_process_admits_its_share(text, workers, admitted):
    """limit / workers, and at least one."""
    store = failover(1, workers=workers)
    answers = [take(store, line(text)) for _ in range(120)]
    assert sum(answer.refused_by == 0 for answer in answers) == admitted


def test_alone_guards_are_shut_and_charge_nothing():
    """A line that stays closed refuses; its neighbours are not charged for it."""
    store = failover(1)
    shut, plain = line("5/hour", closed=True), line_for(Limit("y", parse("5/day calendar")), "user:1", 1)
    assert [take(store, plain, shut).refused_by for _ in range(3)] == [2, 2, 2]
    assert take(store, plain).outcomes[0].level == 1


def test_alone_storage_is_not_guessed():
    """What is stored is not known here: the upload goes on."""
    assert share_of(line("5B storage"), 4).enforce == 0


def test_everything_else_a_store_does_goes_on_alone():
    """Bans, resets, counts and versions raise nothing."""
    store = failover(1)
    assert store.ban("rl:{user:1}:x", 1_000_000) is True
    assert store.banned_for("rl:{user:1}:x") > 0
    assert store.keys_of("user:1") == ["rl:{user:1}:x"]
    assert store.forget(["rl:{user:1}:x"]) == 1
    store.level("rl:{user:1}:b1", 5)
    store.publish_version("1")
    assert store.read_version() is None
    assert [store.once("a", 60), store.once("a", 60)] == [True, False]
    assert [store.count("a", 2), store.counted("a")] == [2, 2]


def test_a_flushed_store_forgets_and_goes_on(server, store):
    """Limits start afresh, scripts are loaded anew."""
    tight = line("1/hour")
    assert [take(store, tight).refused_by for _ in range(2)] == [0, 1]
    with redis.Redis(port=server.port) as admin:
        admin.flushall()
        admin.script_flush()
    assert take(store, tight)[:1] == (0,)


def test_a_server_out_of_memory_is_a_fault_like_any_other(server, store):
    """noeviction and full: writes are refused, decisions go on locally."""
    take(store)
    with redis.Redis(port=server.port) as admin:
        admin.config_set("maxmemory", 1)
    assert take(store).degraded
