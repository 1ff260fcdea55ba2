"""A small two-level cache for facts about identity and visibility, stale by at most five seconds.

A value is kept `local` seconds in the process and `shared` seconds in Redis. The two add up to the longest time that a
revoked token or a changed role can still be believed, whether or not the message that forgets it arrives.

Who must not wait asks `at_hand`, and may pass a list that takes down what was missing: `gather` brings all of that
which other processes have left in Redis, in one round trip. Who may wait has `look_up` load the rest. A process that
calls `renew` once a second has at hand what was asked for within half a minute: no request waits for that.
"""

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, Generic, Protocol, TypeVar

from pkgindex import shared

K = TypeVar("K")
V = TypeVar("V")
One = tuple["Source", Any]  # a value, by its key
Missing = list[One]
Entry = tuple[str, str, int]  # a key of Redis, its value and for how many seconds

LOCAL_SECONDS = 2.0
SHARED_SECONDS = 3
LATELY = 30.0  # seconds: what was asked for within them is renewed
RENEWED_BEFORE = 1.5  # seconds before it would end here
GET = "GET"
MOST_RENEWED = 50  # keys of a cache; of more, those that were asked for last


class Source(Protocol):
    """Something whose values processes leave in Redis for each other."""

    def words(self, key: Any) -> tuple[str, ...]:
        """The command of Redis that reads the value."""

    def take_in(self, key: Any, raw: Any, now: float) -> bool:
        """Keep what Redis answered at `now` or later, which is not nothing; True where that is a value."""


class NearCache(Generic[V]):
    """Values of one kind by string key, loaded on a miss by `load` or the caller's function.

    `dump` and `restore` turn a value into JSON-ready data and back; `None` is a value that is never kept. Where
    `lasting_seconds` is given, a value is also kept for whoever has a way to find out whether it still holds: see
    `lasting`.
    """

    def __init__(
        self,
        prefix: str,
        *,
        dump: Callable[[V], Any],
        restore: Callable[[Any], V],
        load: Callable[[str], V | None] | None = None,
        most: int = 5_000,
        local_seconds: float = LOCAL_SECONDS,
        shared_seconds: int = SHARED_SECONDS,
        lasting_seconds: int = 0,
    ) -> None:
        self._prefix, self._lasting_prefix = f"near:{prefix}:", f"last:{prefix}:"
        self._lasting_seconds = lasting_seconds
        self._dump, self._restore, self.load = dump, restore, load
        self._most, self._local_seconds, self._shared_seconds = most, local_seconds, shared_seconds
        self._entries: OrderedDict[str, tuple[float, V]] = OrderedDict()
        self._lock = threading.Lock()
        self._asked: set[str] = set()  # and found, since `ending` was called
        self._lately: dict[str, float] = {}  # when each key was asked for last
        every.append(self)

    def get(self, key: str, load: Callable[[], V | None] | None = None) -> V | None:
        """The value for `key`: from this process, else from Redis, else loaded. Raises what loading raises."""
        now, held = time.monotonic(), self.at_hand(key)
        if held is not None:
            return held
        raw = shared.attempt(lambda redis: redis.get(self._prefix + key), None)
        value = self._restore(json.loads(raw)) if raw else None
        if value is not None:
            self._keep(key, now + self._local_seconds, value)
            return value
        value = load() if load else self.load(key) if self.load else None
        if value is not None:
            _leave(self.learn(key, value, now))
        return value

    def at_hand(self, key: str, missing: Missing | None = None) -> V | None:
        """The value where this process has it, without asking anybody."""
        entry = self._entries.get(key)  # one step of the interpreter, as the lock would be
        if entry is not None and entry[0] > time.monotonic():
            if self.load is not None:
                self._asked.add(key)
            return entry[1]
        if missing is not None and not self._lasting_seconds:
            missing.append((self, key))
        return None

    def lasting(self, key: str, missing: Missing) -> V | None:
        """The value where this process has it, however old, without asking anybody: what it says may be no longer so.

        It is kept as long as there is room for it, and in Redis for `lasting_seconds` from when it was loaded.
        """
        entry = self._entries.get(key)
        if entry is None:
            missing.append((self, key))
        return entry[1] if entry else None

    def ending(self, now: float) -> list[str]:
        """The keys that were asked for lately and of which this process will soon have nothing at hand."""
        asked, self._asked = self._asked, set()
        seen = self._lately | dict.fromkeys(asked, now)
        last = sorted(seen, key=seen.__getitem__)[-MOST_RENEWED:]
        self._lately = {key: seen[key] for key in last if now - seen[key] < LATELY}
        ends = {key: self._entries[key][0] for key in self._lately if key in self._entries}
        return [key for key, end in ends.items() if end < now + RENEWED_BEFORE]

    def learn(self, key: str, value: V, now: float) -> list[Entry]:
        """Keep here what was loaded, `now` having been before that; says what is to be left in Redis."""
        data = json.dumps(self._dump(value))
        entries = []
        for name in self.names(key, value):
            self._keep(name, now + self._local_seconds, value)
            entries.append((self._prefix + name, data, self._shared_seconds))
            if self._lasting_seconds:
                entries.append((self._lasting_prefix + name, data, self._lasting_seconds))
        return entries

    def names(self, key: str, value: V) -> Iterable[str]:  # noqa: ARG002 - others make use of it
        """The keys that have this value, which was loaded for `key`."""
        return (key,)

    def words(self, key: str) -> tuple[str, ...]:
        """Reads what `at_hand` or `lasting` missed."""
        return GET, (self._lasting_prefix if self._lasting_seconds else self._prefix) + key

    def take_in(self, key: str, raw: bytes, now: float) -> bool:
        """What `words` have read."""
        # What lasts was loaded nobody knows when: it is not as good as what was just loaded.
        self._keep(key, 0.0 if self._lasting_seconds else now + self._local_seconds, self._restore(json.loads(raw)))
        return True

    def drop(self, key: str) -> None:
        """Have nothing at hand for the key."""
        with self._lock:
            self._entries.pop(key, None)

    def _keep(self, key: str, until: float, value: V) -> None:
        with self._lock:
            before = self._entries.get(key)
            if before is not None and before[1] == value:
                value = before[1]  # the same object: what was concluded from it still holds
            self._entries[key] = (until, value)
            self._entries.move_to_end(key)
            while len(self._entries) > self._most:
                self._entries.popitem(last=False)
            if len(self._asked) > self._most:  # nobody renews
                self._asked.clear()

    def forget(self, *keys: str) -> None:
        """Drop keys here and in Redis; other processes follow within `local_seconds`."""
        with self._lock:
            for key in keys:
                self._entries.pop(key, None)
        if keys:
            names = [prefix + key for key in keys for prefix in (self._prefix, self._lasting_prefix)]
            shared.attempt(lambda redis: redis.delete(*names), 0, insist=True)

    def clear_local(self) -> None:
        """Drop everything this process holds."""
        with self._lock:
            self._entries.clear()


