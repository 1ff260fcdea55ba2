# ruff: noqa: PLC0415 - Django must be set up before what needs it is imported
"""How long one limiter decision takes, beside a bare round trip, DRF's throttle and the `limits` library, in one run.

    python -m benchmarks.throttle_take [--calls 2000] [--rounds 15]

Needs redis-server or valkey-server on PATH and starts its own. `limits` is compared when it can be imported; keep it
out of the project's environment: `pip install --target /tmp/limits limits`, then run with `PYTHONPATH=/tmp/limits`.

Every contender does `calls` decisions in each of `rounds` rounds, the contenders taking turns, so that a noisy machine
troubles all alike. A round's figure is its median call; the ratio is the median over rounds of (contender / bare
round trip) within the same round. The bare round trip is EVALSHA of `return 1` with one
key by redis-py's client. The store keeps a connection per thread and sends bytes that it has ready, so it can be
quicker than that; the second line is the same bare script over the store's own connection.

Targets: one limit <= 1.15 times the bare round trip, four limits <= 1.4 times.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field

TARGETS = {"store, one limit": 1.15, "store, four limits": 1.4, "take(), one limit": 1.15, "take(), four limits": 1.4}


@dataclass
class Contender:
    """One way to decide, and how long each round of it took in seconds per call."""

    name: str
    call: Callable[[], object]
    rounds: list[float] = field(default_factory=list)
    slowest: list[float] = field(default_factory=list)


def main() -> int:
    """Run all, print a table; 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    from tests.standalone.servers import Redis

    server = Redis().start()
    try:
        contenders = make(server.url)
        for one in contenders:
            one.call()
        for _ in range(options.rounds):
            for one in contenders:
                measure(one, options.calls)
        return report(contenders)
    finally:
        server.close()


def measure(one: Contender, calls: int) -> None:
    """One round."""
    spent = []
    call, clock = one.call, time.perf_counter
    for _ in range(calls):
        start = clock()
        call()
        spent.append(clock() - start)
    one.rounds.append(statistics.median(spent))
    one.slowest.append(sorted(spent)[int(calls * 0.99)])


def report(contenders: list[Contender]) -> int:
    """The table."""
    bare, missed = contenders[0], 0
    print(f"{'':34}{'calls/s':>9}{'median us':>11}{'p99 us':>9}{'x bare':>8}  target")
    for one in contenders:
        ratio = statistics.median(a / b for a, b in zip(one.rounds, bare.rounds, strict=True))
        middle = statistics.median(one.rounds)
        target = TARGETS.get(one.name)
        verdict = "" if target is None else f"  {target} {'met' if ratio <= target else 'MISSED'}"
        missed += bool(target and ratio > target)
        p99 = statistics.median(one.slowest) * 1e6
        print(f"{one.name:34}{1 / middle:9.0f}{middle * 1e6:11.1f}{p99:9.1f}{ratio:8.2f}{verdict}")
    return 1 if missed else 0


def make(url: str) -> list[Contender]:
    """The contenders, on one server; no limit is ever reached."""
    os.environ["STANDALONE_REDIS"] = url
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.standalone.throttling_settings"
    import django

    django.setup()
    from django_redis import get_redis_connection

    from throttling import plans, store, take
    from throttling.lines import Verb, line_for
    from throttling.rates import Limit, parse
    from throttling.snapshot import Assigned, Snapshot
    from throttling.stores.wire import Wire, script
    from throttling.subjects import Caller

    client = get_redis_connection("default")
    digest = client.script_load("return 1")
    wire, bare = Wire(), copy(script("take.lua"))
    bare.text, bare.digest = b"return 1", digest.encode() if isinstance(digest, str) else digest
    texts = ("1000000/second", "900000000/day calendar", "900000000/hour fixed", "800000000/minute")
    limits = [Limit(f"l{i}", parse(text), ident=str(i)) for i, text in enumerate(texts)]
    one = [line_for(limits[0], "user:1", 1)]
    four = [line_for(limit, "user:1", 1) for limit in limits]
    own = store.get()
    plans._snapshot = Snapshot(  # noqa: SLF001 - plans without a database
        "0", (Assigned("user:1", 1, tuple(limits[:1])), Assigned("user:2", 1, tuple(limits)))
    )
    plans.current = lambda: plans._snapshot  # type: ignore[assignment]  # noqa: SLF001 - see above
    alice, bob = Caller(user="1", address="192.0.2.1"), Caller(user="2", address="192.0.2.1")
    return [
        Contender("bare EVALSHA", lambda: client.evalsha(digest, 1, "rl:{user:1}:bare")),
        Contender("bare EVALSHA, the store's wire", lambda: wire.run(client, bare, 1, ["rl:{user:1}:bare"])),
        Contender("store, one limit", lambda: own.decide(Verb.TAKE, one)),
        Contender("store, four limits", lambda: own.decide(Verb.TAKE, four)),
        Contender("take(), one limit", lambda: take.take(alice, "api")),
        Contender("take(), four limits", lambda: take.take(bob, "api")),
        *drf(),
        *other(url),
    ]


def drf() -> list[Contender]:
    """DRF's own throttle on the same Redis: a read and a write."""
    from rest_framework.throttling import SimpleRateThrottle

    class Control(SimpleRateThrottle):
        rate = "300/second"

        def get_cache_key(self, request: object, view: object) -> str:  # noqa: ARG002 - DRF's signature
            return "drf"

    return [Contender("DRF SimpleRateThrottle", lambda: Control().allow_request(None, None))]  # type: ignore[arg-type] # it looks at neither


def other(url: str) -> list[Contender]:
    """The `limits` library, one limit and four, where it is importable."""
    try:
        from limits import parse
        from limits.storage import RedisStorage
        from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter, SlidingWindowCounterRateLimiter
    except ImportError:
        print("`limits` is not importable here and is left out", file=sys.stderr)
        return []
    storage = RedisStorage(url)
    found = []
    for kind in (FixedWindowRateLimiter, SlidingWindowCounterRateLimiter, MovingWindowRateLimiter):
        limiter = kind(storage)
        limit = parse("100000000/hour" if kind is not MovingWindowRateLimiter else "100/second")
        name = kind.__name__.removesuffix("RateLimiter")
        found.append(Contender(f"limits {name}", lambda limiter=limiter, limit=limit: limiter.hit(limit, "u")))  # type: ignore[misc]
    fixed = FixedWindowRateLimiter(storage)
    many = [parse(f"{10**8 + i}/hour") for i in range(4)]
    found.append(Contender("limits FixedWindow, four limits", lambda: [fixed.hit(limit, "u") for limit in many]))
    return found


if __name__ == "__main__":
    sys.exit(main())
