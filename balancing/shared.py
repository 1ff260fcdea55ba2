"""The store that all processes share: the Redis behind a django-redis cache, asked with little patience.

Nothing here raises for an absent store. While it is away one caller a second tries it, and costs its own request one
time-out; all others go on at once with what they were told to do otherwise.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from django.core.signals import setting_changed
from django.dispatch import receiver
from django_redis import get_redis_connection
from redis import Redis
from redis.backoff import NoBackoff
from redis.connection import BlockingConnectionPool, ConnectionPool
from redis.exceptions import RedisError
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

from balancing import conf

T = TypeVar("T")
TIMEOUT = 0.1  # seconds
RETRY = 1.0
# NotImplementedError: the cache is of another kind, which the system checks tell.
ABSENT = (RedisError, OSError, NotImplementedError)

log = logging.getLogger("balancing")


class _Breaker:
    """Open after a fault. Its lock is held for no longer than an assignment."""

    def __init__(self) -> None:
        self.open, self._again_at, self._lock = False, 0.0, threading.Lock()

    def may_ask(self) -> bool:
        """True while the store answers, and for the one caller whose turn it is to try an absent one."""
        if not self.open:
            return True
        now = time.monotonic()
        with self._lock:
            if now < self._again_at:
                return False
            self._again_at = now + RETRY
            return True

    def failed(self, error: Exception) -> None:
        """Open, or stay open for another while."""
        with self._lock:
            if not self.open:
                log.warning("The shared store is away, the database is read instead: %s", error)
            self.open, self._again_at = True, time.monotonic() + RETRY

    def worked(self) -> None:
        """Close."""
        if self.open:
            with self._lock:
                self.open = False
            log.warning("The shared store answers again.")


_breaker = _Breaker()
_client: Any = None
_lock = threading.Lock()


def ask(work: Callable[[Any], T], otherwise: T) -> T:
    """What `work` makes of the raw client; `otherwise` where the store is away. Waits a time-out at most."""
    if not _breaker.may_ask():
        return otherwise
    try:
        found = work(_made())
    except ABSENT as error:
        _breaker.failed(error)
        return otherwise
    _breaker.worked()
    return found


def is_away() -> bool:
    """True where the last question was not answered."""
    return _breaker.open


def reset() -> None:
    """Forget the client and that it was away."""
    global _client, _breaker
    with _lock:
        _client, _breaker = None, _Breaker()


def _made() -> Any:
    global _client  # noqa: PLW0603 - one per process, made late so that a fork makes its own
    if _client is None:
        with _lock:
            if _client is None:
                _client = _impatient(get_redis_connection(conf.get().cache, write=True))
    return _client


def _impatient(client: Any) -> Any:
    """A client of the same server, or of the same primary under the same sentinels, that waits `TIMEOUT` seconds.

    A pool of another kind keeps the time-outs that it was configured with.
    """
    pool = getattr(client, "connection_pool", None)
    if pool is None:  # a cluster's
        return client
    options = {key: value for key, value in pool.connection_kwargs.items() if key != "connection_pool"}
    options["decode_responses"] = False
    # No silent retries: the breaker decides, and a retry would multiply the time-out.
    patience = {"socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT, "retry": Retry(NoBackoff(), 0)}
    if isinstance(pool, SentinelConnectionPool):
        watchers = [one.connection_pool.connection_kwargs for one in pool.sentinel_manager.sentinels]
        secrets = {key: watchers[0][key] for key in ("username", "password") if watchers[0].get(key)}
        manager = Sentinel([(one["host"], one["port"]) for one in watchers], sentinel_kwargs=secrets | patience)
        return Redis(connection_pool=SentinelConnectionPool(pool.service_name, manager, **(options | patience)))
    if type(pool) not in {ConnectionPool, BlockingConnectionPool}:
        return client
    return Redis(connection_pool=ConnectionPool(connection_class=pool.connection_class, **(options | patience)))


@receiver(setting_changed)
def _forget(*, setting: str, **_: Any) -> None:
    if setting in {"BALANCING", "CACHES"}:
        reset()