class Clearable(Protocol):
    """Anything that keeps facts in this process for a while."""

    def clear_local(self) -> None:
        """Drop everything this process holds."""


every: list[Clearable] = []


class Recent(Generic[K, V]):
    """The last `most` values that were noted in this process, by key."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._entries: OrderedDict[K, V] = OrderedDict()
        self._lock = threading.Lock()
        every.append(self)

    def find(self, key: K) -> V | None:
        """The value, None where there is none."""
        return self._entries.get(key)  # one step of the interpreter, as the lock would be

    def add(self, key: K, value: V) -> None:
        """Note it, and forget what was noted longest ago."""
        with self._lock:
            self._entries[key] = value
            self._entries.move_to_end(key)
            while len(self._entries) > self._most:
                self._entries.popitem(last=False)

    def clear_local(self) -> None:
        """Forget all."""
        with self._lock:
            self._entries.clear()


def gather(missing: Missing) -> bool:
    """Bring what is missing here and others have left in Redis, in one round trip; True where there was any."""
    return bool(_gathered(missing))


def look_up(missing: Missing) -> None:
    """Bring what is missing here and has a `load`: what others have left in Redis in one round trip, the rest by that.

    Goes no further than to the first that is nowhere. Asks the database; raises what loading raises.
    """
    _load(missing, _gathered(missing) or set(), to_the_end=False)


def renew() -> None:
    """Have at hand, for a while longer, what was asked for lately and has a `load`; drop what is no more.

    Asks Redis once, where there is anything, and the database for what nobody has loaded since `SHARED_SECONDS`. Does
    nothing without Redis, since each process would ask the database for all. Raises what loading raises.
    """
    now = time.monotonic()
    caches = [one for one in every if isinstance(one, NearCache) and one.load is not None]
    ending: Missing = [(cache, key) for cache in caches for key in cache.ending(now)]
    gathered = _gathered(ending) if ending else None
    if gathered is not None:
        _load(ending, gathered, to_the_end=True)


def _load(wanted: Missing, known: set[One], *, to_the_end: bool) -> None:
    """Load what is wanted and not known, each value once whatever its names, and leave it in Redis."""
    entries: list[Entry] = []
    for cache, key in dict.fromkeys(wanted):
        if not isinstance(cache, NearCache) or cache.load is None or (cache, key) in known:
            continue
        now, value = time.monotonic(), cache.load(key)
        if value is not None:
            entries += cache.learn(key, value, now)
            known |= {(cache, name) for name in cache.names(key, value)}
            continue
        cache.drop(key)
        if not to_the_end:
            break
    _leave(entries)


def _gathered(missing: Missing) -> set[One] | None:
    """What others have left in Redis, here now; None where that does not answer."""
    now, each = time.monotonic(), list(dict.fromkeys(missing))
    commands = [source.words(key) for source, key in each]
    raws = shared.attempt(lambda redis: _read(redis, commands), None)
    if raws is None:
        return None
    return {one for one, raw in zip(each, raws, strict=True) if raw and one[0].take_in(one[1], raw, now)}


def _read(redis: Any, commands: list[tuple[str, ...]]) -> Any:
    if all(words[0] == GET for words in commands):  # nearly always
        return redis.mget([name for _, name in commands])
    pipeline = redis.pipeline(transaction=False)
    for words in commands:
        pipeline.execute_command(*words)
    return pipeline.execute()


def _leave(entries: list[Entry]) -> None:
    """Write to Redis in one round trip."""
    if not entries:
        return

    def work(redis: Any) -> None:
        client = redis.pipeline(transaction=False) if len(entries) > 1 else redis
        for key, data, seconds in entries:
            client.set(key, data, ex=seconds)
        if client is not redis:
            client.execute()

    shared.attempt(work, None)
