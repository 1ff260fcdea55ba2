"""Redis as the processes' shared memory: one place that reaches it, gives up quickly and recovers by itself.

Everything kept through here can be rebuilt from SQL, so a lost Redis costs speed and never an answer.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from django_redis import get_redis_connection
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as Late

from throttling.stores.wire import Script, Wire

T = TypeVar("T")

RETRY_AFTER = 1.0  # seconds during which a process does not ask a Redis that just failed

log = logging.getLogger(__name__)


class Breaker:
    """Remembers a failure for a second, so that a dead Redis costs one time-out a second and not one a request."""

    def __init__(self) -> None:
        self._closed_again_at = 0.0

    def attempt(self, work: Callable[[Any], T], default: T, *, insist: bool = False) -> T:
        """Run `work` on the raw client; on any Redis fault log once and answer `default`.

        `insist` asks even right after a failure: for writes that others' correctness in time depends on.
        """
        now = time.monotonic()
        if now < self._closed_again_at and not insist:
            return default
        try:
            return work(get_redis_connection("default", write=True))
        except (RedisError, OSError) as error:
            if now >= self._closed_again_at:
                log.warning("Redis does not answer (%s); going on without it", error)
            self._closed_again_at = now + RETRY_AFTER
            return default

    def reset(self) -> None:
        """Forget the last failure."""
        self._closed_again_at = 0.0


breaker = Breaker()
attempt = breaker.attempt
_wire = Wire()


def run_script(redis: Any, script: Script, keys: Sequence[str], *arguments: Any) -> Any:
    """For `attempt`: run a script that may run twice. Costs a third of the client's own way. Raises RedisError."""
    words = [*keys, *arguments]
    try:
        return _wire.run(redis, script, len(keys), words)
    except Late:
        raise
    except Disconnected:
        # A connection that idled through a restart is found dead only when used; the next one is new.
        return _wire.run(redis, script, len(keys), words)
