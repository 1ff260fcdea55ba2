"""Ways for tests to make stores: each of a kind, on the run's Redis."""

from django_redis import get_redis_connection

from throttling.rates import Limit, Rate, Strategy, Unit, parse
from throttling.stores.memory import MemoryStore
from throttling.stores.redis import RedisStore

MONTH = Rate(30, 0, strategy=Strategy.CALENDAR)
LIMITS = {
    name: Limit(name, rate)
    for name, rate in {
        "gcra": Rate(10, 1_000_000),
        "odd": Rate(7, 999_983, burst=9),
        "shaped": Rate(10, 1_000_000, burst=3, max_delay=400_000),
        "bytes": Rate(5_000_000, 1_000_000, Unit.BYTES),
        "fixed": parse("8/2 seconds fixed"),
        "day": parse("40/day calendar"),
        "month": MONTH,
        "sliding": parse("9/2 seconds sliding"),
        "log": parse("9/2 seconds log"),
        "leases": Rate(3, 1_500_000, Unit.CONCURRENT, Strategy.LEASES),
        "stock": parse("25B storage"),
    }.items()
}


def redis_client():
    return get_redis_connection("default", write=True)


def make(kind):
    return MemoryStore() if kind == "memory" else RedisStore(redis_client)


def nowhere():
    """A client of a server that does not exist."""
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return redis.Redis(port=1, socket_timeout=0.05, socket_connect_timeout=0.05, retry=Retry(NoBackoff(), 0))
