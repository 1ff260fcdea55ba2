"""The same contract in this process's memory: for tests, single-process projects, and while Redis is away."""

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Sequence
from typing import Any

from throttling import algorithms
from throttling.lines import Answer, Line, Verb
from throttling.stores.base import Store

MOST_KEYS = 100_000


def wall_clock() -> int:
    """Now in integer microseconds since 1970."""
    return time.time_ns() // 1_000


class MemoryStore(Store):
    """States in a dictionary under one lock; the least recently used are dropped above `most` keys."""

    def __init__(self, *, most: int = MOST_KEYS) -> None:
        self._states: OrderedDict[str, tuple[Any, int | None]] = OrderedDict()
        self._once: dict[str, int] = {}
        self._counts: Counter[str] = Counter()
        self._version: str | None = None
        self._most = most
        self._lock = threading.Lock()

    def decide(self, verb: Verb, lines: Sequence[Line], *, now: int = 0, beside: tuple[str, ...] = ()) -> Answer:  # noqa: ARG002
        """See Store; there is no server whose keys could be read beside."""
        now = now or wall_clock()
        with self._lock:
            states = {line.key: self._read(line.key, now) for line in lines}
            refused_by, outcomes = algorithms.decide(verb, tuple(lines), states, now)
            for line in lines:
                self._write(line, states[line.key], now)
        return Answer(refused_by, now, outcomes)

    def _read(self, key: str, now: int) -> Any:
        state, until = self._states.get(key, (None, None))
        return None if until is not None and until <= now else state

    def _write(self, line: Line, state: Any, now: int) -> None:
        until = algorithms.expires(line, state, now) if state else None
        if not state or (until is not None and until <= now):
            self._states.pop(line.key, None)
            return
        self._keep(line.key, state, until)

    def _keep(self, key: str, state: Any, until: int | None) -> None:
        self._states[key] = (state, until)
        self._states.move_to_end(key)
        while len(self._states) > self._most:
            self._states.popitem(last=False)

    def ban(self, key: str, length: int) -> bool:
        """See Store."""
        now = wall_clock()
        with self._lock:
            stop = self._read(key, now)
            self._keep(key, max(stop or 0, now + length), max(stop or 0, now + length))
        return stop is None

    def banned_for(self, key: str) -> int:
        """See Store."""
        now = wall_clock()
        with self._lock:
            stop = self._read(key, now)
        return max(0, (stop or 0) - now)

    def forget(self, keys: Sequence[str]) -> int:
        """See Store."""
        with self._lock:
            return sum(self._states.pop(key, None) is not None for key in keys)

    def keys_of(self, subject: str) -> list[str]:
        """See Store."""
        with self._lock:
            return sorted(key for key in self._states if key.startswith(f"rl:{{{subject}}}:"))

    def level(self, key: str, value: int) -> None:
        """See Store."""
        with self._lock:
            self._keep(key, value, None)

    def seed(self, key: str, value: int) -> bool:
        """See Store."""
        with self._lock:
            if self._read(key, wall_clock()) is not None:
                return False
            self._keep(key, value, None)
            return True

    def read_version(self) -> str | None:
        """See Store."""
        return self._version

    def publish_version(self, version: str) -> None:
        """See Store."""
        self._version = version

    def once(self, key: str, seconds: int) -> bool:
        """See Store."""
        now = wall_clock()
        with self._lock:
            if len(self._once) > self._most:
                self._once = {name: until for name, until in self._once.items() if until > now}
            if self._once.get(key, 0) > now:
                return False
            self._once[key] = now + seconds * 1_000_000
        return True

    def count(self, name: str, more: int) -> int:
        """See Store."""
        with self._lock:
            self._counts[name] += more
            return self._counts[name]

    def counted(self, name: str) -> int:
        """See Store."""
        return self._counts[name]

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._states.clear()
            self._once.clear()
            self._counts.clear()
            self._version = None
