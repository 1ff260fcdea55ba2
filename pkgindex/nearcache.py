"""A small two-level cache for facts about identity and visibility, stale by at most five seconds.

A value is kept `local` seconds in the process and `shared` seconds in Redis. The two add up to the longest time that a
revoked token or a changed role can still be believed, whether or not the message that forgets it arrives.
"""

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from pkgindex import shared

V = TypeVar("V")

LOCAL_SECONDS = 2.0
SHARED_SECONDS = 3


class NearCache(Generic[V]):
    """Values of one kind by string key, loaded on a miss by the caller's function.

    `dump` and `restore` turn a value into JSON-ready data and back; `None` is a value that is never kept.
    """

    def __init__(
        self,
        prefix: str,
        *,
        dump: Callable[[V], Any],
        restore: Callable[[Any], V],
        most: int = 5_000,
        local_seconds: float = LOCAL_SECONDS,
        shared_seconds: int = SHARED_SECONDS,
    ) -> None:
        self._prefix = f"near:{prefix}:"
        self._dump, self._restore = dump, restore
        self._most, self._local_seconds, self._shared_seconds = most, local_seconds, shared_seconds
        self._entries: OrderedDict[str, tuple[float, V]] = OrderedDict()
        self._lock = threading.Lock()
        every.append(self)

    def get(self, key: str, load: Callable[[], V | None]) -> V | None:
        """The value for `key`: from this process, else from Redis, else from `load()`."""
        now, held = time.monotonic(), self.at_hand(key)
        if held is not None:
            return held
        raw = shared.attempt(lambda redis: redis.get(self._prefix + key), None)
        value = self._restore(json.loads(raw)) if raw else None
        if value is None:
            value = load()
            if value is None:
                return None
            text = json.dumps(self._dump(value))
            shared.attempt(lambda redis: redis.set(self._prefix + key, text, ex=self._shared_seconds), None)
        self._keep(key, now, value)
        return value

    def at_hand(self, key: str) -> V | None:
        """The value where this process has it, without asking anybody."""
        with self._lock:
            entry = self._entries.get(key)
        return entry[1] if entry is not None and entry[0] > time.monotonic() else None

    def _keep(self, key: str, now: float, value: V) -> None:
        with self._lock:
            self._entries[key] = (now + self._local_seconds, value)
            self._entries.move_to_end(key)
            while len(self._entries) > self._most:
                self._entries.popitem(last=False)

    def forget(self, *keys: str) -> None:
        """Drop keys here and in Redis; other processes follow within `local_seconds`."""
        with self._lock:
            for key in keys:
                self._entries.pop(key, None)
        if keys:
            shared.attempt(lambda redis: redis.delete(*[self._prefix + key for key in keys]), 0, insist=True)

    def clear_local(self) -> None:
        """Drop everything this process holds."""
        with self._lock:
            self._entries.clear()


class Clearable(Protocol):
    """Anything that keeps facts in this process for a while."""

    def clear_local(self) -> None:
        """Drop everything this process holds."""


every: list[Clearable] = []
