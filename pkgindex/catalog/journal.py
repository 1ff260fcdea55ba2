"""What is known of one index's journal: which pages changed, and up to when that is known. Imports no Django."""

import threading
from collections.abc import Iterable

TAIL = 1_000  # serials of the journal that are read at most at once
MOST_NAMES = 20_000  # of an index; with its version each takes some 200 bytes


class Journal:
    """As far as it was read. Safe among threads."""

    def __init__(self) -> None:
        self.serial = self._since = -1  # every change after `_since`, up to `serial`, is in `_changed`
        self._changed: dict[str, int] = {}
        self._seen: dict[str, tuple[int, int]] = {}  # version of a name, and the index's serial when that was read
        self._lock = threading.Lock()

    def newest(self, name: str, top: int, seen: tuple[int, int] | None = None) -> int | None:
        """The version of a page in an index whose version is `top`; None where that is not known.

        `seen` is what the caller knows about the name, as for `saw`.
        """
        with self._lock:
            if top > self.serial:
                return None
            changed = self._changed.get(name)
            if changed is not None:
                return changed
            version, serial = seen or self._seen.get(name) or (0, -2)
            return version if serial >= self._since else None

    def saw(self, name: str, version: int, serial: int) -> None:
        """The name had this version when the index had that serial."""
        with self._lock:
            if len(self._seen) >= MOST_NAMES:
                self._seen.clear()
            self._seen[name] = version, serial

    def missing(self, top: int) -> int | None:
        """The serial after which the journal is to be read to know it up to `top`; None where nothing is missing."""
        with self._lock:
            return max(self.serial, top - TAIL) if top > self.serial else None

    def extend(self, after: int, top: int, changes: Iterable[tuple[str, int]]) -> None:
        """Take in the changes after `after` up to `top`, in their order."""
        with self._lock:
            if top <= self.serial:
                return
            if after > self.serial or len(self._changed) >= MOST_NAMES:
                self._changed.clear()
                self._since = after
            self._changed |= changes
            self.serial = top
