"""Raw clients with our patience: the limiter waits 50 ms where a cache may wait seconds."""

from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.connection import BlockingConnectionPool, ConnectionPool
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool


def _patience(timeout: float) -> dict[str, Any]:
    # No silent retries: the breaker decides, and a retry would multiply the time-out.
    return {"socket_timeout": timeout, "socket_connect_timeout": timeout, "retry": Retry(NoBackoff(), 0)}


def impatient(client: Any, timeout: float) -> Any:
    """A client of the same server, or of the same primary under the same sentinels, that waits `timeout` seconds.

    A pool of another kind keeps the time-outs that it was configured with.
    """
    pool = client.connection_pool
    options = {key: value for key, value in pool.connection_kwargs.items() if key != "connection_pool"}
    if isinstance(pool, SentinelConnectionPool):
        return _sentinel(pool, options, timeout)
    if type(pool) not in {ConnectionPool, BlockingConnectionPool}:
        return client
    options |= _patience(timeout)
    return Redis(connection_pool=ConnectionPool(connection_class=pool.connection_class, **options))


def _sentinel(pool: Any, options: dict[str, Any], timeout: float) -> Any:
    watchers = pool.sentinel_manager.sentinels
    first = watchers[0].connection_pool.connection_kwargs
    kept = {key: first[key] for key in ("username", "password") if first.get(key)}
    manager = Sentinel(
        [(w.connection_pool.connection_kwargs["host"], w.connection_pool.connection_kwargs["port"]) for w in watchers],
        min_other_sentinels=pool.sentinel_manager.min_other_sentinels,
        sentinel_kwargs=kept | _patience(timeout),
    )
    options |= _patience(timeout)
    # is_master: never a replica, whose history lags behind.
    return Redis(connection_pool=SentinelConnectionPool(pool.service_name, manager, is_master=True, **options))


def cluster(nodes: tuple[str, ...], timeout: float, options: dict[str, Any]) -> Any:
    """A client of a Redis Cluster; it always asks the primary of a slot."""
    start = [ClusterNode(host, int(port)) for host, _, port in (node.rpartition(":") for node in nodes)]
    return RedisCluster(
        startup_nodes=start,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 1),
        **options,
    )
