"""Ways for tests to make stores: each of a kind, on the run's Redis."""

from django_redis import get_redis_connection

from throttling.stores.memory import MemoryStore
from throttling.stores.redis import RedisStore


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
