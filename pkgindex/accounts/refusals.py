"""What was refused a moment ago is refused again without asking anybody: against floods of one wrong secret."""

import time

from pkgindex.nearcache import Recent


class Refusals:
    """Sentences by key, each kept for `seconds` in this process; at most `most` of them, the oldest go first."""

    def __init__(self, *, seconds: float, most: int = 10_000) -> None:
        self._seconds = seconds
        self._held: Recent[str, tuple[float, str]] = Recent(most)

    def find(self, key: str) -> str | None:
        """Why `key` was refused, None where it was not, or not lately."""
        entry = self._held.find(key)
        return entry[1] if entry is not None and entry[0] > time.monotonic() else None

    def add(self, key: str, sentence: str) -> None:
        """Refuse `key` from now on for a while."""
        self._held.add(key, (time.monotonic() + self._seconds, sentence))
