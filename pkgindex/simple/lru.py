"""What one process keeps for its threads: ready pages up to a number of bytes, and who builds which. No Django."""

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

OVERHEAD = 700  # bytes that an entry costs beside its body, measured


@dataclass(frozen=True, slots=True)
class Ready:
    """One representation of a page, ready to send.

    `version` is the version that was asked for when it was built: the content is at least that new. `serial` is the
    serial that the content itself states. A large page has a `path` to its `length` bytes in place of a body.
    """

    version: int
    serial: int
    etag: str
    body: bytes = b""
    path: Path | None = None
    length: int = 0

    @property
    def size(self) -> int:
        """Bytes to send."""
        return self.length if self.path else len(self.body)


class PageLru:
    """The most recently used representations, at most `limit` bytes of them; a newer version replaces an older."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.bytes = 0
        self._entries: OrderedDict[Hashable, Ready] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, version: int) -> Ready | None:
        """The representation if it is at least as new as `version`."""
        with self._lock:
            found = self._entries.get(key)
            if found is None or found.version < version:
                return None
            self._entries.move_to_end(key)
            return found

    def put(self, key: Hashable, ready: Ready) -> None:
        """Keep it, and let go of what was used longest ago; what alone is larger than the limit is not kept."""
        with self._lock:
            held = self._entries.get(key)
            if held is not None and held.version > ready.version:
                return
            self._drop(key)
            if _cost(ready) > self.limit:
                return
            self._entries[key] = ready
            self.bytes += _cost(ready)
            while self.bytes > self.limit:
                self._drop(next(iter(self._entries)))

    def forget(self, key: Hashable) -> None:
        """Let go of it."""
        with self._lock:
            self._drop(key)

    def clear_local(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self.bytes = 0

    def _drop(self, key: Hashable) -> None:
        gone = self._entries.pop(key, None)
        if gone is not None:
            self.bytes -= _cost(gone)


class Flights:
    """One lock for each thing being built, gone again when nobody builds it."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._open: dict[Hashable, tuple[threading.Lock, int]] = {}

    @contextmanager
    def boarding(self, key: Hashable, seconds: float) -> Iterator[None]:
        """Hold the lock of `key`, or go on without it after `seconds`: a stuck builder must not stop the others."""
        with self._guard:
            lock, users = self._open.get(key, (threading.Lock(), 0))
            self._open[key] = (lock, users + 1)
        held = lock.acquire(timeout=seconds)
        try:
            yield
        finally:
            if held:
                lock.release()
            with self._guard:
                lock, users = self._open[key]
                if users == 1:
                    del self._open[key]
                else:
                    self._open[key] = (lock, users - 1)


def _cost(ready: Ready) -> int:
    return len(ready.body) + OVERHEAD
