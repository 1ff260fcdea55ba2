"""What was refused a moment ago is refused again without asking anybody: against floods of one wrong secret."""

import threading
import time
from collections import OrderedDict

from pkgindex import nearcache


class Refusals:
    """Sentences by key, each kept for `seconds` in this process; at most `most` of them, the oldest go first."""

    def __init__(self, *, seconds: float, most: int = 10_000) -> None:
        self._seconds, self._most = seconds, most
        self._entries: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self._lock = threading.Lock()
        nearcache.every.append(self)

    def find(self, key: str) -> str | None:
        """Why `key` was refused, None where it was not, or not lately."""
        with self._lock:
            entry = self._entries.get(key)
        return entry[1] if entry is not None and entry[0] > time.monotonic() else None

    def add(self, key: str, sentence: str) -> None:
        """Refuse `key` from now on for a while."""
        with self._lock:
            self._entries[key] = (time.monotonic() + self._seconds, sentence)
            self._entries.move_to_end(key)
            while len(self._entries) > self._most:
                self._entries.popitem(last=False)

    def clear_local(self) -> None:
        """Forget every refusal."""
        with self._lock:
            self._entries.clear()
